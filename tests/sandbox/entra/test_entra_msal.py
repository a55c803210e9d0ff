"""MSAL and azure-identity, unchanged, against the stand-in."""

import jwt
import msal
import pytest
import requests
from azure.identity import ManagedIdentityCredential

from sandbox import constants
from tests.sandbox.walk import answer, sign_in

REDIRECT_URI = "https://localhost:7071/auth/callback"
GRAPH_SCOPES = ["User.Read", "Mail.Read"]
ADDRESS = "ana@contoso.example"


@pytest.fixture
def identity(microsoft365, monkeypatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{microsoft365.entra}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", constants.IDENTITY_HEADER)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", microsoft365.ca_file)
    with ManagedIdentityCredential(client_id=constants.MANAGED_IDENTITY_CLIENT_ID) as credential:
        yield credential


@pytest.fixture
def http(microsoft365):
    with requests.Session() as session:
        session.trust_env = False
        session.verify = microsoft365.ca_file
        yield session


def client(microsoft365, http, credential, tenant="organizations"):
    return msal.ConfidentialClientApplication(
        constants.APP_CLIENT_ID,
        client_credential=credential,
        authority=f"{microsoft365.entra}/{tenant}",
        instance_discovery=False,
        exclude_scopes=["profile"],
        http_client=http,
    )


@pytest.fixture
def app(microsoft365, http, identity):
    return client(
        microsoft365,
        http,
        {"client_assertion": lambda: identity.get_token("api://AzureADTokenExchange/.default").token},
    )


def begin(app):
    return app.initiate_auth_code_flow(
        GRAPH_SCOPES, redirect_uri=REDIRECT_URI, response_mode="form_post", prompt="select_account"
    )


def connect(app, browser, address=ADDRESS):
    flow = begin(app)
    return app.acquire_token_by_auth_code_flow(flow, answer(browser, flow["auth_uri"], address))


def test_sign_in_consent_and_tokens(microsoft365, app, browser):
    user = microsoft365.world.create_user(ADDRESS)
    result = connect(app, browser)
    assert set(result["scope"].split()) == {"openid", "User.Read", "Mail.Read"}
    assert result["expires_in"] == 3600
    claims = result["id_token_claims"]
    assert claims["iss"] == f"{microsoft365.entra}/{user.tenant_id}/v2.0"
    assert claims["aud"] == constants.APP_CLIENT_ID
    assert not {"tid", "oid", "name", "preferred_username", "email"} & claims.keys()
    access = jwt.decode(result["access_token"], options={"verify_signature": False})
    assert access["aud"] == "https://graph.microsoft.com"
    assert access["oid"] == user.user_id
    assert access["scp"].split() == ["Mail.Read", "User.Read", "openid"]
    account = app.get_accounts()[0]
    assert account["home_account_id"] == f"{user.user_id}.{user.tenant_id}"


def test_id_token_verifies_with_the_published_key(microsoft365, app, browser):
    microsoft365.world.create_user(ADDRESS)
    result = connect(app, browser)
    keys = browser.get(f"{microsoft365.entra}/organizations/discovery/v2.0/keys").json()
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(result["id_token"])["kid"]]
    assert jwt.decode(result["id_token"], key, algorithms=["RS256"], audience=constants.APP_CLIENT_ID)


def test_refresh_gives_a_new_token_and_keeps_the_old(microsoft365, app, browser):
    microsoft365.world.create_user(ADDRESS)
    first = connect(app, browser)["refresh_token"]
    second = app.acquire_token_by_refresh_token(first, GRAPH_SCOPES)
    again = app.acquire_token_by_refresh_token(first, GRAPH_SCOPES)
    assert "access_token" in second
    assert "access_token" in again
    assert len({first, second["refresh_token"], again["refresh_token"]}) == 3


def test_refresh_token_lives_ninety_days(microsoft365, app, browser):
    microsoft365.world.create_user(ADDRESS)
    token = connect(app, browser)["refresh_token"]
    microsoft365.world.clock.advance(90 * 86_400 - 60)
    assert "access_token" in app.acquire_token_by_refresh_token(token, GRAPH_SCOPES)
    microsoft365.world.clock.advance(60)
    result = app.acquire_token_by_refresh_token(token, GRAPH_SCOPES)
    assert (result["error"], result["error_codes"]) == ("invalid_grant", [700082])


def test_revoked_grant(microsoft365, app, browser):
    user = microsoft365.world.create_user(ADDRESS)
    token = connect(app, browser)["refresh_token"]
    assert microsoft365.world.grants.revoke(user.user_id)
    result = app.acquire_token_by_refresh_token(token, GRAPH_SCOPES)
    assert (result["error"], result["error_codes"], result["suberror"]) == ("invalid_grant", [50173], "bad_token")


def test_new_consent_does_not_revive_old_tokens(microsoft365, app, browser):
    user = microsoft365.world.create_user(ADDRESS)
    old = connect(app, browser)["refresh_token"]
    microsoft365.world.grants.revoke(user.user_id)
    new = connect(app, browser)["refresh_token"]
    assert app.acquire_token_by_refresh_token(old, GRAPH_SCOPES)["error"] == "invalid_grant"
    assert "access_token" in app.acquire_token_by_refresh_token(new, GRAPH_SCOPES)


def test_code_works_once(microsoft365, app, browser):
    microsoft365.world.create_user(ADDRESS)
    flow = begin(app)
    fields = answer(browser, flow["auth_uri"], ADDRESS)
    app.acquire_token_by_auth_code_flow(dict(flow), dict(fields))
    result = app.acquire_token_by_auth_code_flow(dict(flow), dict(fields))
    assert (result["error"], result["error_codes"]) == ("invalid_grant", [54005])


def test_second_sign_in_needs_no_consent(microsoft365, app, browser):
    microsoft365.world.create_user(ADDRESS)
    connect(app, browser)
    assert "Permissions requested" not in sign_in(browser, begin(app)["auth_uri"], ADDRESS, "cancel").text


def test_declined(microsoft365, app, browser):
    user = microsoft365.world.create_user(ADDRESS)
    flow = begin(app)
    result = app.acquire_token_by_auth_code_flow(flow, answer(browser, flow["auth_uri"], ADDRESS, "cancel"))
    assert result["error"] == "access_denied"
    assert result["error_description"].startswith("AADSTS65004: ")
    assert microsoft365.world.grants.of_user(user.user_id) is None


def test_client_secret(microsoft365, http, browser):
    microsoft365.world.create_user(ADDRESS)
    microsoft365.world.app.secrets.add("correct horse")
    assert "access_token" in connect(client(microsoft365, http, "correct horse"), browser)
    refused = connect(client(microsoft365, http, "battery staple"), browser)
    assert (refused["error"], refused["error_codes"]) == ("invalid_client", [7000215])


def test_tenant_of_its_own(microsoft365, http, browser, identity):
    user = microsoft365.world.create_user(ADDRESS)
    microsoft365.world.app.secrets.add("secret")
    app = client(microsoft365, http, "secret", tenant=user.tenant_id)
    assert "access_token" in connect(app, browser)
    stranger = microsoft365.world.create_user("bo@fabrikam.example")
    response = sign_in(browser, begin(app)["auth_uri"], stranger.user_principal_name)
    assert response.status_code == 400
    assert "AADSTS50020" in response.text


@pytest.mark.parametrize("resource", ["https://vault.azure.net", "https://storage.azure.com"])
def test_managed_identity_tokens(microsoft365, identity, resource):
    token = identity.get_token(f"{resource}/.default").token
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == resource
    assert claims["iss"] == f"https://sts.windows.net/{constants.HOME_TENANT_ID}/"
    assert claims["oid"] == constants.MANAGED_IDENTITY_PRINCIPAL_ID
