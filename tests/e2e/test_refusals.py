"""What is refused leaves nothing behind: no mailbox, no rows, no tokens."""

import contextlib
import subprocess
import sys

import pytest

from mailsync.accounts.records import Account
from mailsync.mailboxes.ids import mailbox_id
from sandbox.commands import ensure_account
from sandbox.constants import HOME_TENANT_ID
from sandbox.state import PROJECT
from tests.e2e.people import Owner
from tests.e2e.storage import blobs, secret_names, table_rows

SAMPLES = sorted((PROJECT / "sandbox/samples").glob("*.eml"))


@pytest.fixture
def owner(product):
    with Owner(product.state) as owner:
        yield owner


@contextlib.contextmanager
def nothing_stored(product, identity):
    """What is done inside leaves no trace of this mailbox and no open sign-in."""
    before = signins(product)
    yield
    assert signins(product) == before
    assert not [row for name, row in table_rows(product) if name != "accounts" and identity in str(row)]
    assert not [name for name, _ in blobs(product) if identity in name]
    assert f"mailbox-{identity}" not in secret_names(product.state)


def signins(product):
    return {row["RowKey"] for name, row in table_rows(product) if name == "signins"}


def user(product, address, **fields):
    answer = product.control.call("POST", "/users", {"address": address, **fields})
    return mailbox_id(answer["tenantId"], answer["userId"])


def test_no_account(product, owner):
    identity = user(product, "ann@nobody-expects.example")
    with nothing_stored(product, identity):
        assert owner.connect("ann@nobody-expects.example").code == "no_account"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "MailboxNotEnabledForRESTAPI"),
        (404, "ResourceNotFound"),
        (404, "OrganizationFromTenantGuidNotFound"),
        (401, "OrganizationFromTenantGuidNotFound"),
        (404, "ErrorInvalidUser"),
        (403, "ErrorInvalidLicense"),
    ],
)
def test_an_account_without_a_mailbox_in_each_of_its_codes(product, owner, status, code):
    address = f"{code}{status}@nobox.example".lower()
    identity = user(product, address)
    ensure_account(product.state, address)
    product.fault("mailbox-not-enabled", status=status, code=code, address=address)
    with nothing_stored(product, identity):
        page = owner.connect(address)
    assert (page.code, page.heading) == ("mailbox_not_enabled", "That account has no inbox")


def test_declined(product, owner):
    address = "bob@refuse.example"
    identity = user(product, address)
    ensure_account(product.state, address)
    with nothing_stored(product, identity):
        page = owner.answer(owner.decide(owner.sign_in(owner.begin(), address), "cancel"))
        assert page.code == "consent_declined"
    assert product.control.call("GET", f"/grants/{address}") == {"granted": False, "scopes": []}


def test_an_administrator_must_approve_and_does(product, owner):
    address, chief = "cleo@strict.example", "chief@strict.example"
    identity = user(product, address)
    user(product, chief, administrator=True)
    product.control.call("POST", "/tenants", {"tenantId": identity[:36], "consentAllowed": None})
    ensure_account(product.state, address)
    with nothing_stored(product, identity):
        page = owner.answer(owner.decide(owner.sign_in(owner.begin(), address), "return"))
        assert page.code == "consent_declined"
    with Owner(product.state) as other:
        approved = other.approve(owner.handed_on(page), chief)
        assert approved.heading == "Approved: inboxes can be connected now"
    page = owner.open(owner.handed_on(approved))
    page = owner.sign_in(owner.submit(page, page.forms[0]), address)
    assert page.heading == "Returning to the app"  # no consent is asked
    assert owner.answer(page).url.endswith("/connect/done")


@pytest.mark.parametrize("owner_consents", [False, True])
def test_the_sandbox_connects_by_approval_or_by_the_owners_own_consent(product, owner_consents):
    domain = f"{'owners' if owner_consents else 'administrators'}-say.example"
    identity = user(product, f"hello@{domain}")
    product.control.call("POST", "/tenants", {"tenantId": identity[:36], "consentAllowed": None})
    command = [sys.executable, "-m", "sandbox", "connect", f"hello@{domain}"]
    command += ["--owner-consents"] if owner_consents else []
    assert subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip() == identity
    tenant = product.control.call("POST", "/tenants", {"tenantId": identity[:36]})
    assert tenant["consentAllowed"] is (True if owner_consents else None)
    assert bool(tenant["adminConsented"]) is not owner_consents


def test_guests(product, owner):
    identity = user(product, "gast@refuse.example", tenantId=HOME_TENANT_ID, guest=True)
    ensure_account(product.state, "gast@refuse.example")
    with nothing_stored(product, identity):
        assert owner.connect("gast@refuse.example").code == "guest_account"


def test_an_address_that_is_only_shown_opens_no_account(product, owner):
    """`mail` is whatever an administrator of any tenant writes there."""
    identity = user(product, "eve@forger.example", mail="ceo@refuse.example")
    ensure_account(product.state, "ceo@refuse.example")
    with nothing_stored(product, identity):
        assert owner.connect("eve@forger.example").code == "no_account"


def test_an_inbox_of_another_account(product, owner):
    address = "dora@moved.example"
    product.deliver(address, SAMPLES[0])
    mailbox = product.connect(address)
    product.wait_for_rows(mailbox, 1)
    product.app.accounts.add(Account("takers", "Takers", addresses=(address,)))
    before = product.mailbox(mailbox)
    assert owner.connect(address).code == "other_account"
    after = product.mailbox(mailbox)
    assert (after.account_id, after.granted_at) == (before.account_id, before.granted_at)


def test_an_answer_works_once_and_in_its_own_browser(product, owner):
    address = "finn@refuse.example"
    identity = user(product, address)
    ensure_account(product.state, address)
    page = owner.decide(owner.sign_in(owner.begin(), address), "accept")
    with nothing_stored(product, identity), Owner(product.state) as thief:
        assert thief.answer(page).code == "wrong_browser"
    assert owner.answer(page).url.endswith("/connect/done")
    assert owner.answer(page).code == "sign_in_unknown"


@pytest.mark.parametrize("fault", ["conditional-access", "access-denied"])
def test_faults_of_the_owners_side(product, owner, fault):
    address = f"{fault}@refuse.example"
    identity = user(product, address)
    ensure_account(product.state, address)
    product.fault(fault, address=address)
    with nothing_stored(product, identity):
        assert owner.connect(address).code == fault.replace("-", "_")


@pytest.mark.parametrize("fault", ["vault-outage", "identity-outage", "entra-outage", "invalid-client", "graph-outage"])
def test_faults_of_the_services(product, owner, fault):
    address = f"{fault}@refuse.example"
    identity = user(product, address)
    ensure_account(product.state, address)
    page = owner.decide(owner.sign_in(owner.begin(), address), "accept")
    product.fault(fault)
    code = owner.answer(page).code
    product.clear_faults()
    if fault != "identity-outage":  # the identity's tokens are kept in memory for a day
        assert code
        assert product.mailbox(identity) is None
        assert f"mailbox-{identity}" not in secret_names(product.state)
    assert owner.connect(address).url.endswith("/connect/done")
