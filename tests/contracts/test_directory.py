"""What every `Directory` keeps to: the fake, and MSAL on the stand-in, with the managed identity as its proof."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from mailsync.adapters.entra.directory import EntraDirectory
from mailsync.errors import Misconfigured, ReconnectRequired, Rejected, RetryLater
from mailsync.settings import Settings
from mailsync.tokens.records import GRAPH_SCOPES
from sandbox import constants
from tests.fakes.directory import FakeDirectory
from tests.sandbox.walk import answer

NOW = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
REDIRECT = "https://localhost:7071/auth/callback"
ADDRESS = "owner@contoso.example"


class FakeEntra:
    """The fake, and what its user does."""

    client_id = constants.APP_CLIENT_ID
    tenant_id = constants.HOME_TENANT_ID

    def __init__(self):
        self.directory = FakeDirectory(lambda: NOW)
        self.revoke = self.directory.revoke

    def accept(self, request):
        return self.directory.sign_in(request.state, self.tenant_id)

    def decline(self, request):
        return self.directory.decline(request.state)


class SandboxEntra:
    """The adapter on the stand-in, and what its user does there."""

    client_id = constants.APP_CLIENT_ID

    def __init__(self, microsoft365, session, browser):
        self.world = microsoft365.world
        self._browser = browser
        self._user = self.world.create_user(ADDRESS)
        self.tenant_id = self._user.tenant_id
        environ = {
            "PUBLIC_BASE_URL": "https://localhost:7071",
            "ENTRA_CLIENT_ID": constants.APP_CLIENT_ID,
            "ENTRA_AUTHORITY_HOST": microsoft365.entra,
            "AZURE_CLIENT_ID": constants.MANAGED_IDENTITY_CLIENT_ID,
            "KEY_VAULT_URL": microsoft365.key_vault,
            "MAIL_STORAGE": "UseDevelopmentStorage=true",
        }
        self.directory = EntraDirectory(Settings.load(environ), clock=lambda: NOW, session=session)

    def accept(self, request):
        return answer(self._browser, request.url, ADDRESS)

    def decline(self, request):
        return answer(self._browser, request.url, ADDRESS, "decline")

    def revoke(self):
        self.world.grants.revoke(self._user.user_id)


@pytest.fixture
def sandbox(microsoft365, browser, monkeypatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{microsoft365.entra}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", constants.IDENTITY_HEADER)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", microsoft365.ca_file)
    with requests.Session() as session:
        yield SandboxEntra(microsoft365, session, browser)


@pytest.fixture(params=["fake", "sandbox"])
def entra(request):
    return FakeEntra() if request.param == "fake" else request.getfixturevalue("sandbox")


def begin(entra):
    """A begun sign-in, its flow as it comes back out of the table."""
    request = entra.directory.begin(REDIRECT)
    return request, json.loads(json.dumps(dict(request.flow)))


def connect(entra):
    request, flow = begin(entra)
    return entra.directory.complete(flow, entra.accept(request))


def query_of(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_a_sign_in_asks_for_the_four_scopes_and_no_more(entra):
    request, flow = begin(entra)
    query = query_of(request.url)
    assert set(query["scope"].split()) == {"openid", "offline_access", "User.Read", "Mail.Read"}
    assert query["client_id"] == entra.client_id
    assert query["redirect_uri"] == REDIRECT
    assert query["response_type"] == "code"
    assert query["response_mode"] == "form_post"
    assert query["prompt"] == "select_account"
    assert query["code_challenge_method"] == "S256"
    assert query["state"] == request.state == flow["state"]
    assert flow["code_verifier"] not in request.url
    assert flow["nonce"] not in request.url


def test_no_two_sign_ins_are_alike(entra):
    (first, flow), (second, other) = begin(entra), begin(entra)
    assert first.state != second.state
    assert flow["code_verifier"] != other["code_verifier"]
    assert flow["nonce"] != other["nonce"]


def test_a_sign_in_shows_no_secret(entra):
    request, flow = begin(entra)
    grant = entra.directory.complete(flow, entra.accept(request))
    shown = repr(request) + repr(grant)
    for secret in (flow["code_verifier"], flow["nonce"], grant.access_token, grant.refresh_token):
        assert secret not in shown


def test_consent_becomes_a_grant(entra):
    grant = connect(entra)
    assert grant.access_token
    assert grant.refresh_token
    assert grant.scopes >= set(GRAPH_SCOPES)
    assert NOW < grant.expires_at <= NOW + timedelta(days=1)
    assert grant.id_token_claims["aud"] == entra.client_id
    assert grant.id_token_claims["iss"].endswith(f"/{entra.tenant_id}/v2.0")
    assert not {"tid", "oid"} & grant.id_token_claims.keys()


def test_a_code_works_once(entra):
    request, flow = begin(entra)
    given = entra.accept(request)
    entra.directory.complete(flow, given)
    with pytest.raises(Rejected, match="code_expired"):
        entra.directory.complete(flow, given)


def test_declined_consent(entra):
    request, flow = begin(entra)
    with pytest.raises(Rejected, match="consent_declined"):
        entra.directory.complete(flow, entra.decline(request))


def test_an_answer_belongs_to_one_sign_in(entra):
    (request, _), (_, other) = begin(entra), begin(entra)
    with pytest.raises(Rejected, match="bad_answer"):
        entra.directory.complete(other, entra.accept(request))


def test_a_code_belongs_to_one_sign_in(entra):
    (request, _), (second, other) = begin(entra), begin(entra)
    with pytest.raises(Rejected, match="code_expired"):
        entra.directory.complete(other, entra.accept(request) | {"state": second.state})


def test_an_answer_without_anything(entra):
    request, flow = begin(entra)
    with pytest.raises(Rejected, match="bad_answer"):
        entra.directory.complete(flow, {"state": request.state})


def test_a_refresh_token_is_renewed(entra):
    grant = connect(entra)
    renewed = entra.directory.refresh(grant.refresh_token)
    assert renewed.access_token not in ("", grant.access_token)
    assert renewed.refresh_token not in (None, grant.refresh_token)
    assert renewed.scopes >= set(GRAPH_SCOPES)
    assert renewed.id_token_claims == {}
    assert entra.directory.refresh(renewed.refresh_token).access_token


def test_the_old_refresh_token_still_works(entra):
    grant = connect(entra)
    entra.directory.refresh(grant.refresh_token)
    assert entra.directory.refresh(grant.refresh_token).access_token


def test_a_revoked_grant(entra):
    grant = connect(entra)
    entra.revoke()
    with pytest.raises(ReconnectRequired, match="grant_revoked"):
        entra.directory.refresh(grant.refresh_token)


def test_a_refresh_token_that_never_was(entra):
    with pytest.raises(ReconnectRequired, match="grant_revoked"):
        entra.directory.refresh("never")


def test_an_administrator_is_asked_for_the_same_scopes(entra):
    url = entra.directory.admin_consent_url(REDIRECT, "state-1")
    query = query_of(url)
    assert urlsplit(url).path == "/organizations/v2.0/adminconsent"
    assert set(query["scope"].split()) == {"openid", "offline_access", "User.Read", "Mail.Read"}
    assert (query["client_id"], query["redirect_uri"], query["state"]) == (entra.client_id, REDIRECT, "state-1")


@pytest.mark.parametrize(("said", "reason"), [(False, "consent_declined"), (True, "admin_approval_required")])
def test_an_organization_that_lets_nobody_consent(sandbox, said, reason):
    """Who comes back from Microsoft's page has declined, as far as its answer tells, unless it tells more."""
    sandbox.world.tenant(sandbox.tenant_id).user_consent_allowed = False
    if said:
        sandbox.world.faults.order("admin-consent-said")
    request, flow = begin(sandbox)
    with pytest.raises(Rejected, match=reason):
        sandbox.directory.complete(flow, sandbox.decline(request))


def test_conditional_access(sandbox):
    grant = connect(sandbox)
    sandbox.world.faults.order("conditional-access")
    with pytest.raises(ReconnectRequired, match="interaction_required"):
        sandbox.directory.refresh(grant.refresh_token)
    request, flow = begin(sandbox)
    with pytest.raises(Rejected, match="conditional_access"):
        sandbox.directory.complete(flow, sandbox.accept(request))


def test_a_credential_of_the_app_that_is_refused(sandbox):
    grant = connect(sandbox)
    sandbox.world.faults.order("invalid-client", 1)
    with pytest.raises(Misconfigured, match="invalid_client"):
        sandbox.directory.refresh(grant.refresh_token)
    assert sandbox.directory.refresh(grant.refresh_token).access_token


REFUSED = [
    ("invalid_request", 70021, "invalid_client", "AZURE_CLIENT_ID"),
    ("invalid_request", 50194, "bad_authority", "ENTRA_TENANT"),
    ("invalid_request", 900144, "entra_refused", "ENTRA_CLIENT_ID"),
    ("invalid_tenant", 90002, "bad_authority", "ENTRA_TENANT"),
    ("invalid_scope", 70011, "bad_permissions", "API permissions"),
    ("invalid_resource", 500011, "bad_permissions", "API permissions"),
    ("unauthorized_client", 700024, "invalid_client", "ENTRA_CLIENT_ID"),
    ("never_heard_of", 1234567, "entra_refused", "report it"),
]


@pytest.mark.parametrize(("error", "number", "reason", "names"), REFUSED)
def test_what_only_the_operator_can_mend(sandbox, error, number, reason, names):
    """Of a refresh token and of a code: the setting is named, and nobody is asked to connect again."""
    grant = connect(sandbox)
    request, flow = begin(sandbox)
    given = sandbox.accept(request)
    sandbox.world.faults.order("token-refused", error=error, code=number)
    for call in (
        lambda: sandbox.directory.refresh(grant.refresh_token),
        lambda: sandbox.directory.complete(flow, given),
    ):
        with pytest.raises(Misconfigured) as problem:
            call()
        assert problem.value.reason == reason
        assert names in problem.value.message
        assert f"AADSTS{number}" in problem.value.message
        assert not problem.value.hearsay


@pytest.mark.parametrize(("error", "number"), [("temporarily_unavailable", 90033), ("invalid_grant", 50196)])
def test_what_passes_by_itself(sandbox, error, number):
    grant = connect(sandbox)
    sandbox.world.faults.order("token-refused", error=error, code=number)
    with pytest.raises(RetryLater, match="entra_unavailable"):
        sandbox.directory.refresh(grant.refresh_token)


@pytest.mark.parametrize("fault", ["entra-outage", "entra-throttle"])
def test_a_busy_entra(sandbox, fault):
    grant = connect(sandbox)
    sandbox.world.faults.order(fault, 1)
    with pytest.raises(RetryLater) as caught:
        sandbox.directory.refresh(grant.refresh_token)
    assert caught.value.retry_after == (10 if fault == "entra-throttle" else None)
    assert sandbox.directory.refresh(grant.refresh_token).access_token


def test_a_managed_identity_that_does_not_exist(sandbox):
    sandbox.world.identities.clear()
    with pytest.raises(Misconfigured, match="identity_unavailable"):
        sandbox.directory.refresh("any")


def test_a_managed_identity_endpoint_that_fails(sandbox, monkeypatch):
    monkeypatch.setattr("azure.core.pipeline.transport.RequestsTransport.sleep", lambda *_: None)
    sandbox.world.faults.order("identity-outage")
    with pytest.raises(RetryLater, match="identity_unavailable"):
        sandbox.directory.refresh("any")
