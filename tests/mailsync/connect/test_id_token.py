"""What of Microsoft's answer is taken, as tables: one row a case."""

from dataclasses import replace

import pytest

from mailsync.connect.id_token import CONSUMER_TENANT, check_grant, check_profile, checked_tenant
from mailsync.errors import Rejected
from mailsync.mailboxes.records import Profile
from tests.mailsync.connect.sign_in import CLIENT, NOW, OTHER_TENANT, SETTINGS, TENANT, USER, claims, grant

SECONDS = int(NOW.timestamp())
MICROSOFT = "https://login.microsoftonline.com"
ABSENT = object()


def said(**changes):
    """Claims that are right but for the changes."""
    return {name: value for name, value in claims(**changes).items() if value is not ABSENT}


def issuer(tenant=TENANT):
    return f"{MICROSOFT}/{tenant}/v2.0"


TENANTS = {
    # The claims, ENTRA_TENANT; the tenant.
    "all as it should be": ({}, "organizations", TENANT),
    "the organization that is served": ({}, TENANT, TENANT),
    "another organization, where all are served": ({"tid": OTHER_TENANT}, "organizations", OTHER_TENANT),
    "without tid": ({"tid": ABSENT, "iss": issuer()}, "organizations", TENANT),
    "tid in capitals": ({"tid": TENANT.upper(), "iss": issuer()}, "organizations", TENANT),
    "an issuer in capitals": ({"iss": issuer(TENANT.upper())}, "organizations", TENANT),
    "without nbf": ({"nbf": ABSENT}, "organizations", TENANT),
    "over for less than five minutes": ({"exp": SECONDS - 299}, "organizations", TENANT),
    "begins in five minutes": ({"nbf": SECONDS + 300}, "organizations", TENANT),
    "times with fractions": ({"exp": SECONDS + 0.5, "nbf": SECONDS - 0.5}, "organizations", TENANT),
}


@pytest.mark.parametrize(("changes", "served", "tenant"), TENANTS.values(), ids=TENANTS.keys())
def test_tenant(changes, served, tenant):
    assert checked_tenant(said(**changes), replace(SETTINGS, tenant=served), NOW) == tenant


def bad(claim):
    return f"Microsoft's answer did not pass the check of its id_token claim `{claim}`."


REFUSALS = {
    # The claims, ENTRA_TENANT; the reason, the sentence.
    "no audience": ({"aud": ABSENT}, "organizations", "bad_id_token", bad("aud")),
    "another audience": ({"aud": USER}, "organizations", "bad_id_token", bad("aud")),
    "one audience of several": ({"aud": [CLIENT]}, "organizations", "bad_id_token", bad("aud")),
    "no issuer": ({"iss": ABSENT}, "organizations", "bad_id_token", bad("iss")),
    "an issuer elsewhere": (
        {"iss": f"https://evil.example/{TENANT}/v2.0"},
        "organizations",
        "bad_id_token",
        bad("iss"),
    ),
    "an issuer of tokens of another kind": (
        {"iss": f"{MICROSOFT}/{TENANT}/"},
        "organizations",
        "bad_id_token",
        bad("iss"),
    ),
    "an issuer that is a tenant only": ({"iss": TENANT}, "organizations", "bad_id_token", bad("iss")),
    "an issuer that names no tenant": ({"iss": issuer("organizations")}, "organizations", "bad_id_token", bad("iss")),
    "an issuer with more after it": ({"iss": f"{issuer()}/x"}, "organizations", "bad_id_token", bad("iss")),
    "tid of another tenant": ({"tid": OTHER_TENANT, "iss": issuer()}, "organizations", "bad_id_token", bad("tid")),
    "no tenant in tid": ({"tid": None, "iss": issuer()}, "organizations", "bad_id_token", bad("tid")),
    "no end": ({"exp": ABSENT}, "organizations", "bad_id_token", bad("exp")),
    "over for five minutes": ({"exp": SECONDS - 300}, "organizations", "bad_id_token", bad("exp")),
    "an end that is no number": ({"exp": str(SECONDS + 60)}, "organizations", "bad_id_token", bad("exp")),
    "an end that is true": ({"exp": True}, "organizations", "bad_id_token", bad("exp")),
    "an end that compares with nothing": ({"exp": float("nan")}, "organizations", "bad_id_token", bad("exp")),
    "begins in more than five minutes": ({"nbf": SECONDS + 301}, "organizations", "bad_id_token", bad("nbf")),
    "a beginning that is no number": ({"nbf": str(SECONDS)}, "organizations", "bad_id_token", bad("nbf")),
    "a beginning that is true": ({"nbf": True}, "organizations", "bad_id_token", bad("nbf")),
    "a beginning that compares with nothing": ({"nbf": float("nan")}, "organizations", "bad_id_token", bad("nbf")),
    "a personal account": (
        {"tid": CONSUMER_TENANT},
        "organizations",
        "personal_account",
        "A personal Microsoft account cannot be connected.",
    ),
    "another organization than is served": (
        {},
        OTHER_TENANT,
        "wrong_organization",
        "The inbox belongs to an organization that this app does not serve.",
    ),
}


@pytest.mark.parametrize(("changes", "served", "reason", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusal(changes, served, reason, message):
    with pytest.raises(Rejected) as refusal:
        checked_tenant(said(**changes), replace(SETTINGS, tenant=served), NOW)
    assert (refusal.value.reason, refusal.value.message) == (reason, message)


GRANTED = {
    "bare": ("User.Read", "Mail.Read"),
    "as addresses": ("https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Mail.Read"),
    "in any case": ("user.read", "MAIL.READ"),
    "with more": ("User.Read", "Mail.Read", "openid"),
}


@pytest.mark.parametrize("scopes", GRANTED.values(), ids=GRANTED.keys())
def test_a_grant_of_all_that_is_needed(scopes):
    assert check_grant(grant(scopes=frozenset(scopes))) == "the-refresh-token"


LACKING = {
    "no permission": (
        {"scopes": frozenset()},
        "missing_permission",
        "Microsoft did not grant User.Read and Mail.Read.",
    ),
    "no mail": ({"scopes": frozenset({"User.Read"})}, "missing_permission", "Microsoft did not grant Mail.Read."),
    "another permission of a like name": (
        {"scopes": frozenset({"User.Read", "Mail.ReadBasic"})},
        "missing_permission",
        "Microsoft did not grant Mail.Read.",
    ),
    "nothing lasting": (
        {"refresh_token": None},
        "no_refresh_token",
        "Microsoft gave no lasting access (offline_access).",
    ),
    "an empty refresh token": (
        {"refresh_token": ""},
        "no_refresh_token",
        "Microsoft gave no lasting access (offline_access).",
    ),
}


@pytest.mark.parametrize(("changes", "reason", "message"), LACKING.values(), ids=LACKING.keys())
def test_a_grant_that_lacks_something(changes, reason, message):
    with pytest.raises(Rejected) as refusal:
        check_grant(grant(**changes))
    assert (refusal.value.reason, refusal.value.message) == (reason, message)


PROFILES = {
    # The user id and address as Graph has them, the claims.
    "nothing to compare": (USER, "o@shop.example", {}),
    "the same user": (USER, "o@shop.example", {"oid": USER}),
    "the same, the claim in capitals": (USER, "o@shop.example", {"oid": USER.upper()}),
    "the same, Graph in capitals": (USER.upper(), "o@shop.example", {"oid": USER}),
    "a name in other letters before the @": (USER, "ö@shop.example", {}),
    "other letters before the last @": (USER, "o@shöp.example@shop.example", {}),
}


@pytest.mark.parametrize(("user", "address", "told"), PROFILES.values(), ids=PROFILES.keys())
def test_profile(user, address, told):
    check_profile(Profile(user, address), told)


DIFFER = "Microsoft's two answers name different users."
GUEST = "A guest's account holds no inbox of this organization."
ODD = "The user principal name's domain is not in ASCII."

NO_PROFILES = {
    "another user": (USER, "o@shop.example", {"oid": TENANT}, "identity_mismatch", DIFFER),
    "an empty oid": (USER, "o@shop.example", {"oid": ""}, "identity_mismatch", DIFFER),
    "a guest": (USER, "o_shop.example#EXT#@other.example", {}, "guest_account", GUEST),
    "a guest in small letters": (USER, "o_shop.example#ext#@other.example", {}, "guest_account", GUEST),
    "a domain that looks like another": (USER, "o@shöp.example", {}, "odd_address", ODD),
    "a domain in other letters after the last @": (USER, "o@shop.example@shöp.example", {}, "odd_address", ODD),
}


@pytest.mark.parametrize(("user", "address", "told", "reason", "message"), NO_PROFILES.values(), ids=NO_PROFILES.keys())
def test_no_profile(user, address, told, reason, message):
    with pytest.raises(Rejected) as refusal:
        check_profile(Profile(user, address), told)
    assert (refusal.value.reason, refusal.value.message) == (reason, message)
