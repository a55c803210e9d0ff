import base64
import hashlib
import json
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from mailsync.adapters.entra.directory import EntraDirectory
from mailsync.errors import MailsyncError, Misconfigured, ReconnectRequired, Rejected, RetryLater
from mailsync.settings import Settings
from tests.adapters.stub_transport import Reply, stub_session

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOST = "https://login.microsoftonline.com"
REDIRECT = "https://connect.example/auth/callback"
SECRETS = ("the-secret", "the-code", "old-refresh", "new-refresh", "the-access-token", "the-verifier")
DISCOVERY = Reply(
    200,
    {
        "issuer": f"{HOST}/{{tenantid}}/v2.0",
        "authorization_endpoint": f"{HOST}/organizations/oauth2/v2.0/authorize",
        "token_endpoint": f"{HOST}/organizations/oauth2/v2.0/token",
    },
)


def settings(**changes):
    environ = {
        "PUBLIC_BASE_URL": "https://connect.example",
        "ENTRA_CLIENT_ID": "22222222-2222-4222-8222-222222222222",
        "ENTRA_CLIENT_SECRET": "the-secret",
        "KEY_VAULT_URL": "https://vault.example",
        "MAIL_STORAGE": "UseDevelopmentStorage=true",
    }
    return Settings.load(environ | changes)


class Directory(EntraDirectory):
    def __init__(self, *script, **changes):
        session, self.wire = stub_session(DISCOVERY, *script)
        super().__init__(settings(**changes), clock=lambda: NOW, session=session)

    @property
    def form(self):
        return {name: values[0] for name, values in parse_qs(self.wire.seen[-1].body).items()}


def id_token(nonce_of=None, **claims):
    if nonce_of:
        claims["nonce"] = hashlib.sha256(nonce_of.encode("ascii")).hexdigest()
    parts = [{"alg": "none"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "signature"])


def tokens(**changes):
    body = {
        "token_type": "Bearer",
        "scope": "Mail.Read https://graph.microsoft.com/User.Read openid",
        "expires_in": 3599,
        "access_token": "the-access-token",
        "refresh_token": "new-refresh",
    }
    return Reply(200, body | changes)


def refusal(error, number=None, status=400, suberror=None, **more):
    text = f"AADSTS{number}: owner@contoso.example must not be told. Trace ID: x" if number else "no details"
    body = {"error": error, "error_description": text, "correlation_id": "corr-1"}
    if number:
        body["error_codes"] = [number]
    if suberror:
        body["suberror"] = suberror
    return Reply(status, body, more.get("headers", {}))


def signed_in(directory, **claims):
    """A sign-in up to the code; returns flow and answer."""
    request = directory.begin(REDIRECT)
    flow = json.loads(json.dumps(dict(request.flow)))  # as it comes back out of the table
    directory.wire.script = [
        reply if reply.body != "tokens" else tokens(id_token=id_token(flow["nonce"], **claims))
        for reply in directory.wire.script
    ]
    return flow, {"code": "the-code", "state": request.state}


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    yield
    for text in (*SECRETS, "owner@contoso.example"):
        assert text not in caplog.text


def test_begin_asks_for_exactly_the_four_scopes():
    directory = Directory()
    request = directory.begin(REDIRECT)
    query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
    assert request.url.startswith(f"{HOST}/organizations/oauth2/v2.0/authorize?")
    assert set(query["scope"].split()) == {"openid", "offline_access", "User.Read", "Mail.Read"}
    assert query["response_mode"] == "form_post"
    assert query["prompt"] == "select_account"
    assert query["code_challenge_method"] == "S256"
    assert query["state"] == request.state == request.flow["state"]
    assert query["nonce"]
    assert query["redirect_uri"] == REDIRECT
    assert request.flow["code_verifier"] not in request.url
    assert request.flow["nonce"] not in request.url


def test_discovery_is_asked_once():
    directory = Directory()
    assert directory.begin(REDIRECT).state != directory.begin(REDIRECT).state
    assert len(directory.wire.seen) == 1


def test_a_code_becomes_a_grant():
    directory = Directory(Reply(body="tokens"))
    flow, answer = signed_in(directory, tid="tenant", aud="someone else", exp=1)
    grant = directory.complete(flow, answer)
    assert grant.access_token == "the-access-token"
    assert grant.refresh_token == "new-refresh"
    assert grant.expires_at == NOW + timedelta(seconds=3599)
    assert grant.scopes == {"Mail.Read", "User.Read", "openid"}
    assert grant.id_token_claims["tid"] == "tenant"
    assert directory.form["code_verifier"] == flow["code_verifier"]
    assert directory.form["redirect_uri"] == REDIRECT
    assert directory.form["client_secret"] == "the-secret"
    assert "profile" not in directory.form["scope"]
    assert directory.wire.timeouts == [(5.0, 30.0)] * 2
    assert not any(secret in repr(grant) for secret in SECRETS)


@pytest.mark.parametrize("state", [None, "", "other"])
def test_an_answer_of_another_sign_in_is_refused_unsent(state):
    directory = Directory()
    flow, answer = signed_in(directory)
    answer = {"code": answer["code"]} if state is None else answer | {"state": state}
    with pytest.raises(Rejected) as caught:
        directory.complete(flow, answer)
    assert caught.value.reason == "bad_answer"
    assert flow["state"] not in str(caught.value)
    assert len(directory.wire.seen) == 1


def test_an_answer_without_code_is_refused():
    directory = Directory()
    flow, answer = signed_in(directory)
    with pytest.raises(Rejected, match="bad_answer"):
        directory.complete(flow, {"state": answer["state"]})


@pytest.mark.parametrize("token", [id_token("another nonce"), id_token(), "nonsense", "a.b.c", "a.!!.c"])
def test_an_id_token_of_another_sign_in_is_refused(token):
    directory = Directory(tokens(id_token=token))
    flow, answer = signed_in(directory)
    with pytest.raises(Rejected) as caught:
        directory.complete(flow, answer)
    assert caught.value.reason == "bad_id_token"
    assert caught.value.__suppress_context__
    assert "nonce" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "number", "kind", "reason"),
    [
        ("access_denied", 65004, Rejected, "consent_declined"),
        ("access_denied", None, Rejected, "consent_declined"),
        ("access_denied", 90094, Rejected, "admin_approval_required"),
        ("access_denied", 90095, Rejected, "admin_approval_required"),
        ("consent_required", None, Rejected, "admin_approval_required"),
        ("interaction_required", 53003, Rejected, "conditional_access"),
        ("access_denied", 53003, Rejected, "conditional_access"),
        ("temporarily_unavailable", None, RetryLater, "entra_unavailable"),
        ("server_error", None, RetryLater, "entra_unavailable"),
        ("unauthorized_client", 700016, Misconfigured, "invalid_client"),
        ("invalid_client", None, Misconfigured, "invalid_client"),
        ("invalid_request", None, Misconfigured, "entra_refused"),
        ("invalid_request", 50194, Misconfigured, "bad_authority"),
        ("invalid_request", 50011, Misconfigured, "bad_redirect_uri"),
        ("invalid_scope", 70011, Misconfigured, "bad_permissions"),
        ("invalid_resource", 500011, Misconfigured, "bad_permissions"),
        ("invalid_tenant", 90002, Misconfigured, "bad_authority"),
        ("unsupported_response_type", None, Misconfigured, "entra_refused"),
        ("invalid_grant", None, Rejected, "sign_in_failed"),
        ("call_0800_12345", None, Rejected, "sign_in_failed"),
        ("<script>", None, Rejected, "sign_in_failed"),
    ],
)
def test_refusals_that_come_through_the_browser(error, number, kind, reason):
    directory = Directory()
    flow, answer = signed_in(directory)
    with pytest.raises(MailsyncError) as caught:
        directory.complete(flow, dict(refusal(error, number).body, state=answer["state"]))
    assert (type(caught.value), caught.value.reason) == (kind, reason)
    assert "owner@" not in str(caught.value)
    assert not any(word in str(caught.value) for word in ("<", "0800", "corr-1"))
    assert not isinstance(caught.value, Misconfigured) or caught.value.hearsay


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (refusal("invalid_grant", 70008), Rejected, "code_expired"),
        (refusal("invalid_grant", 54005), Rejected, "code_expired"),
        (refusal("invalid_grant"), Rejected, "code_expired"),
        (refusal("invalid_grant", 65001), Rejected, "admin_approval_required"),
        (refusal("invalid_grant", 53003), Rejected, "conditional_access"),
        (refusal("interaction_required", 50076), Rejected, "conditional_access"),
        (refusal("invalid_client", 7000215, 401), Misconfigured, "invalid_client"),
        (refusal("unauthorized_client", 700016), Misconfigured, "invalid_client"),
        (refusal("temporarily_unavailable", 90033, 503), RetryLater, "entra_unavailable"),
        (refusal("invalid_request", 9002313), Misconfigured, "entra_refused"),
        (refusal("invalid_request", 500200), Rejected, "personal_account"),
        (refusal("invalid_request", 50020), Rejected, "wrong_organization"),
        (refusal("unheard_of"), Misconfigured, "entra_refused"),
    ],
)
def test_refusals_of_a_code(reply, kind, reason):
    directory = Directory(reply)
    flow, answer = signed_in(directory)
    with pytest.raises(MailsyncError) as caught:
        directory.complete(flow, answer)
    assert (type(caught.value), caught.value.reason) == (kind, reason)
    assert "owner@" not in str(caught.value)


def test_a_refresh():
    directory = Directory(tokens(id_token=id_token(sub="x")))
    grant = directory.refresh("old-refresh")
    assert grant.refresh_token == "new-refresh"
    assert grant.id_token_claims == {}
    assert directory.form["grant_type"] == "refresh_token"
    assert set(directory.form["scope"].split()) == {"openid", "offline_access", "User.Read", "Mail.Read"}


def test_an_answer_without_refresh_token_and_scope():
    directory = Directory(Reply(200, {"access_token": "the-access-token", "expires_in": 60}))
    grant = directory.refresh("old-refresh")
    assert grant.refresh_token is None
    assert grant.scopes == {"Mail.Read", "User.Read"}


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (refusal("invalid_grant", 50173), ReconnectRequired, "grant_revoked"),
        (refusal("invalid_grant", 700082, suberror="bad_token"), ReconnectRequired, "grant_revoked"),
        (refusal("invalid_grant", 65001, suberror="consent_required"), ReconnectRequired, "consent_required"),
        (refusal("consent_required"), ReconnectRequired, "consent_required"),
        (refusal("interaction_required", 50076), ReconnectRequired, "interaction_required"),
        (refusal("invalid_grant", 53003), ReconnectRequired, "interaction_required"),
        (refusal("invalid_client", 7000222, 401), Misconfigured, "invalid_client"),
        (refusal("unauthorized_client", 700016), Rejected, "app_not_in_tenant"),
        (refusal("unauthorized_client", 7000112), Rejected, "app_not_in_tenant"),
        (refusal("unauthorized_client", 700024), Misconfigured, "invalid_client"),
        (refusal("invalid_client", 700016), Misconfigured, "invalid_client"),
        (refusal("invalid_request", 900144), Misconfigured, "entra_refused"),
        (refusal("invalid_request", 50020), Misconfigured, "bad_authority"),
        (refusal("access_denied"), Misconfigured, "entra_refused"),
        (refusal("unheard_of"), Misconfigured, "entra_refused"),
        (refusal(["invalid_grant"]), Misconfigured, "entra_refused"),
        (refusal("invalid_grant", 50196), RetryLater, "entra_unavailable"),
        (Reply(200, {"token_type": "Bearer"}), RetryLater, "entra_unavailable"),
        (Reply(200, b'{"access_token": "the-access-token", "ref'), RetryLater, "entra_unavailable"),
        (Reply(404, b"<html>the-access-token"), RetryLater, "entra_unavailable"),
        (Reply(302, headers={"Location": "https://evil.example"}), RetryLater, "entra_unavailable"),
        (Reply(error=requests.ConnectTimeout("…")), RetryLater, "entra_unavailable"),
    ],
)
def test_refusals_of_a_refresh_token(reply, kind, reason):
    directory = Directory(reply)
    with pytest.raises(MailsyncError) as caught:
        directory.refresh("old-refresh")
    assert (type(caught.value), caught.value.reason) == (kind, reason)
    assert "owner@" not in str(caught.value)
    assert len(directory.wire.seen) == 2


def test_a_correlation_id_is_repeated_for_it_is_what_microsofts_support_asks_for():
    known = "0F8FAD5B-D9CB-469F-A165-70867728950E"
    answer = refusal("invalid_grant", 50173)
    answer.body["correlation_id"] = known
    directory = Directory(answer)
    with pytest.raises(ReconnectRequired, match=known.lower()):
        directory.refresh("old-refresh")


def test_throttling_names_its_wait_and_is_not_remembered():
    directory = Directory(refusal("temporarily_unavailable", 90055, 429, headers={"Retry-After": "17"}), tokens())
    with pytest.raises(RetryLater) as caught:
        directory.refresh("old-refresh")
    assert caught.value.retry_after == 17
    assert directory.refresh("old-refresh").refresh_token == "new-refresh"


def test_a_failed_discovery_is_tried_again():
    directory = Directory(tokens())
    directory.wire.script.insert(0, Reply(503, b"busy"))
    with pytest.raises(RetryLater):
        directory.refresh("old-refresh")
    assert directory.refresh("old-refresh").access_token == "the-access-token"


def test_an_unknown_tenant_is_the_operators_matter():
    directory = Directory()
    directory.wire.script = [refusal("invalid_tenant", 90002)]
    with pytest.raises(Misconfigured, match="ENTRA_TENANT"):
        directory.begin(REDIRECT)


def test_secrets_go_to_no_other_host():
    directory = Directory()
    elsewhere = dict(DISCOVERY.body, token_endpoint="https://evil.example/organizations/token")
    directory.wire.script = [Reply(200, elsewhere)]
    with pytest.raises(Misconfigured, match="bad_authority"):
        directory.refresh("old-refresh")
    assert len(directory.wire.seen) == 1


def test_an_app_without_any_credential_is_misconfigured():
    with pytest.raises(Misconfigured, match="AZURE_CLIENT_ID"):
        Directory(ENTRA_CLIENT_SECRET="").begin(REDIRECT)


def test_admin_consent_names_the_scopes():
    url = urlsplit(Directory().admin_consent_url(REDIRECT, "state-1"))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{HOST}/organizations/v2.0/adminconsent"
    assert query == {
        "client_id": "22222222-2222-4222-8222-222222222222",
        "scope": "openid offline_access User.Read Mail.Read",
        "redirect_uri": REDIRECT,
        "state": "state-1",
    }


def test_nothing_stays_in_msals_cache():
    directory = Directory(tokens())
    directory.refresh("old-refresh")
    cache = directory._app().token_cache  # noqa: SLF001 - what nobody else can see must not be there
    assert [*cache.search("RefreshToken"), *cache.search("AccessToken"), *cache.search("IdToken")] == []


def raw(content):
    return Reply(200, content)


TOKEN = b'"token_type":"Bearer","expires_in":3599,"access_token":"the-access-token","refresh_token":"new-refresh"'


@pytest.mark.parametrize("odd", [rb'"x":"\ud83d"', b'"x":"\xff"', b'"x":"\x01"', b'"x":NaN', b'"refresh_token":5'])
def test_an_oddity_of_a_token_answer_costs_itself_alone(odd):
    grant = Directory(raw(b"{" + TOKEN + b"," + odd + b"}")).refresh("old-refresh")
    assert grant.access_token == "the-access-token"
    assert grant.refresh_token == (None if b"refresh" in odd else "new-refresh")


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None},
        {"access_token": 5},
        {"access_token": ""},
        {"access_token": "half \ud83d"},
        {"access_token": "line\r\nfeed"},
    ],
)
def test_a_token_answer_that_lacks_what_it_must_have_passes(changes):
    with pytest.raises(RetryLater, match="entra_unavailable"):
        Directory(tokens(**changes)).refresh("old-refresh")


@pytest.mark.parametrize(
    "changes",
    [
        *({"expires_in": odd} for odd in (None, [], "soon", 1e300, 0, -1)),
        *({"id_token": odd} for odd in (None, 5, "a.b.c", "the-access-token.!!")),
        *({"scope": odd} for odd in (None, 5, [])),
        *({"error": odd} for odd in (None, "", [])),
        *({name: odd} for name in ("refresh_in", "client_info", "foci") for odd in (None, 1e300, [], "!!")),
    ],
)
def test_an_oddity_beside_a_rotated_refresh_token_does_not_cost_the_token(changes):
    grant = Directory(tokens(**{"refresh_token": "rotated"} | changes)).refresh("old-refresh")
    assert (grant.access_token, grant.refresh_token) == ("the-access-token", "rotated")
    assert timedelta() < grant.expires_at - NOW <= timedelta(days=1)


def test_a_refresh_token_that_no_request_could_carry_replaces_none():
    assert Directory(tokens(refresh_token="line\r\nfeed")).refresh("old-refresh").refresh_token is None


@pytest.mark.parametrize("odd", [None, 5, [], {}, "\ud83d", "AADSTS70000: \ud83d"])
@pytest.mark.parametrize("name", ["error_description", "error_codes", "suberror", "correlation_id"])
def test_an_oddity_of_a_refusal_leaves_its_code(name, odd):
    body = {"error": "invalid_grant", "error_description": "AADSTS70000: gone", name: odd}
    with pytest.raises(ReconnectRequired, match="grant_revoked"):
        Directory(Reply(400, body)).refresh("old-refresh")


def test_half_of_a_surrogate_pair_in_a_claim_is_replaced():
    directory = Directory(Reply(body="tokens"))
    flow, answer = signed_in(directory, tid="tenant", name="half \ud83d")
    assert directory.complete(flow, answer).id_token_claims["name"] == "half \ufffd"


ODD = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.just("\ud83d")
NAMES_OF_TOKENS = ("access_token", "expires_in", "refresh_token", "scope", "id_token", "client_info", "token_type")
NAMES_OF_ERRORS = ("error", "error_description", "error_codes", "suberror", "claims", "correlation_id")


@given(
    st.sampled_from([200, 400, 401]),
    st.dictionaries(st.sampled_from(NAMES_OF_TOKENS + NAMES_OF_ERRORS), ODD, max_size=4),
    st.integers(0, 400),
    st.binary(max_size=3) | st.just(rb"\ud800"),
)
def test_whatever_entra_answers_ends_in_a_grant_or_in_a_declared_error(status, changes, place, splinter):
    content = json.dumps(tokens().body | changes).encode()
    content = content[:place] + splinter + content[place:]
    with suppress(MailsyncError):
        assert Directory(Reply(status, content)).refresh("old-refresh").access_token.isascii()
