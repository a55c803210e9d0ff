"""The management routes, as the Functions worker calls them, on fakes."""

import json
import logging
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import azure.functions as func
import pytest

from mailsync.errors import GraphUnavailable, Misconfigured, Rejected, RetryLater, StaleWrite
from mailsync.mailboxes.records import Lease, MailboxState
from management import blueprint
from tests.mailsync.world import BOX, START, World


@pytest.fixture
def world(monkeypatch):
    world = World()
    world.graph.deliver(START)
    world.hint()
    world.work()
    parts = SimpleNamespace(disconnector=world.disconnector, key_rotation=world.key_rotation)
    monkeypatch.setattr(blueprint, "app", lambda: parts)
    return world


def call(function, **route_params):
    request = func.HttpRequest("POST", "https://connect.example/api", route_params=route_params, body=b"")
    response = function.build().get_user_function()(request)
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    return response.status_code, json.loads(response.get_body()), response.headers.get("Retry-After")


def disconnect(mailbox_id=BOX):
    return call(blueprint.disconnect_mailbox, mailboxId=mailbox_id)


def rotate():
    return call(blueprint.rotate_signing_key)


@pytest.mark.parametrize("given", [BOX, BOX.upper()])
def test_a_mailbox_is_disconnected(world, given):
    assert disconnect(given) == (200, {"mailboxId": BOX, "state": "disconnected", "subscriptionsLeft": None}, None)
    assert world.mailbox.state is MailboxState.DISCONNECTED
    assert not world.subscriptions.held
    assert not world.vault.secrets


def test_a_second_time_does_no_harm(world):
    once = disconnect()
    assert disconnect() == once
    assert world.mailbox.state is MailboxState.DISCONNECTED


def test_why_subscriptions_are_left_is_told(world):
    world.subscriptions.fail(GraphUnavailable("out"), times=9)
    status, answer, _ = disconnect()
    assert (status, answer["subscriptionsLeft"]) == (200, "graph_unavailable")
    assert world.mailbox.state is MailboxState.DISCONNECTED


def test_a_busy_mailbox_is_left_as_it_is_well_before_azure_ends_the_request(world):
    began = world.clock()
    world.mailboxes.save(replace(world.mailbox, lease=Lease("worker", began, began + timedelta(hours=9))))
    status, answer, retry_after = disconnect()
    assert (status, answer["error"]["code"], retry_after) == (503, "mailbox_busy", "60")
    assert world.clock() - began < timedelta(seconds=60)
    assert world.mailbox.state is MailboxState.ACTIVE


@pytest.mark.parametrize(
    ("mailbox_id", "status", "code"),
    [
        ("ann@contoso.com", 400, "bad_mailbox_id"),
        (BOX[:-1], 400, "bad_mailbox_id"),
        (BOX[::-1], 400, "bad_mailbox_id"),
        (f"{BOX[:-1]}{'0' if BOX[-1] != '0' else '1'}", 404, "unknown_mailbox"),
    ],
)
def test_what_is_no_mailbox(world, mailbox_id, status, code):
    got, answer, _ = disconnect(mailbox_id)
    assert (got, answer["error"]["code"]) == (status, code)
    assert world.mailbox.state is MailboxState.ACTIVE


def test_the_signing_key_is_rotated(world):
    before, _ = world.keys.current()
    status, answer, _ = rotate()
    world.clock.advance(120)
    after, key = world.keys.current()
    assert (status, answer) == (200, {"keyId": after})
    assert after != before
    assert key.decode() not in str(answer)


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (RetryLater("signing_key_being_made", "Another instance is making the signing key.", 1.5), "2"),
        (RetryLater("key_vault_unavailable", "Key Vault is away."), "30"),
        (StaleWrite("The record kept changing."), "30"),
    ],
)
def test_what_passes_says_when_to_try_again(world, error, retry_after):
    world.keys.failure = error
    assert rotate() == (503, {"error": {"code": error.reason, "message": error.message}}, retry_after)


@pytest.mark.parametrize(
    "error",
    [
        Misconfigured("key_vault_forbidden", "https://vault.example answered 403."),
        Rejected("storage_refused", "https://vault.example answered 400."),
    ],
)
def test_what_the_operator_must_mend_is_told_in_the_log_alone(world, caplog, error):
    world.keys.failure = error
    with caplog.at_level(logging.ERROR, logger="mailsync"):
        status, answer, retry_after = rotate()
    assert (status, answer["error"]["code"], retry_after) == (500, error.reason, None)
    assert "vault.example" not in str(answer)
    (line,) = caplog.messages
    assert line.startswith(f"misconfigured reason={error.reason} detail=https://vault.example_answered")


def test_settings_that_do_not_load(monkeypatch):
    def misconfigured():
        raise Misconfigured("bad_settings", "KEY_VAULT_URL is missing")

    monkeypatch.setattr(blueprint, "app", misconfigured)
    for status, answer, _ in (disconnect(), rotate()):
        assert (status, answer["error"]["code"]) == (500, "bad_settings")
