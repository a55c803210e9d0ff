"""What goes over the wire for subscriptions, and what refusals mean."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from mailsync.adapters.graph.subscriptions import GraphSubscriptions
from mailsync.adapters.graph.transport import GraphTransport
from mailsync.errors import MailsyncError, Rejected, RetryLater
from tests.adapters.stub_transport import Reply, stub_session

GRAPH = "https://graph.example:8443/v1.0"
APP = "https://app.example/graph/notifications"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ENDS = NOW + timedelta(minutes=10_070)


class Client(GraphSubscriptions):
    def __init__(self, *script, fresh_token=None):
        session, self.wire = stub_session(*script)
        self.waited = []
        transport = GraphTransport(endpoint=GRAPH, session=session, sleep=self.waited.append, clock=lambda: NOW)
        super().__init__(
            transport.as_user(lambda: "token-1", fresh_token),
            notification_url=APP,
            lifecycle_url="https://app.example/graph/lifecycle",
        )


def shown(**more):
    return {"id": "s1", "expirationDateTime": "2026-01-09T02:54:04.5Z", "clientState": None} | more


def refusal(status, message="", code="ExtensionError", headers=None):
    return Reply(status, {"error": {"code": code, "message": message}}, headers or {})


def refused(*script, operation="create"):
    client = Client(*script)
    calls = {
        "create": lambda: client.create("inbox", "state", ENDS),
        "renew": lambda: client.renew("s1", ENDS),
        "delete": lambda: client.delete("s1"),
        "existing": client.existing,
    }
    with pytest.raises(MailsyncError) as caught:
        calls[operation]()
    return caught.value


def test_creation():
    client = Client(Reply(201, shown()))
    subscription_id, expires_at = client.create("inbox", "the state", ENDS)
    assert (subscription_id, expires_at) == ("s1", datetime(2026, 1, 9, 2, 54, 4, 500_000, tzinfo=UTC))
    (sent,) = client.wire.seen
    assert (sent.method, sent.url) == ("POST", f"{GRAPH}/subscriptions")
    assert 'IdType="ImmutableId"' in sent.headers["Prefer"]
    assert json.loads(sent.body) == {
        "changeType": "created,updated,deleted",
        "notificationUrl": APP,
        "lifecycleNotificationUrl": "https://app.example/graph/lifecycle",
        "resource": "me/mailFolders('inbox')/messages",
        "expirationDateTime": "2026-01-09T02:54:05Z",
        "clientState": "the state",
        "latestSupportedTlsVersion": "v1_2",
    }


def test_renewal_and_deletion():
    client = Client(Reply(200, shown()), Reply(204, b""))
    client.renew("s/1", ENDS)
    client.delete("s1")
    first, second = client.wire.seen
    assert (first.method, first.url) == ("PATCH", f"{GRAPH}/subscriptions/s%2F1")
    assert json.loads(first.body) == {"expirationDateTime": "2026-01-09T02:54:05Z"}
    assert (second.method, second.url, second.body) == ("DELETE", f"{GRAPH}/subscriptions/s1", None)


def test_those_of_every_url_are_found_over_all_pages():
    entries = [
        ("a", APP, "me/mailFolders('inbox')/messages"),
        ("b", "https://staging.example/graph/notifications", "me/mailFolders('inbox')/messages"),
        ("c", APP, "/users/7/mailfolders/AAMk=/messages"),
        ("d", APP, "me/events"),
    ]
    found = [shown(id=id_, notificationUrl=url, resource=resource) for id_, url, resource in entries]
    link = f"{GRAPH}/subscriptions?$skiptoken=2"
    client = Client(Reply(200, {"value": found[:2], "@odata.nextLink": link}), Reply(200, {"value": found[2:]}))
    assert client.existing() == {"a": "inbox", "b": "inbox", "c": "AAMk="}
    assert client.wire.seen[1].url == link


def test_a_list_without_an_end_ends():
    link = f"{GRAPH}/subscriptions?$skiptoken=1"
    page = Reply(200, {"value": [shown(resource="me/mailFolders('inbox')/messages")], "@odata.nextLink": link})
    client = Client(*[page] * 100)
    assert client.existing() == {"s1": "inbox"}
    assert len(client.wire.seen) < 100


@pytest.mark.parametrize(
    ("granted", "end"),
    [
        ("2026-01-09T02:54:05", ENDS),
        ("2026-01-08T18:54:05-08:00", ENDS),
        ("2026-01-03T00:00:00", datetime(2026, 1, 3, tzinfo=UTC)),
        ("9999-12-31T23:59:59-12:00", ENDS),
    ],
)
def test_an_end_is_in_utc_and_no_later_than_was_asked_for(granted, end):
    client = Client(Reply(201, shown(expirationDateTime=granted)), Reply(200, shown(expirationDateTime=granted)))
    assert client.create("inbox", "state", ENDS) == ("s1", end)
    assert client.renew("s1", ENDS) == end


@pytest.mark.parametrize(
    "odd", [{"expirationDateTime": "0001-01-01T00:00:00Z"}, {"id": "x" * 40_000}, {"id": "\x1b[2J"}]
)
@pytest.mark.parametrize("operation", ["create", "renew"])
def test_a_subscription_that_no_record_could_hold_is_none(odd, operation):
    assert refused(Reply(201, shown(**odd)), operation=operation).reason == "graph_unavailable"


def test_a_link_elsewhere_is_not_followed():
    page = Reply(200, {"value": [], "@odata.nextLink": "https://evil.example/v1.0/subscriptions"})
    assert refused(page, operation="existing").reason == "foreign_link"


@pytest.mark.parametrize(
    ("status", "message", "operation", "reason"),
    [
        (404, "The object was not found.", "renew", "subscription_gone"),
        (410, "Gone.", "renew", "subscription_gone"),
        (404, "The folder was not found.", "create", "folder_not_found"),
        (409, "Subscription Id <s> already exists for the requested combination", "create", "subscription_exists"),
        (400, "Subscription expiration can only be 4230 minutes in the future.", "create", "subscription_too_long"),
        (400, "Subscription expiration can only be 4230 minutes in the future.", "renew", "subscription_too_long"),
        (400, "Subscription validation request failed. Must respond with 200 OK.", "create", "handshake_failed"),
        (400, "Something else", "create", "subscription_refused"),
        (403, "Access is denied", "create", "subscription_forbidden"),
        (403, "Access is denied", "renew", "subscription_forbidden"),
        (403, "Maximum number of active subscriptions has been reached", "create", "subscription_quota"),
    ],
)
def test_what_refusals_mean(status, message, operation, reason):
    error = refused(refusal(status, message), operation=operation)
    assert isinstance(error, Rejected)
    assert error.reason == reason
    assert message not in error.message
    assert str(status) in error.message


@pytest.mark.parametrize("operation", ["create", "renew", "delete", "existing"])
def test_throttling_is_waited_for_or_handed_on(operation):
    error = refused(refusal(429, headers={"Retry-After": "90"}), operation=operation)
    assert isinstance(error, RetryLater)
    assert error.retry_after == 90


def test_short_outages_are_waited_out():
    client = Client(refusal(503), Reply(201, shown()))
    assert client.create("inbox", "state", ENDS)[0] == "s1"
    assert client.waited == [0.5]


def test_a_refused_token_is_replaced_once():
    client = Client(refusal(401), Reply(200, shown()), fresh_token=lambda: "token-2")
    client.renew("s1", ENDS)
    assert [sent.headers["Authorization"] for sent in client.wire.seen] == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize("body", [b"<html>", {"id": "s1"}, {"id": 7, "expirationDateTime": "soon"}])
def test_an_answer_that_is_no_subscription_is_graphs_trouble(body):
    assert refused(Reply(201, body)).reason == "graph_unavailable"
