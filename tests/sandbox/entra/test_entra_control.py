"""The control API, and the process as a whole."""

import json
import signal
import ssl
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from sandbox.entra.tokens import InvalidAuthenticationToken, graph_token, verify_graph

ADDRESS = "ana@contoso.example"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def post(microsoft365, browser):
    return lambda path, **body: browser.post(f"{microsoft365.control}{path}", json=body)


def test_users_are_created_once(microsoft365, post):
    first, second = post("/users", address=ADDRESS).json(), post("/users", address="Ana@Contoso.example").json()
    assert first == second
    assert first["address"] == ADDRESS
    colleague = post("/users", address="bo@contoso.example").json()
    assert (colleague["tenantId"], colleague["userId"] == first["userId"]) == (first["tenantId"], False)
    assert post("/users", address="bo@fabrikam.example").json()["tenantId"] != first["tenantId"]


def test_guest_and_forged_mail(microsoft365, post):
    home = post("/users", address=ADDRESS).json()
    guest = post("/users", address=ADDRESS, tenantId="55555555-5555-4555-8555-555555555555", guest=True).json()
    assert guest["address"].startswith("ana_contoso.example#EXT#@t55555555.")
    assert guest["userId"] != home["userId"]
    post("/users", address="eve@evil.example", mail=ADDRESS)
    assert microsoft365.world.find_user("eve@evil.example").mail == ADDRESS
    assert microsoft365.world.find_user(ADDRESS).user_id == home["userId"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"address": "nobody"},
        {"address": ADDRESS, "guest": True},
        {"address": ADDRESS, "guest": True, "tenantId": "not a GUID"},
        {"address": "bo@contoso.example", "tenantId": "55555555-5555-4555-8555-555555555555"},
    ],
)
def test_users_that_cannot_be(microsoft365, post, body):
    microsoft365.world.create_user("first@contoso.example")
    response = post("/users", **body)
    assert (response.status_code, "error" in response.json()) == (400, True)


def test_faults(microsoft365, browser, post):
    assert post("/faults", name="vault-throttle", count=2, params={"retryAfter": 3}).json() == {
        "name": "vault-throttle",
        "params": {"retryAfter": 3},
        "remaining": 2,
    }
    listed = browser.get(f"{microsoft365.control}/faults").json()
    assert [fault["name"] for fault in listed["active"]] == ["vault-throttle"]
    assert {"entra-outage", "revoke"} <= {kind["name"] for kind in listed["known"]}
    assert browser.delete(f"{microsoft365.control}/faults/entra-outage").json() == {"cleared": 0}
    assert browser.delete(f"{microsoft365.control}/faults").json() == {"cleared": 1}
    assert post("/faults", name="no-such-fault").status_code == 400


@pytest.mark.parametrize("by_fault", [True, False])
def test_revoke(microsoft365, browser, post, by_fault):
    user = microsoft365.world.create_user(ADDRESS)
    microsoft365.world.grants.consent(user.user_id, frozenset({"Mail.Read"}))
    url = f"{microsoft365.control}/grants/{ADDRESS}"
    assert browser.get(url).json() == {"granted": True, "scopes": ["Mail.Read"]}
    if by_fault:
        done = post("/faults", name="revoke", params={"address": ADDRESS}).json()["done"]
    else:
        done = post("/revoke", address=ADDRESS).json()
    assert done == {"revoked": True}
    assert browser.get(url).json() == {"granted": False, "scopes": []}
    assert post("/revoke", address="nobody@contoso.example").status_code == 404


def test_tenant_redirect_uri_and_clock(microsoft365, post):
    user = microsoft365.world.create_user(ADDRESS)
    for allowed in (False, True, None):
        answer = post("/tenants", tenantId=user.tenant_id, consentAllowed=allowed).json()
        assert answer["consentAllowed"] is allowed
    assert post("/consent-policy", consentAllowed=True).json() == {"consentAllowed": True}
    assert post("/tenants", tenantId=user.tenant_id).json()["consentAllowed"] is True
    assert post("/tenants", tenantId=str(uuid.uuid4())).json()["consentAllowed"] is True
    assert post("/consent-policy").status_code == 400
    assert "https://localhost:1/x" in post("/redirect-uris", uri="https://localhost:1/x").json()["redirectUris"]
    before = microsoft365.world.now()
    post("/clock", advanceSeconds=3600)
    assert (microsoft365.world.now() - before).total_seconds() >= 3600


class Request:
    def __init__(self, authorization):
        self.headers = {"Authorization": authorization}


def test_graph_tokens(microsoft365):
    world = microsoft365.world
    user = world.create_user(ADDRESS)
    grant = world.grants.consent(user.user_id, frozenset({"Mail.Read"}))
    token, _ = graph_token(world, user, grant, frozenset({"Mail.Read"}))
    claims = verify_graph(world, Request(f"Bearer {token}"))
    assert (claims.user_id, claims.tenant_id, claims.scopes) == (user.user_id, user.tenant_id, {"Mail.Read"})
    with pytest.raises(InvalidAuthenticationToken, match="empty"):
        verify_graph(world, Request(""))
    world.clock.advance(3600)
    with pytest.raises(InvalidAuthenticationToken, match="expired") as expired:
        verify_graph(world, Request(f"Bearer {token}"))
    assert expired.value.body["error"]["code"] == "InvalidAuthenticationToken"
    fresh, _ = graph_token(world, user, grant, frozenset({"Mail.Read"}))
    world.grants.revoke(user.user_id)
    with pytest.raises(InvalidAuthenticationToken, match="revoked"):
        verify_graph(world, Request(f"Bearer {fresh}"))


def test_the_process_starts_answers_and_ends(tls_files):
    command = [sys.executable, "-m", "sandbox.microsoft365", "--redirect-uri", "https://localhost:7071/auth/callback"]
    command += ["--certificate", str(tls_files / "chain.pem"), "--key", str(tls_files / "key.pem")]
    command += ["--ca", str(tls_files / "ca.pem")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        addresses = json.loads(process.stdout.readline())
        assert addresses.keys() == {"entra", "graph", "keyVault", "control", "pid"}
        assert addresses["graph"].endswith("/v1.0")
        trust = ssl.create_default_context(cafile=tls_files / "ca.pem")
        with httpx.Client(verify=trust, timeout=10) as client:
            assert client.get(f"{addresses['keyVault']}/secrets?api-version=7.4").status_code == 401
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, output) == (0, "")
