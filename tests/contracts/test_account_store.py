from concurrent.futures import ThreadPoolExecutor

import pytest

from mailsync.accounts.records import Account
from mailsync.adapters.storage.accounts import TableAccountStore
from mailsync.adapters.storage.services import table_service
from mailsync.errors import Rejected
from tests.fakes.stores import FakeAccountStore

TENANTS = [f"aaaaaaaa-0000-4000-8000-{n:012x}" for n in range(6)]
ACME = Account("acme", "Acme — Café", ("sales@acme.example", "o'brien+x@acme.example"), ("acme.example", "acme.test"))
EXACT = Account("exact", "Exact", ("boss@acme.example",), ())


@pytest.fixture(params=["fake", "azure"])
def accounts(request):
    return FakeAccountStore() if request.param == "fake" else TableAccountStore(request.getfixturevalue("storage"))


def test_unknown(accounts):
    assert accounts.get("acme") is None
    assert list(accounts.list()) == []
    assert accounts.claimed_by("sales@acme.example") is None


def test_an_account_comes_back_as_it_was_added(accounts):
    accounts.add(ACME)
    accounts.add(EXACT)
    assert accounts.get("acme") == ACME
    assert list(accounts.list()) == [ACME, EXACT]


def test_claims_are_normalised(accounts):
    accounts.add(Account("a", "A", (" Sales@ACME.Example ", "sales@acme.example"), ("MÜNCHEN.Example.", "acme.TEST")))
    assert accounts.get("a").addresses == ("sales@acme.example",)
    assert accounts.get("a").domains == ("xn--mnchen-3ya.example", "acme.test")
    assert accounts.claimed_by("SALES@acme.EXAMPLE")[0].id == "a"
    assert accounts.claimed_by("info@münchen.example") == (accounts.get("a"), "xn--mnchen-3ya.example")


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("straße.example", "xn--strae-oqa.example"),
        ("STRASSE.example", "strasse.example"),
        ("faß.example.", "xn--fa-hia.example"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("mu\u0308nchen.example", "xn--mnchen-3ya.example"),
        ("ελλάς.example", "xn--hxarsa0b.example"),
        ("σας.example", "xn--mxa8ab.example"),
    ],
)
def test_a_domain_is_stored_as_it_was_typed(accounts, typed, stored):
    """Non-transitional: ß and ς stand for themselves, and are not taken for ss and for another sigma."""
    accounts.add(Account("a", "A", (), (typed,)))
    assert accounts.get("a").domains == (stored,)
    assert accounts.claimed_by(f"x@{typed}")[1] == stored


def test_names_that_look_alike_are_two(accounts):
    accounts.add(Account("a", "A", ("straße@acme.example",), ("straße.example",)))
    assert accounts.claimed_by("x@strasse.example") is None
    assert accounts.claimed_by("strasse@acme.example") is None
    accounts.add(Account("b", "B", ("strasse@acme.example",), ("strasse.example",)))
    assert accounts.claimed_by("STRASSE@acme.example")[0].id == "b"
    assert accounts.claimed_by("Straße@acme.example")[0].id == "a"


@pytest.mark.parametrize(
    "domain",
    [
        "ﬁrma.example",
        "ａｃｍｅ.example",
        "acme。example",
        "ac\u00adme.example",
        "ac\u200bme.example",
        "ac\u200dme.example",
        "longſ.example",
        "xn--a.example",
        "xn--zz.example",
        "☃.example",
        "-a.example",
        "a_b.example",
        "192.0.2.1",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "acme.example..",
    ],
)
def test_what_would_be_stored_as_something_else_is_refused(accounts, domain):
    for account in (Account("a", "A", (), (domain,)), Account("a", "A", (f"x@{domain}",), ())):
        with pytest.raises(Rejected, match=r"bad_domain|bad_address"):
            accounts.add(account)
    assert accounts.claimed_by(f"x@{domain}") is None


def test_an_exact_address_beats_a_domain(accounts):
    accounts.add(ACME)
    accounts.add(EXACT)
    assert accounts.claimed_by("boss@acme.example") == (EXACT, None)
    assert accounts.claimed_by("sales@acme.example") == (ACME, None)
    assert accounts.claimed_by("o'brien+x@acme.example") == (ACME, None)
    assert accounts.claimed_by("info@acme.test") == (ACME, "acme.test")


@pytest.mark.parametrize(
    "address",
    ["info@sub.acme.example", "info@acme.example.evil.test", "acme.example", "", "@", "a@", "a b@acme.example"],
)
def test_what_nobody_claims(accounts, address):
    accounts.add(ACME)
    assert accounts.claimed_by(address) is None


@pytest.mark.parametrize(
    ("account", "named"),
    [
        (Account("acme", "Again", (), ("free.example", "acme.test")), "The id acme is taken"),
        (
            Account("b", "B", ("new@free.example", "SALES@acme.example"), ()),
            " sales@acme.example belongs to account acme;",
        ),
        (Account("b", "B", (), ("free.example", "ACME.test")), " acme.test belongs to account acme;"),
    ],
)
def test_what_is_claimed_is_refused_whole(accounts, account, named):
    accounts.add(ACME)
    with pytest.raises(Rejected, match=named) as refusal:
        accounts.add(account)
    assert refusal.value.reason == "already_claimed"
    assert list(accounts.list()) == [ACME]
    assert accounts.claimed_by("info@free.example") is None
    accounts.add(Account("c", "C", ("new@free.example",), ("free.example",)))


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (Account("a/b", "A"), "bad_account_id"),
        (Account("", "A"), "bad_account_id"),
        (Account("a", "A", ("no address",)), "bad_address"),
        (Account("a", "A", ("a@b@",)), "bad_address"),
        (Account("a", "A", ("a@b@c.example",)), "bad_address"),
        (Account("a", "A", ("ﬁ@c.example",)), "bad_address"),
        (Account("a", "A", ("\u212aelvin@c.example",)), "bad_address"),
        (Account("a", "A", (), ("nodots",)), "bad_domain"),
        (Account("a", "A", (), ("a..example",)), "bad_domain"),
        (Account("a", "A", (), ("a/b.example",)), "bad_domain"),
        (Account("a", "A", (), tuple(f"d{n}.example" for n in range(91))), "too_many_claims"),
    ],
)
def test_what_cannot_be_stored_is_refused(accounts, account, reason):
    with pytest.raises(Rejected) as refusal:
        accounts.add(account)
    assert refusal.value.reason == reason
    assert list(accounts.list()) == []


def test_ninety_claims(accounts):
    accounts.add(Account("a", "A", (), tuple(f"d{n}.example" for n in range(90))))
    assert accounts.claimed_by("x@d89.example")[1] == "d89.example"


def test_the_first_tenant_is_pinned(accounts):
    accounts.add(ACME)
    assert accounts.pin_tenant("acme", "acme.test", TENANTS[0].upper()) == TENANTS[0]
    assert accounts.pin_tenant("acme", "ACME.test", TENANTS[1]) == TENANTS[0]
    assert accounts.pin_tenant("acme", "acme.example", TENANTS[1]) == TENANTS[1]
    assert accounts.get("acme").tenant_ids == {"acme.test": TENANTS[0], "acme.example": TENANTS[1]}
    assert accounts.get("acme").addresses == ACME.addresses


BOXES = [f"{tenant}-bbbbbbbb-0000-4000-8000-000000000001" for tenant in TENANTS]


def test_the_first_user_of_an_address_is_pinned(accounts):
    accounts.add(ACME)
    assert accounts.pin_mailbox("acme", "Sales@acme.example", BOXES[0].upper()) == BOXES[0]
    assert accounts.pin_mailbox("acme", "sales@ACME.example", BOXES[1]) == BOXES[0]
    accounts.pin_tenant("acme", "acme.test", TENANTS[0])
    assert accounts.get("acme").mailbox_ids == {"sales@acme.example": BOXES[0]}
    assert accounts.get("acme").tenant_ids == {"acme.test": TENANTS[0]}


def test_a_claim_that_was_released_is_the_next_ones(accounts):
    accounts.add(ACME)
    accounts.pin_mailbox("acme", "sales@acme.example", BOXES[0])
    accounts.pin_tenant("acme", "acme.test", TENANTS[0])
    assert accounts.release("acme", "SALES@acme.example").mailbox_ids == {}
    assert accounts.get("acme").tenant_ids == {"acme.test": TENANTS[0]}
    assert accounts.pin_mailbox("acme", "sales@acme.example", BOXES[1]) == BOXES[1]
    accounts.release("acme", "acme.test")
    assert accounts.pin_tenant("acme", "acme.test", TENANTS[1]) == TENANTS[1]


@pytest.mark.parametrize(
    ("account", "claim", "reason"),
    [
        ("nobody", "acme.test", "unknown_account"),
        ("acme", "other.example", "unknown_claim"),
        ("acme", "boss@acme.example", "unknown_claim"),
        ("acme", "acme.example", "not_pinned"),
        ("acme", "sales@acme.example", "not_pinned"),
        ("acme", "no dots", "bad_domain"),
    ],
)
def test_what_cannot_be_released(accounts, account, claim, reason):
    accounts.add(ACME)
    with pytest.raises(Rejected) as refusal:
        accounts.release(account, claim)
    assert refusal.value.reason == reason
    assert accounts.get("acme") == ACME


def test_a_row_of_before_addresses_were_pinned_is_read(storage):
    accounts = TableAccountStore(storage)
    accounts.add(ACME)
    table = table_service(storage).get_table_client("accounts")
    row = dict(table.get_entity("account", "account-acme"))
    del row["mailboxIds"]
    table.update_entity(row, "replace")
    assert accounts.get("acme") == ACME
    assert accounts.claimed_by("sales@acme.example") == (ACME, None)
    assert accounts.pin_mailbox("acme", "sales@acme.example", BOXES[0]) == BOXES[0]


def test_pinning_at_once_ends_with_one_tenant(accounts):
    accounts.add(ACME)
    with ThreadPoolExecutor(6) as pool:
        pinned = set(pool.map(lambda tenant: accounts.pin_tenant("acme", "acme.test", tenant), TENANTS))
    assert len(pinned) == 1
    assert accounts.get("acme").tenant_ids == {"acme.test": pinned.pop()}


def test_pinning_for_an_unknown_account(accounts):
    with pytest.raises(Rejected) as refusal:
        accounts.pin_tenant("nobody", "acme.test", TENANTS[0])
    assert refusal.value.reason == "unknown_account"
