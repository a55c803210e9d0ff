"""Every promise of what is refused: the reason, and that nothing is stored."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.accounts.records import Account
from mailsync.connect.id_token import CONSUMER_TENANT
from mailsync.errors import LicenseLapsed, MailsyncError, Misconfigured, Rejected, RetryLater
from tests.mailsync.connect.sign_in import (
    MAILBOX,
    NOW,
    OTHER_TENANT,
    SETTINGS,
    TENANT,
    USER,
    SignIn,
    answer,
    claims,
    grant,
)

SECONDS = int(NOW.timestamp())


def refused(world: SignIn, fields: dict[str, str], cookie: str | None) -> str:
    with pytest.raises(Rejected) as caught:
        world.connector.finish(fields, cookie)
    return caught.value.reason


@pytest.mark.parametrize("other", [None, "", "B" * 43, "x", "B" * 44, "B" * 42 + "=", "é" * 43])
def test_another_browser_is_refused_and_does_not_use_up_the_sign_in(other):
    world = SignIn()
    state, cookie = world.start()
    assert refused(world, answer(state), other) == "wrong_browser"
    assert world.nothing_stored()
    assert not world.directory.completed
    world.connector.finish(answer(state), cookie)


def test_the_cookie_of_another_sign_in_is_the_wrong_one():
    world = SignIn()
    (first, _), (_, second) = world.start(), world.start()
    assert refused(world, answer(first), second) == "wrong_browser"
    assert not world.directory.completed


def test_an_answer_works_once():
    world = SignIn()
    state, cookie = world.start()
    world.connector.finish(answer(state), cookie)
    saves = world.vault.saves
    assert refused(world, answer(state), cookie) == "sign_in_unknown"
    assert (world.vault.saves, len(world.directory.completed)) == (saves, 1)


def test_of_answers_that_come_at_once_one_redeems_the_code():
    world = SignIn()
    state, cookie = world.start()

    def finish(_: int) -> str:
        try:
            return world.connector.finish(answer(state), cookie).mailbox_id
        except Rejected as error:
            return error.reason

    with ThreadPoolExecutor(5) as pool:
        results = sorted(pool.map(finish, range(5)))
    assert results.count("sign_in_unknown") == 4
    assert len(world.directory.completed) == 1


def test_whoever_loses_the_race_for_the_record_is_refused(monkeypatch):
    world = SignIn()
    state, cookie = world.start()
    monkeypatch.setattr(world.signins, "take", lambda record: False)
    assert refused(world, answer(state), cookie) == "sign_in_unknown"
    assert not world.directory.completed


def test_a_refusal_by_microsoft_uses_up_the_sign_in():
    world = SignIn()
    state, cookie = world.start()
    world.directory.failure = Rejected("consent_declined", "The owner declined.")
    assert refused(world, {"error": "access_denied", "state": state}, cookie) == "consent_declined"
    world.directory.failure = None
    assert refused(world, answer(state), cookie) == "sign_in_unknown"
    assert world.nothing_stored()


@pytest.mark.parametrize("fields", [{}, {"code": "x"}, {"state": ""}, {"state": "forged", "code": "x"}, {"error": "e"}])
def test_an_answer_to_no_sign_in_is_refused(fields):
    world = SignIn()
    _, cookie = world.start()
    assert refused(world, fields, cookie) == "sign_in_unknown"
    assert world.nothing_stored()


def test_after_ten_minutes_the_sign_in_is_over():
    world = SignIn()
    state, cookie = world.start()
    world.now += timedelta(minutes=10)
    assert refused(world, answer(state), cookie) == "sign_in_expired"
    assert not world.directory.completed


@pytest.mark.parametrize("field", ["state", "code", "error_description", "anything"])
def test_an_answer_beyond_all_measure_is_refused(field):
    world = SignIn()
    state, cookie = world.start()
    assert refused(world, answer(state) | {field: "x" * 20_000}, cookie) == "bad_answer"
    assert not world.directory.completed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "another"}, "bad_id_token"),
        ({"aud": [SETTINGS.client_id]}, "bad_id_token"),
        ({"aud": None}, "bad_id_token"),
        ({"iss": f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"}, "bad_id_token"),
        ({"iss": f"https://login.microsoftonline.com.evil.example/{TENANT}/v2.0"}, "bad_id_token"),
        ({"iss": f"https://sts.windows.net/{TENANT}/"}, "bad_id_token"),
        ({"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0/v2.0"}, "bad_id_token"),
        ({"iss": "https://login.microsoftonline.com/organizations/v2.0", "tid": "organizations"}, "bad_id_token"),
        ({"iss": None}, "bad_id_token"),
        ({"tid": OTHER_TENANT, "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0"}, "bad_id_token"),
        ({"tid": None}, "bad_id_token"),
        ({"tid": "organizations"}, "bad_id_token"),
        ({"tid": f"{TENANT}/../x"}, "bad_id_token"),
        ({"tid": 7}, "bad_id_token"),
        ({"exp": SECONDS - 300}, "bad_id_token"),
        ({"exp": None}, "bad_id_token"),
        ({"exp": "tomorrow"}, "bad_id_token"),
        ({"exp": float("nan")}, "bad_id_token"),
        ({"exp": True}, "bad_id_token"),
        ({"nbf": SECONDS + 301}, "bad_id_token"),
        ({"nbf": "now"}, "bad_id_token"),
        ({"tid": CONSUMER_TENANT}, "personal_account"),
        ({"oid": "bbbbbbbb-0000-4000-8000-00000000000f"}, "identity_mismatch"),
        ({"oid": 5}, "identity_mismatch"),
    ],
)
def test_an_id_token_that_is_not_right_is_refused(changes, reason):
    world = SignIn()
    world.directory.grant = grant(id_token_claims=claims(**changes))
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == reason
    assert world.nothing_stored()


def test_the_issuer_names_the_tenant_where_the_token_does_not():
    world = SignIn()
    bare = {name: value for name, value in claims().items() if name != "tid"}
    world.directory.grant = grant(id_token_claims=bare)
    world.walk()
    assert list(world.mailboxes.rows) == [MAILBOX]


def test_no_claims_at_all_are_refused():
    world = SignIn()
    world.directory.grant = grant(id_token_claims={})
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == "bad_id_token"


@pytest.mark.parametrize(
    "changes", [{"exp": SECONDS - 299}, {"nbf": SECONDS + 300}, {"oid": USER.upper()}, {"oid": USER}]
)
def test_clocks_may_differ_a_little_and_the_right_oid_is_welcome(changes):
    world = SignIn()
    world.directory.grant = grant(id_token_claims=claims(**changes))
    world.walk()


def test_nbf_may_be_missing():
    world = SignIn()
    without = claims()
    del without["nbf"]
    world.directory.grant = grant(id_token_claims=without)
    world.walk()


def test_a_single_organization_admits_no_other():
    world = SignIn(settings=replace(SETTINGS, tenant=OTHER_TENANT))
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == "wrong_organization"
    assert world.nothing_stored()
    SignIn(settings=replace(SETTINGS, tenant=TENANT)).walk()


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        ({"openid", "offline_access", "User.Read"}, "Mail.Read"),
        ({"openid", "offline_access", "Mail.Read"}, "User.Read"),
        ({"User.Read", "Mail.ReadBasic", "Mail.ReadWrite"}, "Mail.Read"),
        (set(), "User.Read and Mail.Read"),
    ],
)
def test_a_missing_permission_is_named(scopes, missing):
    world = SignIn()
    world.directory.grant = grant(scopes=frozenset(scopes))
    state, cookie = world.start()
    with pytest.raises(Rejected, match=rf"missing_permission: .* {missing}\.") as caught:
        world.connector.finish(answer(state), cookie)
    assert caught.value.reason == "missing_permission"
    assert world.nothing_stored()
    assert not world.me.tokens


@pytest.mark.parametrize("prefix", ["", "https://graph.microsoft.com/"])
def test_scopes_come_in_any_case_and_as_uris(prefix):
    world = SignIn()
    world.directory.grant = grant(scopes=frozenset({f"{prefix}user.read", f"{prefix}MAIL.READ"}))
    world.walk()


@pytest.mark.parametrize("token", [None, ""])
def test_access_that_does_not_last_is_refused(token):
    world = SignIn()
    world.directory.grant = grant(refresh_token=token)
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == "no_refresh_token"
    assert world.nothing_stored()


@pytest.mark.parametrize(
    "address", ["offers_shop.example#EXT#@other.example", "offers_shop.example#ext#@other.onmicrosoft.com"]
)
def test_a_guest_is_refused_even_where_its_address_is_listed(address):
    world = SignIn(Account("other", "Other", domains=("other.example", "other.onmicrosoft.com")))
    world.me.profile = replace(world.me.profile, address=address)
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == "guest_account"
    assert world.nothing_stored()


def test_the_mail_attribute_which_a_tenant_sets_as_it_likes_admits_nobody():
    world = SignIn()
    world.me.profile = replace(world.me.profile, address="mallory@evil.example", mail="offers@shop.example")
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == "no_account"
    assert world.nothing_stored()


@pytest.mark.parametrize("address", ["", "offers", "offers@sub.shop.example", "offers@shop.example.evil.example"])
def test_an_address_that_no_account_lists_is_refused(address):
    world = SignIn(Account("shop", "The Shop", domains=("shop.example",)))
    world.me.profile = replace(world.me.profile, address=address)
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == "no_account"
    assert world.nothing_stored()


@pytest.mark.parametrize(
    "refusal",
    [
        Rejected("mailbox_not_enabled", "The account has no mailbox."),
        LicenseLapsed("The mailbox has no valid licence."),
    ],
    ids=lambda refusal: refusal.reason,
)
def test_a_user_without_a_mailbox_is_told_and_nothing_is_stored(refusal):
    world = SignIn()
    world.me.no_mailbox = refusal
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == "mailbox_not_enabled"
    assert world.nothing_stored()


@pytest.mark.parametrize("user", ["", "me", "../../x", "mailto:x"])
def test_a_user_id_that_is_none_is_refused(user):
    world = SignIn()
    world.me.profile = replace(world.me.profile, user_id=user)
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == "identity_mismatch"
    assert world.nothing_stored()


@pytest.mark.parametrize("failure", [RetryLater("entra_busy", "Busy."), Misconfigured("bad_credential", "Ours.")])
def test_what_is_no_refusal_passes_through(failure):
    world = SignIn()
    world.directory.failure = failure
    state, cookie = world.start()
    with pytest.raises(MailsyncError) as caught:
        world.connector.finish(answer(state), cookie)
    assert caught.value is failure
    assert world.nothing_stored()


def test_a_refusal_is_logged_by_its_reason_and_our_own_sentence(caplog):
    caplog.set_level(logging.DEBUG)
    world = SignIn(Account("shop", "The Shop"))
    state, cookie = world.start()
    refused(world, answer(state), cookie)
    assert caplog.messages == [
        "connect_refused count=1 reason=no_account reference=AAAAAAAC detail=No_Siftrock_account_expects_this_inbox."
    ]


def test_an_inbox_of_another_account_pins_no_tenant_to_a_domain():
    world = SignIn()
    world.walk()
    world.accounts.add(Account("other", "Other", domains=("new.example",)))
    world.me.profile = replace(world.me.profile, address="offers@new.example")
    state, cookie = world.start()
    assert refused(world, answer(state), cookie) == "other_account"
    assert world.accounts.rows["other"].tenant_ids == {}


@given(st.dictionaries(st.sampled_from(["state", "code", "error", "x"]), st.text(max_size=600)), st.none() | st.text())
def test_no_answer_and_no_cookie_is_strange_enough_to_store_anything(given_answer, cookie):
    world = SignIn()
    world.start()
    assert refused(world, given_answer, cookie) in {"sign_in_unknown", "wrong_browser", "bad_answer"}
    assert world.nothing_stored()
