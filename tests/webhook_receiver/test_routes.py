"""The two URLs, as the Functions worker calls them; what they queue is tested in tests/mailsync."""

import asyncio
import json
import logging
from types import SimpleNamespace

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.bootstrap import App
from mailsync.errors import Misconfigured, Rejected, RetryLater
from mailsync.telemetry import Tally
from tests.fakes.queue_and_vault import FakeHintQueue
from tests.fakes.signing_keys import FakeSigningKeys
from tests.mailsync.push.test_notifications import BOX, NOW, OTHER_BOX, Webhook
from tests.mailsync.world import settings
from webhook_receiver import blueprint

ROUTES = {"/graph/notifications": blueprint.graph_notifications, "/graph/lifecycle": blueprint.graph_lifecycle}
SECURE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def no_app():
    raise AssertionError("this needs no program")


@pytest.fixture
def webhook(monkeypatch):
    webhook = Webhook()
    monkeypatch.setattr(blueprint, "app", lambda: SimpleNamespace(notifications=webhook.notifications))
    monkeypatch.setattr(blueprint, "_failures", Tally())
    return webhook


@pytest.fixture(params=ROUTES)
def post(request):
    def post(body=b"", **query):
        url = f"https://connect.example{request.param}"
        call = ROUTES[request.param].build().get_user_function()
        return asyncio.run(call(func.HttpRequest("POST", url, params=query, body=body)))

    return post


def collection(*items):
    return json.dumps({"value": items}).encode()


@pytest.mark.parametrize("token", ["Validation: Testing client application", "a+b%20c%2B", "<script>1</script>", "ä€"])
def test_handshake_echoes_the_token_as_it_is(post, monkeypatch, token):
    monkeypatch.setattr(blueprint, "app", no_app)
    response = post(validationToken=token)
    assert response.status_code == 200
    assert response.get_body() == token.encode()
    assert (response.mimetype, response.charset) == ("text/plain", "utf-8")
    assert dict(response.headers) == SECURE


@pytest.mark.parametrize(("length", "status"), [(4096, 200), (4097, 400)])
def test_a_token_has_a_length(post, monkeypatch, length, status):
    monkeypatch.setattr(blueprint, "app", no_app)
    response = post(validationToken="t" * length)
    assert response.status_code == status
    assert len(response.get_body()) <= 4096


def test_handshake_comes_before_everything(post, monkeypatch):
    monkeypatch.setattr(blueprint, "app", no_app)
    assert post(b"x" * 2_000_000, validationToken="token").get_body() == b"token"


def test_size_comes_before_parsing(post, monkeypatch, webhook):
    assert post(b"x" * (1024 * 1024)).status_code == 400
    monkeypatch.setattr(blueprint, "app", no_app)
    assert post(b"x" * (1024 * 1024 + 1)).status_code == 413


def test_accepted(post, webhook):
    response = post(collection(webhook.item(), webhook.item(OTHER_BOX)))
    assert (response.status_code, response.get_body(), dict(response.headers)) == (202, b"", SECURE)
    assert {hint.mailbox_id for hint in webhook.hints()} == {BOX, OTHER_BOX}


def test_the_answer_does_not_tell_which_were_genuine(post, webhook):
    forged = webhook.item(clientState="guess")
    answers = [
        post(collection(*items))
        for items in ([webhook.item()], [webhook.item(), forged], [forged], [forged, forged], [])
    ]
    assert {(answer.status_code, answer.get_body(), tuple(answer.headers)) for answer in answers} == {
        (202, b"", tuple(answers[0].headers))
    }


def test_malformed(post, webhook):
    response = post(b"{")
    assert response.status_code == 400
    assert response.get_body() == b"The body is not a collection of change notifications."


@pytest.mark.parametrize(
    "error",
    [
        RetryLater("storage_unavailable", "Away."),
        Rejected("storage_refused", "No."),
        Misconfigured("storage_forbidden", "No."),
    ],
)
def test_what_cannot_be_queued_is_sent_again_by_graph(post, webhook, error):
    webhook.queue.failure = error
    response = post(collection(webhook.item()))
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "10"
    assert response.get_body() == b""


def test_settings_that_do_not_load(post, monkeypatch, webhook, caplog):
    def misconfigured():
        raise Misconfigured("bad_settings", "KEY_VAULT_URL is missing")

    monkeypatch.setattr(blueprint, "app", misconfigured)
    with caplog.at_level(logging.ERROR, logger="mailsync"):
        assert [post(b"{}").status_code for _ in range(50)] == [503] * 50
    assert caplog.messages == ["misconfigured reason=bad_settings detail=KEY_VAULT_URL_is_missing"]


def test_an_outage_is_a_line_now_and_then(post, monkeypatch, webhook, caplog):
    now = [0.0]
    monkeypatch.setattr(blueprint, "_failures", Tally(10, lambda: now[0]))
    webhook.queue.failure = RetryLater("storage_unavailable", "Away.")
    for second in range(12):
        now[0] = float(second)
        post(collection(webhook.item()))
    assert caplog.messages == [
        f"notifications_not_queued reason=storage_unavailable count={n} detail=Away." for n in (1, 10)
    ]


@given(st.binary(max_size=200), st.sampled_from(sorted(ROUTES)))
def test_no_body_makes_an_error_of_ours(body, route):
    queue = FakeHintQueue()
    program = App(settings(), signing_keys=FakeSigningKeys(), notification_queue=queue, clock=lambda: NOW)
    call = ROUTES[route].build().get_user_function()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blueprint, "app", lambda: program)
        request = func.HttpRequest("POST", f"https://connect.example{route}", body=body)
        assert asyncio.run(call(request)).status_code in (202, 400)
    assert queue.sent == []
