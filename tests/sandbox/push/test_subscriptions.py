"""Subscriptions over HTTP: what Graph makes, shows, renews and refuses."""

from datetime import datetime, timedelta

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from sandbox.push import subscriptions
from tests.sandbox.graph.graph_client import error_of
from tests.sandbox.push.subscriber import RESOURCE, Subscriber


@pytest.fixture
def inbox(microsoft365, browser, webhook):
    return Subscriber(microsoft365, browser, webhook)


def test_creation(inbox, webhook):
    answer = inbox.create(notificationUrl=f"{webhook.url}/notifications?code=a%20b")
    assert answer.status_code == 201
    body = answer.json()
    assert body["resource"] == RESOURCE
    assert body["clientState"] == "the state"
    assert body["changeType"] == "created,deleted,updated"
    assert body["applicationId"] == inbox.world.app.client_id
    assert body["expirationDateTime"].endswith("Z")
    (path, query, content_type), (lifecycle, _, _) = webhook.handshakes
    assert (path, lifecycle) == ("/notifications", "/lifecycle")
    assert query["code"] == "a b"
    assert "%2B" in query["validationToken"]
    assert content_type == "text/plain; charset=utf-8"


def test_looking_at_them(inbox):
    subscription_id = inbox.subscribe()
    one = inbox.ask("GET", f"/subscriptions/{subscription_id}").json()
    assert (one["id"], one["clientState"]) == (subscription_id, None)
    (listed,) = inbox.ask("GET").json()["value"]
    assert listed["id"] == subscription_id
    assert inbox.ask("DELETE", f"/subscriptions/{subscription_id}").status_code == 204
    assert inbox.ask("GET").json()["value"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("POST", "/reauthorize")):
        answer = inbox.ask(method, f"/subscriptions/{subscription_id}{path}", {})
        assert error_of(answer, 404) == "ResourceNotFound"


def test_another_user_sees_nothing_of_it(inbox, microsoft365, browser, webhook):
    subscription_id = inbox.subscribe()
    other = Subscriber(microsoft365, browser, webhook, "other@contoso.example")
    assert other.ask("GET").json()["value"] == []
    assert error_of(other.ask("DELETE", f"/subscriptions/{subscription_id}"), 404) == "ResourceNotFound"


def test_life_is_capped_and_raised(inbox):
    answer = inbox.create(expirationDateTime=inbox.in_minutes(10_081))
    assert error_of(answer, 400) == "ExtensionError"
    assert "10080 minutes" in answer.json()["error"]["message"]
    assert error_of(inbox.create(expirationDateTime=inbox.in_minutes(-1)), 400) == "ExtensionError"
    body = inbox.create(expirationDateTime=inbox.in_minutes(5)).json()
    left = datetime.fromisoformat(body["expirationDateTime"]) - inbox.world.now()
    assert timedelta(minutes=44) < left <= timedelta(minutes=45)


def test_renewal(inbox):
    subscription_id = inbox.subscribe(expirationDateTime=inbox.in_minutes(60))
    body = {"expirationDateTime": inbox.in_minutes(600)}
    renewed = inbox.ask("PATCH", f"/subscriptions/{subscription_id}", body)
    assert renewed.status_code == 200
    left = datetime.fromisoformat(renewed.json()["expirationDateTime"]) - inbox.world.now()
    assert left > timedelta(minutes=599)
    too_long = {"expirationDateTime": inbox.in_minutes(20_000)}
    assert error_of(inbox.ask("PATCH", f"/subscriptions/{subscription_id}", too_long), 400) == "ExtensionError"
    for name in ("clientState", "lifecycleNotificationUrl"):
        answer = inbox.ask("PATCH", f"/subscriptions/{subscription_id}", {**body, name: "https://localhost/x"})
        assert error_of(answer, 400) == "InvalidRequest"


def test_expiry_ends_it(inbox):
    subscription_id = inbox.subscribe(expirationDateTime=inbox.in_minutes(50))
    inbox.command("/clock", advanceSeconds=51 * 60)
    inbox.new_token()
    assert error_of(inbox.ask("GET", f"/subscriptions/{subscription_id}"), 404) == "ResourceNotFound"


def test_no_two_of_a_kind(inbox):
    subscription_id = inbox.subscribe()
    answer = inbox.create(changeType="deleted,created,updated", resource="/me/mailfolders/Inbox/messages")
    assert answer.status_code == 409
    assert f"Subscription Id {subscription_id} already exists" in answer.json()["error"]["message"]
    inbox.subscribe(changeType="created")
    inbox.subscribe(resource="me/mailFolders('archive')/messages")


def test_so_many_for_one_mailbox(inbox, monkeypatch):
    monkeypatch.setattr(subscriptions, "MAX_PER_MAILBOX", 1)
    inbox.subscribe()
    assert error_of(inbox.create(changeType="created"), 403) == "ExtensionError"


def test_forms_of_the_resource(inbox):
    folder = inbox.mailbox.well_known["inbox"].id
    user = inbox.user.user_id
    for number, resource in enumerate(
        (
            "/me/messages",
            f"me/mailFolders/{folder}/messages",
            f"/users/{user}/mailFolders('drafts')/messages",
            f"users('{inbox.address}')/mailFolders/archive/messages",
        )
    ):
        assert inbox.create(resource=resource).status_code == 201, number


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"notificationUrl": "http://localhost/notifications"}, 400, "InvalidRequest"),
        ({"lifecycleNotificationUrl": "http://localhost/lifecycle"}, 400, "InvalidRequest"),
        ({"notificationUrl": "https://"}, 400, "InvalidRequest"),
        ({"notificationUrl": None}, 400, "InvalidRequest"),
        ({"changeType": "created,moved"}, 400, "InvalidRequest"),
        ({"changeType": "created,created"}, 400, "InvalidRequest"),
        ({"resource": "me/events"}, 400, "InvalidRequest"),
        ({"resource": "me/mailFolders('nowhere')/messages"}, 400, "ErrorInvalidIdMalformed"),
        ({"resource": "users/somebody@contoso.example/messages"}, 403, "ErrorAccessDenied"),
        ({"clientState": "x" * 129}, 400, "InvalidRequest"),
        ({"latestSupportedTlsVersion": "v1_4"}, 400, "InvalidRequest"),
        ({"includeResourceData": True}, 400, "InvalidRequest"),
        ({"expirationDateTime": None}, 400, "InvalidRequest"),
        ({"expirationDateTime": "tomorrow"}, 400, "BadRequest"),
        ({"expirationDateTime": "2099-01-01T00:00:00"}, 400, "BadRequest"),
        ({"shoeSize": 44}, 400, "BadRequest"),
    ],
)
def test_what_is_refused(inbox, webhook, changes, status, code):
    assert error_of(inbox.create(**changes), status) == code
    assert webhook.handshakes == []


def test_needs_mail_read(microsoft365, browser, webhook):
    person = Subscriber(microsoft365, browser, webhook, scopes=frozenset({"User.Read"}))
    assert error_of(person.create(), 403) == "ErrorAccessDenied"
    assert error_of(person.ask("GET"), 403) == "ErrorAccessDenied"


def test_other_methods_and_batches(inbox):
    assert error_of(inbox.ask("PUT"), 405) == "BadRequest"
    request = {"id": "1", "method": "POST", "url": "/subscriptions"}
    assert inbox.batch(request).json()["responses"][0]["status"] == 400


@pytest.mark.parametrize(
    "echo",
    [
        lambda token: PlainTextResponse(token, 202),
        HTMLResponse,
        lambda token: PlainTextResponse(f'"{token}"'),
        lambda token: PlainTextResponse(token.replace("%2B", "+")),
        lambda token: RedirectResponse("/elsewhere"),
    ],
)
def test_a_handshake_that_fails(inbox, webhook, echo):
    webhook.echo = echo
    assert error_of(inbox.create(), 400) == "ValidationError"
    assert inbox.ask("GET").json()["value"] == []


def test_a_handshake_that_takes_too_long(inbox, webhook):
    inbox.command("/push", deadlines=0.02)
    webhook.echo = lambda token: None
    answer = inbox.create()
    assert error_of(answer, 400) == "ValidationError"
    assert "timed out" in answer.json()["error"]["message"]


def test_nobody_listens(inbox):
    assert error_of(inbox.create(notificationUrl="https://localhost:1/notifications"), 400) == "ValidationError"


def test_both_urls_are_validated(inbox, webhook):
    answer = inbox.create(lifecycleNotificationUrl="https://localhost:1/lifecycle")
    assert error_of(answer, 400) == "ValidationError"
    assert len(webhook.handshakes) == 1


def test_faults(inbox):
    inbox.fault("subscription-cap", count=1)
    answer = inbox.create()
    assert "4230 minutes" in answer.json()["error"]["message"]
    inbox.fault("subscription-refused", count=1, address=inbox.address)
    assert error_of(inbox.create(), 403) == "ExtensionError"
    assert inbox.create().status_code == 201
