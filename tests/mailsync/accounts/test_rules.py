"""How claims of accounts are written, as tables: one row a case."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from mailsync.accounts import rules
from mailsync.accounts.records import Account
from mailsync.errors import Rejected

DOMAINS = {
    "acme.example": "acme.example",
    " ACME.Example. ": "acme.example",
    "a.b-c.example": "a.b-c.example",
    "1.example": "1.example",
    "MÜNCHEN.example": "xn--mnchen-3ya.example",
    "mu\u0308nchen.example": "xn--mnchen-3ya.example",
    "xn--mnchen-3ya.example": "xn--mnchen-3ya.example",
    "straße.example": "xn--strae-oqa.example",
    "acme.xn--p1ai": "acme.xn--p1ai",
    f"{'a' * 63}.example": f"{'a' * 63}.example",
    ".".join(["a" * 49] * 5): ".".join(["a" * 49] * 5),
    f"{'.'.join(['a' * 61] * 4)}.bcdef": f"{'.'.join(['a' * 61] * 4)}.bcdef",
}


@pytest.mark.parametrize(("typed", "stored"), DOMAINS.items())
def test_domain(typed, stored):
    assert rules.normal_domain(typed) == stored


NO_DOMAINS = {
    "empty": "",
    "no dot": "acme",
    "two dots at the end": "acme.example..",
    "two dots within": "acme..example",
    "a number for its end": "192.0.2.1",
    "an underscore": "a_b.example",
    "a hyphen at its start": "-a.example",
    "a path": "acme.example/x",
    "a label too long": f"{'a' * 64}.example",
    "254 characters": f"{'.'.join(['a' * 61] * 4)}.bcdefg",
    "a ligature": "ﬁrma.example",
    "full width": "ａｃｍｅ.example",
    "a soft hyphen": "ac\u00adme.example",
    "another full stop": "acme。example",
    "an old spelling of nothing": "xn--zz.example",
    "ASCII in Punycode": "xn--acme-.example",
}


@pytest.mark.parametrize("typed", NO_DOMAINS.values(), ids=NO_DOMAINS.keys())
def test_no_domain(typed):
    with refused("bad_domain", f"`{typed}` is not a domain name, or not one that is stored as it was typed."):
        rules.normal_domain(typed)


ADDRESSES = {
    "sales@acme.example": "sales@acme.example",
    " Sales@ACME.Example ": "sales@acme.example",
    "o'brien+x@acme.example": "o'brien+x@acme.example",
    "Straße@MÜNCHEN.example": "straße@xn--mnchen-3ya.example",
    f"{'a' * 307}@acme.example": f"{'a' * 307}@acme.example",
}


@pytest.mark.parametrize(("typed", "stored"), ADDRESSES.items())
def test_address(typed, stored):
    assert rules.normal_address(typed) == stored


NO_ADDRESSES = {
    "empty": "",
    "no @": "acme.example",
    "nothing before the @": "@acme.example",
    "nothing but an @": "@",
    "no domain": "a@",
    "two @": "a@b@acme.example",
    "a blank": "a b@acme.example",
    "an invisible character": "a\u200b@acme.example",
    "a ligature": "ﬁ@acme.example",
    "a sign for a letter": "\u212aelvin@acme.example",
    "a domain that is none": "a@acme",
    "321 characters": f"{'a' * 308}@acme.example",
}


@pytest.mark.parametrize("typed", NO_ADDRESSES.values(), ids=NO_ADDRESSES.keys())
def test_no_address(typed):
    with refused("bad_address", f"`{typed}` is not an address."):
        rules.normal_address(typed)


CLAIMS = {"Acme.example": "acme.example", "Sales@Acme.example": "sales@acme.example"}


@pytest.mark.parametrize(("typed", "stored"), CLAIMS.items())
def test_claim(typed, stored):
    assert rules.normal_claim(typed) == stored


BOX = "AAAAAAAA-0000-4000-8000-00000000000A-BBBBBBBB-0000-4000-8000-00000000000B"
TENANT = BOX[:36]

PINNED = Account(
    "acme",
    "Acme — Café",
    ("sales@acme.example", "info@acme.example"),
    ("acme.test", "acme.example"),
    {"acme.test": "tenant", "acme.example": "another"},
    {"sales@acme.example": "box", "info@acme.example": "other"},
)

ACCOUNTS = {
    "as it is stored": (PINNED, PINNED),
    "each claim once": (
        Account("a", "A", ("X@acme.test", "x@ACME.test"), ("ACME.test", "acme.test.")),
        Account("a", "A", ("x@acme.test",), ("acme.test",)),
    ),
    "pins in small letters": (
        Account("a", "A", (), (), {"ACME.test": TENANT}, {"X@acme.test": BOX}),
        Account("a", "A", (), (), {"acme.test": TENANT.lower()}, {"x@acme.test": BOX.lower()}),
    ),
    "ninety claims": (
        Account("a", "A", ("x@acme.test",), tuple(f"d{n}.test" for n in range(89))),
        Account("a", "A", ("x@acme.test",), tuple(f"d{n}.test" for n in range(89))),
    ),
    "the longest id": (Account("A" * 100, "A"), Account("A" * 100, "A")),
    "an id of all that it may hold": (Account("9a.B_c-", "A"), Account("9a.B_c-", "A")),
}


@pytest.mark.parametrize(("given", "stored"), ACCOUNTS.values(), ids=ACCOUNTS.keys())
def test_account(given, stored):
    assert rules.normal_account(given) == stored


NO_ACCOUNTS = {
    "no id": (Account("", "A"), "bad_account_id", "``: an account id has letters, digits, dots, - and _ only."),
    "an id with a slash": (
        Account("a/b", "A"),
        "bad_account_id",
        "`a/b`: an account id has letters, digits, dots, - and _ only.",
    ),
    "an id that begins with a dot": (
        Account(".a", "A"),
        "bad_account_id",
        "`.a`: an account id has letters, digits, dots, - and _ only.",
    ),
    "an id too long": (
        Account("a" * 101, "A"),
        "bad_account_id",
        f"`{'a' * 101}`: an account id has letters, digits, dots, - and _ only.",
    ),
    "91 claims": (
        Account("a", "A", ("x@acme.test",), tuple(f"d{n}.test" for n in range(90))),
        "too_many_claims",
        "An account has 90 addresses and domains at the most.",
    ),
    "no address": (Account("a", "A", ("no address",)), "bad_address", "`no address` is not an address."),
}


@pytest.mark.parametrize(("account", "reason", "message"), NO_ACCOUNTS.values(), ids=NO_ACCOUNTS.keys())
def test_no_account(account, reason, message):
    with refused(reason, message):
        rules.normal_account(account)


RELEASES = {
    "a domain": ("ACME.test", replace(PINNED, tenant_ids={"acme.example": "another"})),
    "an address": ("Sales@acme.example", replace(PINNED, mailbox_ids={"info@acme.example": "other"})),
}


@pytest.mark.parametrize(("claim", "expected"), RELEASES.values(), ids=RELEASES.keys())
def test_release(claim, expected):
    assert rules.released(PINNED, claim) == expected


NO_RELEASES = {
    "another's claim": (
        "other.test",
        "unknown_claim",
        "Account acme does not claim other.test; `account list` shows what it does.",
    ),
    "nobody has connected by it": (
        "free.test",
        "not_pinned",
        "free.test is free already: nobody has connected by it since it was released.",
    ),
    "no claim at all": (
        "nothing",
        "bad_domain",
        "`nothing` is not a domain name, or not one that is stored as it was typed.",
    ),
}


@pytest.mark.parametrize(("claim", "reason", "message"), NO_RELEASES.values(), ids=NO_RELEASES.keys())
def test_no_release(claim, reason, message):
    with refused(reason, message):
        rules.released(replace(PINNED, domains=("acme.test", "free.test")), claim)


def test_sentences_of_refusals():
    taken = rules.claims_taken({"a@b.test": "acme", "b.test": "other"})
    assert (taken.reason, taken.message) == (
        "already_claimed",
        "a@b.test belongs to account acme, b.test belongs to account other; each address and domain has one account.",
    )
    assert str(rules.id_taken("acme")) == "already_claimed: The id acme is taken; `account list` shows by whom."
    assert str(rules.unknown_account("acme")) == (
        "unknown_account: There is no account acme; `account list` shows those that are."
    )


@contextmanager
def refused(reason, message):
    """Rejected with this reason and sentence."""
    with pytest.raises(Rejected) as refusal:
        yield
    assert (refusal.value.reason, refusal.value.message) == (reason, message)
