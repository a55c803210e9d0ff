"""What Entra refuses, and how."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

from sandbox import constants
from sandbox.entra.directory import DELEGATED_SCOPES, ManagedIdentity
from sandbox.entra.tokens import EXCHANGE_AUDIENCE, VAULT_AUDIENCE, managed_identity_token
from sandbox.microsoft365.world import World, new_signing_key
from tests.sandbox.walk import answer, form, sign_in

REDIRECT_URI = "https://localhost:7071/auth/callback"
ADDRESS = "ana@contoso.example"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
SCOPES = " ".join(DELEGATED_SCOPES)


def authorize_url(microsoft365, tenant="organizations", **changes):
    query = {
        "client_id": constants.APP_CLIENT_ID,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "response_mode": "form_post",
        "scope": SCOPES,
        "state": "the state",
        "nonce": "the nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    kept = {name: value for name, value in query.items() if value is not None}
    return f"{microsoft365.entra}/{tenant}/oauth2/v2.0/authorize?{urlencode(kept)}"


def assertion(world, resource=EXCHANGE_AUDIENCE, **identity):
    return managed_identity_token(world, ManagedIdentity(**identity), resource)[0]


def token(microsoft365, browser, tenant="organizations", **changes):
    data = {
        "client_id": constants.APP_CLIENT_ID,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(microsoft365.world),
        "grant_type": "authorization_code",
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
        **changes,
    }
    kept = {name: value for name, value in data.items() if value is not None}
    return browser.post(f"{microsoft365.entra}/{tenant}/oauth2/v2.0/token", data=kept)


@pytest.fixture
def user(microsoft365):
    return microsoft365.world.create_user(ADDRESS)


@pytest.fixture
def code(microsoft365, browser, user):
    return answer(browser, authorize_url(microsoft365), ADDRESS)["code"]


@pytest.fixture
def refresh_token(microsoft365, browser, code):
    return token(microsoft365, browser, code=code).json()["refresh_token"]


def refused(response):
    body = response.json()
    assert body["error_description"].startswith(f"AADSTS{body['error_codes'][0]}: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= body.keys()
    return response.status_code, body["error"], body["error_codes"][0]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": "99999999-9999-4999-8999-999999999999"}, 700016),
        ({"client_id": None}, 900144),
        ({"redirect_uri": f"{REDIRECT_URI}/"}, 50011),
        ({"redirect_uri": REDIRECT_URI.replace("localhost", "LOCALHOST")}, 50011),
        ({"redirect_uri": "https://evil.example/auth/callback"}, 50011),
        ({"redirect_uri": None}, 50011),
        ({"response_mode": "fragment"}, 900144),
    ],
)
def test_never_redirects_to_a_stranger(microsoft365, browser, changes, code):
    response = browser.get(authorize_url(microsoft365, **changes))
    assert response.status_code == 400
    assert f"AADSTS{code}" in response.text
    assert "<form" not in response.text


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type", 700054),
        ({"code_challenge": None}, "invalid_request", 50147),
        ({"code_challenge": VERIFIER}, "invalid_request", 50147),
        ({"code_challenge_method": "plain"}, "invalid_request", 50147),
        ({"code_challenge_method": None}, "invalid_request", 50147),
        ({"scope": None}, "invalid_request", 900144),
        ({"scope": f"{SCOPES} Mail.Send"}, "invalid_scope", 650053),
        ({"scope": f"{SCOPES} profile"}, "invalid_scope", 650053),
        ({"prompt": "none"}, "login_required", 50058),
        ({"prompt": "sometimes"}, "invalid_request", 90023),
    ],
)
def test_errors_for_the_app(microsoft365, browser, changes, error, code):
    fields = form(browser.get(authorize_url(microsoft365, **changes))).fields
    assert (fields["error"], fields["state"]) == (error, "the state")
    assert fields["error_description"].startswith(f"AADSTS{code}: ")


def test_a_parameter_twice(microsoft365, browser):
    response = browser.get(authorize_url(microsoft365) + "&scope=Mail.Send")
    assert (response.status_code, "AADSTS9000411" in response.text) == (400, True)


@pytest.mark.parametrize(("tenant", "code"), [("consumers", 9002346), ("no-such-tenant", 90002)])
def test_unknown_tenants(microsoft365, browser, tenant, code):
    assert f"AADSTS{code}" in browser.get(authorize_url(microsoft365, tenant)).text
    assert refused(token(microsoft365, browser, tenant, code="c"))[2] == code
    discovery = browser.get(f"{microsoft365.entra}/{tenant}/v2.0/.well-known/openid-configuration")
    assert refused(discovery)[2] == code


def test_discovery_of_a_tenant_names_its_issuer(microsoft365, browser, user):
    base = f"{microsoft365.entra}/{user.tenant_id}"
    document = browser.get(f"{base}/v2.0/.well-known/openid-configuration").json()
    assert document["issuer"] == f"{base}/v2.0"
    assert document["token_endpoint"] == f"{base}/oauth2/v2.0/token"
    assert browser.get(document["jwks_uri"]).json()["keys"][0]["kty"] == "RSA"


def test_consent_page_lists_exactly_the_scopes(microsoft365, browser, user):
    picker = form(browser.get(authorize_url(microsoft365)))
    html = browser.post(picker.action, data={**picker.fields, "address": ADDRESS}).text
    assert all(f"<code>{scope}</code>" in html for scope in DELEGATED_SCOPES)
    assert html.count("<code>") == len(DELEGATED_SCOPES)
    assert "Read your mail" in html


def test_answer_by_query(microsoft365, browser, user):
    response = sign_in(browser, authorize_url(microsoft365, response_mode="query"), ADDRESS)
    assert response.status_code == 302
    target = urlsplit(response.headers["Location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == REDIRECT_URI
    assert parse_qs(target.query).keys() == {"code", "state", "session_state"}


def test_personal_accounts_are_refused(microsoft365, browser):
    microsoft365.world.create_user("ana@outlook.com")
    response = sign_in(browser, authorize_url(microsoft365), "ana@outlook.com")
    assert (response.status_code, "AADSTS500200" in response.text) == (400, True)


def test_guest_signs_in_to_the_inviting_tenant(microsoft365, browser, user):
    inviting = "55555555-5555-4555-8555-555555555555"
    microsoft365.world.create_user(ADDRESS, tenant_id=inviting, guest=True)
    for tenant, expected in ((inviting, inviting), ("organizations", user.tenant_id)):
        code = answer(browser, authorize_url(microsoft365, tenant), ADDRESS)["code"]
        body = token(microsoft365, browser, tenant, code=code).json()
        assert jwt.decode(body["id_token"], options={"verify_signature": False})["iss"].endswith(f"/{expected}/v2.0")


def test_unknown_account_stays_on_the_picker(microsoft365, browser, user):
    response = sign_in(browser, authorize_url(microsoft365), "nobody@contoso.example")
    assert "There is no account" in response.text


@pytest.mark.parametrize("whose", ["user", "tenant"])
def test_admin_approval(microsoft365, browser, user, whose):
    holder = user if whose == "user" else microsoft365.world.tenant(user.tenant_id)
    holder.user_consent_allowed = False
    picker = form(browser.get(authorize_url(microsoft365)))
    page = browser.post(picker.action, data={**picker.fields, "address": ADDRESS})
    assert "Need admin approval" in page.text
    consent = form(page)
    for decision in ("return", "accept"):
        fields = form(browser.post(consent.action, data={**consent.fields, "decision": decision})).fields
        assert (fields["error"], fields["error_subcode"]) == ("access_denied", "cancel")
        assert fields["error_description"].startswith("AADSTS65004: ")
    microsoft365.world.faults.order("admin-consent-said")
    fields = form(browser.post(consent.action, data={**consent.fields, "decision": "return"})).fields
    assert fields["error_description"].startswith("AADSTS90094: ")


@pytest.mark.parametrize(
    ("scopes", "words"),
    [("openid User.Read offline_access", "Permissions requested"), ("openid Mail.Read", "Need admin approval")],
)
def test_a_tenant_begins_with_the_microsoft_managed_consent_policy(microsoft365, browser, scopes, words):
    microsoft365.world.user_consent_allowed = World(signing_key=microsoft365.world.signing_key).user_consent_allowed
    microsoft365.world.create_user("new@fresh.example")
    picker = form(browser.get(authorize_url(microsoft365, scope=scopes)))
    page = browser.post(picker.action, data={**picker.fields, "address": "new@fresh.example"})
    assert words in page.text


def admin_consent(microsoft365, browser, address, decision, tenant="organizations"):
    query = {
        "client_id": constants.APP_CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "scope": SCOPES,
        "state": "the state",
    }
    url = f"{microsoft365.entra}/{tenant}/v2.0/adminconsent?{urlencode(query)}"
    return sign_in(browser, url, address, decision)


def test_admin_consent(microsoft365, browser, user):
    world = microsoft365.world
    world.tenant(user.tenant_id).user_consent_allowed = False
    world.create_user("admin@contoso.example").is_administrator = True
    response = admin_consent(microsoft365, browser, "admin@contoso.example", "accept")
    fields = parse_qs(urlsplit(response.headers["Location"]).query)
    assert (fields["admin_consent"], fields["tenant"], fields["state"]) == (["True"], [user.tenant_id], ["the state"])
    assert "https://graph.microsoft.com/Mail.Read" in fields["scope"][0]
    assert "code" in answer(browser, authorize_url(microsoft365), ADDRESS)


def test_admin_consent_declined(microsoft365, browser, user):
    user.is_administrator = True
    response = admin_consent(microsoft365, browser, ADDRESS, "cancel")
    assert parse_qs(urlsplit(response.headers["Location"]).query)["error"] == ["access_denied"]
    assert not microsoft365.world.tenant(user.tenant_id).admin_consented


def test_only_administrators_consent_for_all(microsoft365, browser, user):
    response = admin_consent(microsoft365, browser, ADDRESS, "accept")
    assert (response.status_code, "AADSTS90093" in response.text) == (400, True)


def test_code_expires(microsoft365, browser, code):
    microsoft365.world.clock.advance(600)
    assert refused(token(microsoft365, browser, code=code)) == (400, "invalid_grant", 70008)


@pytest.mark.parametrize(
    ("changes", "error", "number"),
    [
        ({"code": "made up"}, "invalid_grant", 70000),
        ({"code": None}, "invalid_request", 900144),
        ({"redirect_uri": "https://localhost:7071/elsewhere"}, "invalid_grant", 500112),
        ({"code_verifier": "w" * 64}, "invalid_grant", 501481),
        ({"code_verifier": None}, "invalid_request", 900144),
        ({"scope": f"{SCOPES} Mail.Send"}, "invalid_scope", 650053),
        ({"grant_type": "password"}, "unsupported_grant_type", 70003),
        ({"grant_type": None}, "invalid_request", 900144),
        ({"client_id": "99999999-9999-4999-8999-999999999999"}, "unauthorized_client", 700016),
    ],
)
def test_code_refusals(  # noqa: PLR0917
    microsoft365, browser, code, changes, error, number
):
    assert refused(token(microsoft365, browser, **{"code": code, **changes})) == (400, error, number)


def test_a_wrong_verifier_uses_the_code_up(microsoft365, browser, code):
    token(microsoft365, browser, code=code, code_verifier="w" * 64)
    assert refused(token(microsoft365, browser, code=code))[2] == 54005


def test_nothing_but_a_form(microsoft365, browser):
    response = browser.post(f"{microsoft365.entra}/organizations/oauth2/v2.0/token", json={"grant_type": "x"})
    assert refused(response)[0] == 400


def forged(world, **changes):
    now = int(datetime.now(UTC).timestamp())
    claims = {
        "iss": f"{world.addresses.entra}/{constants.HOME_TENANT_ID}/v2.0",
        "sub": constants.MANAGED_IDENTITY_PRINCIPAL_ID,
        "aud": EXCHANGE_AUDIENCE,
        "nbf": now,
        "exp": now + 3600,
        **changes,
    }
    return lambda key: jwt.encode(claims, key, algorithm="RS256")


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"iss": f"https://sts.windows.net/{constants.HOME_TENANT_ID}/"}, 700211),
        ({"sub": "99999999-9999-4999-8999-999999999999"}, 700213),
        ({"aud": VAULT_AUDIENCE}, 700212),
        ({"exp": int((datetime.now(UTC) - timedelta(minutes=1)).timestamp())}, 700024),
        ({"nbf": int((datetime.now(UTC) + timedelta(hours=1)).timestamp())}, 700024),
    ],
)
def test_assertions_that_do_not_match(microsoft365, browser, changes, number):
    world = microsoft365.world
    presented = forged(world, **changes)(world.signing_key)
    assert refused(token(microsoft365, browser, client_assertion=presented)) == (401, "invalid_client", number)


@pytest.mark.parametrize("changes", [{"tenant_id": "99999999-9999-4999-8999-999999999999"}])
def test_identity_of_another_tenant(microsoft365, browser, changes):
    presented = assertion(microsoft365.world, **changes)
    assert refused(token(microsoft365, browser, client_assertion=presented))[2] == 700211


def test_assertion_signed_by_somebody_else(microsoft365, browser):
    presented = forged(microsoft365.world)(new_signing_key())
    assert refused(token(microsoft365, browser, client_assertion=presented)) == (401, "invalid_client", 50013)


@pytest.mark.parametrize("presented", ["", "not.a.token", jwt.encode({"aud": "a"}, "k" * 32, algorithm="HS256")])
def test_assertions_that_are_none(microsoft365, browser, presented):
    status, error, _ = refused(token(microsoft365, browser, client_assertion=presented))
    assert (status, error) == (401, "invalid_client")


def test_no_credential(microsoft365, browser):
    response = token(microsoft365, browser, client_assertion=None)
    assert refused(response) == (401, "invalid_client", 7000218)


def test_wrong_assertion_type(microsoft365, browser):
    assert refused(token(microsoft365, browser, client_assertion_type="saml")) == (401, "invalid_client", 50027)


def test_refresh_with_fewer_and_more_scopes(microsoft365, browser, refresh_token):
    refresh = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    body = token(microsoft365, browser, **refresh, scope="https://graph.microsoft.com/mail.read openid").json()
    assert (body["scope"], "refresh_token" in body) == ("Mail.Read openid", False)
    microsoft365.world.app.delegated_scopes += ("Mail.Send",)
    response = token(microsoft365, browser, **refresh, scope="Mail.Send")
    assert refused(response) == (400, "invalid_grant", 65001)
    assert response.json()["suberror"] == "consent_required"


def test_refresh_at_a_foreign_tenant(microsoft365, browser, refresh_token):
    refresh = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    assert refused(token(microsoft365, browser, constants.HOME_TENANT_ID, **refresh))[2] == 50020


def test_made_up_refresh_token(microsoft365, browser):
    response = token(microsoft365, browser, grant_type="refresh_token", refresh_token="made up")
    assert refused(response) == (400, "invalid_grant", 70000)


def test_ordered_faults(microsoft365, browser, user, code):
    order = microsoft365.world.faults.order
    order("entra-outage", count=1, endpoint="token")
    assert browser.get(authorize_url(microsoft365)).status_code == 200
    assert refused(token(microsoft365, browser, code=code)) == (503, "temporarily_unavailable", 90033)
    order("entra-throttle", count=1, retryAfter=17)
    response = token(microsoft365, browser, code=code)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "17")
    order("invalid-client", count=1)
    assert refused(token(microsoft365, browser, code=code)) == (401, "invalid_client", 7000222)
    order("conditional-access", count=1, address=ADDRESS, endpoint="authorize")
    fields = form(sign_in(browser, authorize_url(microsoft365), ADDRESS)).fields
    assert fields["error"] == "interaction_required"
    order("conditional-access", count=1, endpoint="token")
    assert refused(token(microsoft365, browser, code=code)) == (400, "interaction_required", 53003)


def test_pages_hold_no_inline_script_without_a_nonce(microsoft365, browser, user):
    response = sign_in(browser, authorize_url(microsoft365), ADDRESS)
    policy = response.headers["Content-Security-Policy"]
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert f'<script nonce="{nonce}">' in response.text
    assert '<button class="main">Continue</button>' in response.text
    assert response.headers["Cache-Control"] == "no-store"


def test_what_is_typed_is_escaped(microsoft365, browser):
    response = sign_in(browser, authorize_url(microsoft365, state='"><script>'), "<script>@contoso.example")
    assert "<script>@" not in response.text
    assert '"><script>' not in response.text
