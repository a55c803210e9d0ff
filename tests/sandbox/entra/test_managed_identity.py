import pytest

from sandbox import constants
from sandbox.entra.tokens import VAULT_AUDIENCE

GOOD = {
    "api-version": "2019-08-01",
    "resource": VAULT_AUDIENCE,
    "client_id": constants.MANAGED_IDENTITY_CLIENT_ID,
}
HEADERS = {"X-IDENTITY-HEADER": constants.IDENTITY_HEADER}


def ask(microsoft365, browser, headers=HEADERS, **changes):
    query = {name: value for name, value in {**GOOD, **changes}.items() if value}
    return browser.get(f"{microsoft365.entra}/msi/token", params=query, headers=headers)


def test_answer(microsoft365, browser):
    response = ask(microsoft365, browser)
    body = response.json()
    assert response.status_code == 200
    assert body.keys() == {"access_token", "client_id", "expires_on", "resource", "token_type"}
    assert (body["resource"], body["token_type"]) == (VAULT_AUDIENCE, "Bearer")
    assert body["expires_on"].isdecimal()


@pytest.mark.parametrize("headers", [{}, {"X-IDENTITY-HEADER": "wrong"}])
def test_header_is_required(microsoft365, browser, headers):
    assert ask(microsoft365, browser, headers).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "99999999-9999-4999-8999-999999999999"},
        {"client_id": ""},
        {"api-version": "2017-09-01"},
        {"resource": ""},
    ],
)
def test_refusals(microsoft365, browser, changes):
    response = ask(microsoft365, browser, **changes)
    assert response.status_code == 400
    assert response.json()["statusCode"] == 400


def test_unknown_resource(microsoft365, browser):
    response = ask(microsoft365, browser, resource="https://elsewhere.example")
    assert response.status_code == 500
    assert "AADSTS500011" in response.json()["message"]


def test_outage(microsoft365, browser):
    microsoft365.world.faults.order("identity-outage", count=1)
    assert ask(microsoft365, browser).status_code == 500
    assert ask(microsoft365, browser).status_code == 200
