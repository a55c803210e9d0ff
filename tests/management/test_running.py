"""The management routes of the running app: Microsoft's runtime, function keys, Key Vault by managed identity."""

import ssl

import httpx
import pytest

from mailsync.mailboxes.records import MailboxState
from sandbox.host.keys import load_keys
from sandbox.state import PROJECT
from sandbox.state import home as sandbox_home

ROTATE = "/api/signing-key/rotate"
UNKNOWN = f"/api/mailboxes/{'-'.join(['11111111-1111-4111-8111-111111111111'] * 2)}/disconnect"


@pytest.fixture
def client(sandbox):
    context = ssl.create_default_context(cafile=sandbox.state.ca_file)
    with httpx.Client(base_url=sandbox.state.app, verify=context, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def keyed(sandbox):
    return {"x-functions-key": load_keys(sandbox_home() / "keys.json").default}


@pytest.mark.parametrize("path", [ROTATE, UNKNOWN])
def test_nothing_opens_without_the_key(client, keyed, path):
    assert client.post(path).status_code == 401
    assert client.post(path, headers={"x-functions-key": "guess"}).status_code == 401
    for method in ("GET", "PUT", "DELETE"):
        assert client.request(method, path, headers=keyed).status_code in (404, 405)


def test_an_unknown_mailbox(client, keyed):
    response = client.post(UNKNOWN, headers=keyed)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_mailbox")


def test_a_connected_inbox_is_let_go_and_may_come_back(client, keyed, product):
    address = "ann@management.example"
    product.deliver(address, *sorted((PROJECT / "sandbox/samples").glob("*.eml"))[:2])
    mailbox_id = product.connect(address)
    rows = product.wait_for_rows(mailbox_id, 2)
    response = client.post(f"/api/mailboxes/{mailbox_id}/disconnect", headers=keyed)
    assert (response.status_code, response.json()) == (
        200,
        {"mailboxId": mailbox_id, "state": "disconnected", "subscriptionsLeft": None},
    )
    assert response.headers["Cache-Control"] == "no-store"
    left = product.mailbox(mailbox_id)
    assert (left.state, left.next_poll_at) == (MailboxState.DISCONNECTED, None)
    assert product.rows(mailbox_id) == rows
    assert product.connect(address) == mailbox_id
    assert product.mailbox(mailbox_id).state is MailboxState.ACTIVE


def test_each_rotation_makes_another_key(client, keyed):
    answers = [client.post(ROTATE, headers=keyed) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.json()["keyId"] for answer in answers}) == 2
