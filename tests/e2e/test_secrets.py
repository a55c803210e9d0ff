"""No token, code, secret or cookie value is anywhere but where it belongs."""

import base64
import json
import re
from urllib.parse import quote

import pytest

from mailsync.connect.seal import record_key, unseal
from mailsync.mailboxes.records import MailboxState
from sandbox.commands import ensure_account
from sandbox.state import PROJECT
from tests.e2e.leaks import forms, leaks, places
from tests.e2e.people import Owner
from tests.e2e.storage import planted, vault_texts

SAMPLES = sorted((PROJECT / "sandbox/samples").glob("*.eml"))
ADDRESS = "ann@secret.example"


def flow_secrets(product, owner):
    """What the pending sign-in of a browser holds: it opens with the browser's own cookie alone."""
    record = product.app.one_time.get(record_key(owner.state))
    cookie = owner.cookies["__Host-siftrock-signin"]
    flow = json.loads(unseal(cookie, "mailsync sign-in flow 1", record.payload))
    assert {"code_verifier", "nonce", "state"} <= flow.keys()
    return {flow["code_verifier"], flow["nonce"], flow["state"]}


def test_nothing_secret_is_written_anywhere(product, home):
    secrets = set()
    product.deliver(ADDRESS, *SAMPLES)
    ensure_account(product.state, ADDRESS)
    with Owner(product.state) as owner:
        secrets |= walk_the_ways_that_fail(product, owner)
        secrets |= connect(product, owner)
        identity = next(found.id for found in product.app.mailboxes.list() if found.address == ADDRESS)
        product.wait_for_rows(identity, len(SAMPLES))
        product.control.call("POST", "/revoke", {"address": ADDRESS})
        lost = MailboxState.NEEDS_RECONNECT
        product.until(lambda: product.mailbox(identity).state is lost, "the grant is lost", poll=True)
        secrets |= connect(product, owner)
        product.until(lambda: product.mailbox(identity).state is MailboxState.ACTIVE, "it is connected again")
        product.fault("graph-throttle", 1, seconds=2, address=ADDRESS)
        product.deliver(ADDRESS, SAMPLES[0])
        product.wait_for_rows(identity, len(SAMPLES) + 1, poll=True)
        secrets |= owner.secrets
    issued = product.control.call("GET", "/issued")["secrets"]
    keys = json.loads((home / "keys.json").read_text()).values()
    kept = vault_texts(product.state)
    assert len(issued) > 10
    assert len(kept) >= 2
    everything = {secret for secret in {*secrets, *issued, *keys, *kept} if len(secret) >= 16}
    assert leaks(everything, places(product, home)) == []


def connect(product, owner):
    page = owner.begin()
    secrets = flow_secrets(product, owner)
    page = owner.sign_in(page, ADDRESS)
    if any("decision" in form.buttons for form in page.forms):
        page = owner.decide(page, "accept")
    assert owner.answer(page).url.endswith("/connect/done")
    return secrets


def walk_the_ways_that_fail(product, owner):
    """Declined, answered twice, in another browser, without a cookie, with services away or in the way."""
    page = owner.sign_in(owner.begin(), ADDRESS)
    secrets = flow_secrets(product, owner)
    declined = owner.decide(page, "cancel")
    assert owner.answer(declined).code == "consent_declined"
    assert owner.answer(declined).code == "sign_in_unknown"
    for fault in ("entra-outage", "vault-outage", "graph-outage", "invalid-client", "access-denied"):
        page = owner.sign_in(owner.begin(), ADDRESS)
        secrets |= flow_secrets(product, owner)
        if any("decision" in form.buttons for form in page.forms):
            page = owner.decide(page, "accept")
        product.fault(fault)
        with Owner(product.state) as stranger:
            assert stranger.answer(page).code == "wrong_browser"
        assert owner.answer(page).code
        product.clear_faults()
    # The answer by GET, as another response_mode would bring it, and a forged one.
    for query in (f"?code={secrets.copy().pop()}&state={owner.state}", f"?error=x&error_description={owner.state}"):
        owner.open(f"{product.state.app}/auth/callback{query}")
    return secrets


PLANTED = "1.AQ+xy/z0-_~planted.secret.value.of.some.length.that.is.cut.into.two/ends+0123456789"


@pytest.mark.parametrize("written", [str, lambda text: quote(text, safe=""), lambda text: text[-45:]])
@pytest.mark.parametrize("place", ["log", "table", "queue", "blob"])
def test_a_planted_secret_is_found(product, home, place, written):
    with planted(product, home, place, f"before {written(PLANTED)} after"):
        assert [name for name, _ in leaks({PLANTED}, places(product, home))] != []
    assert leaks({PLANTED}, places(product, home)) == []


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_base64_gives_nothing_a_place_to_hide(encode, before):
    assert leaks({PLANTED}, [("a", encode(f'{before}{{"t":"{PLANTED}"}}'.encode()))])
    assert leaks({"Kurz-und-geheim_42"}, [("a", encode(f"{before}Kurz-und-geheim_42;".encode()))])


def test_forms_are_long_enough_not_to_occur_by_chance():
    assert all(
        len(form) >= 20 for form in forms("sixteen-chars-ok"[:16]) if not re.fullmatch(rb"sixteen-chars-ok", form)
    )
