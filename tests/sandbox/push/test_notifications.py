"""Notifications as they reach an app's webhook."""

import time

import pytest

from sandbox.push.endpoint import Health
from sandbox.push.timing import Timing
from tests.sandbox.graph.graph_client import mail
from tests.sandbox.push.subscriber import Subscriber


@pytest.fixture
def inbox(microsoft365, browser, webhook):
    return Subscriber(microsoft365, browser, webhook)


def test_a_new_message(inbox, webhook):
    subscription_id = inbox.subscribe()
    (message,) = inbox.deliver(mail(1))
    (item,) = webhook.wait()
    etag = item["resourceData"].pop("@odata.etag")
    assert etag.startswith('W/"')
    resource = f"Users/{inbox.user.user_id}/Messages/{message}"
    assert item.pop("subscriptionExpirationDateTime").endswith("Z")
    assert item == {
        "subscriptionId": subscription_id,
        "clientState": "the state",
        "changeType": "created",
        "resource": resource,
        "tenantId": inbox.user.tenant_id,
        "resourceData": {"@odata.type": "#Microsoft.Graph.Message", "@odata.id": resource, "id": message},
    }


def test_every_kind_of_change(inbox, webhook):
    inbox.subscribe()
    archive = inbox.subscribe(resource="me/mailFolders('archive')/messages")
    (message,) = inbox.deliver(mail(1))
    inbox.tell(f"/messages/{message}", {"isRead": True})
    inbox.tell(f"/messages/{message}/move", {"folder": "archive"})
    inbox.tell(f"/messages/{message}/delete")
    items = webhook.wait(5)
    found = [(item["changeType"], item["subscriptionId"] == archive) for item in items]
    assert sorted(found) == [
        ("created", False),
        ("created", True),
        ("deleted", False),
        ("deleted", True),
        ("updated", False),
    ]
    assert {item["resourceData"]["id"] for item in items} == {message}


def test_only_what_was_asked_for(inbox, webhook):
    inbox.subscribe(changeType="updated")
    whole = inbox.subscribe(changeType="created", resource="me/messages")
    inbox.deliver(mail(1), folder="archive")
    (message,) = inbox.deliver(mail(2))
    inbox.tell(f"/messages/{message}", {"isRead": True})
    items = webhook.wait(3)
    assert sorted((item["changeType"], item["subscriptionId"] == whole) for item in items) == [
        ("created", True),
        ("created", True),
        ("updated", False),
    ]


def test_mutable_ids_unless_asked(inbox, webhook):
    assert inbox.create(prefer=None).status_code == 201
    (message,) = inbox.deliver(mail(1))
    (item,) = webhook.wait()
    assert item["resourceData"]["id"] == inbox.mailbox.messages()[0].id != message


def until(holds):
    """Asks until it holds; each question goes over HTTP, so that no pause is needed between."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline


def test_one_post_for_several_mailboxes(inbox, microsoft365, browser, webhook):
    other = Subscriber(microsoft365, browser, webhook, "other@contoso.example")
    inbox.command("/push", collect=1)
    for owner in (inbox, other):
        owner.subscribe(clientState=owner.address)
    for owner in (inbox, other):
        owner.deliver(mail(1), mail(2))
    webhook.wait(4)
    ((_, items),) = webhook.posts
    assert [item["clientState"] for item in items] == [inbox.address] * 2 + [other.address] * 2


def test_large_batches_are_split(inbox, webhook):
    inbox.subscribe()
    inbox.tell("/generate", {"count": 250})
    webhook.wait(250)
    assert sorted(len(items) for _, items in webhook.posts) == [50, 100, 100]


def test_a_failure_is_tried_again(inbox, webhook):
    inbox.command("/push", waits=0.001)
    inbox.subscribe()
    webhook.answers = [500, 404, 302]
    inbox.deliver(mail(1))
    posts = webhook.wait_posts(4)
    assert len({str(items) for _, items in posts}) == 1
    until(lambda: inbox.endpoints()[0]["delivered"] == 1)
    assert inbox.endpoints()[0]["failed"] == 3


def test_an_answer_that_comes_too_late(inbox, webhook):
    inbox.subscribe()
    inbox.command("/push", waits=0.001, deadlines=0.1)
    webhook.answers = ["never"]
    inbox.deliver(mail(1))
    assert len(webhook.wait_posts(2)) == 2


def test_after_four_hours_it_is_missed(inbox, webhook):
    inbox.command("/push", waits=0.00001)
    subscription_id = inbox.subscribe()
    webhook.answers = [500] * 1000
    inbox.deliver(mail(1))
    until(lambda: inbox.endpoints()[0]["lost"] == 1)
    webhook.answers = []
    event = webhook.wait(path="/lifecycle")[-1]
    assert (event["lifecycleEvent"], event["subscriptionId"]) == ("missed", subscription_id)


def test_a_dropped_url_loses_what_is_new(inbox, webhook):
    inbox.subscribe()
    inbox.command("/push", waits=0.01, deadlines=0.02, minimumResponses=1)
    webhook.answers = ["never", "never"]
    inbox.deliver(mail(1))
    until(lambda: inbox.endpoints()[0]["state"] == "drop")
    inbox.deliver(mail(2))
    until(lambda: inbox.endpoints()[0]["lost"] == 1)


def test_a_slow_url_waits(inbox, webhook):
    inbox.subscribe()
    inbox.command("/push", waits=0.001, deadlines=0.1, minimumResponses=1)
    webhook.answers = ["never"]
    inbox.deliver(mail(1))
    until(lambda: inbox.endpoints()[0]["state"] == "slow")
    begun = time.monotonic()
    inbox.deliver(mail(2))
    webhook.wait(3)
    assert time.monotonic() - begun > 0.5


def test_health():
    health = Health(Timing(minimum_responses=10))
    for second in range(17):
        health.record(second, 0.1)
    health.record(17, 3.5)
    assert health.state(18) == "ok"
    health.record(18, 3)
    assert health.state(19) == "slow"
    health.record(20, 11)
    health.record(21, 10)
    assert health.state(22) == "slow"
    health.record(23, 10)
    health.record(24, 10)
    assert health.state(25) == "drop"
    assert health.state(624) == "ok"


def test_no_authorization_no_delivery(inbox, webhook):
    subscription_id = inbox.subscribe()
    inbox.command("/clock", advanceSeconds=3600)
    inbox.deliver(mail(1))
    (event,) = webhook.wait(path="/lifecycle")
    assert (event["lifecycleEvent"], event["subscriptionId"]) == ("reauthorizationRequired", subscription_id)
    inbox.new_token()
    assert inbox.ask("POST", f"/subscriptions/{subscription_id}/reauthorize").status_code == 204
    (second,) = inbox.deliver(mail(2))
    assert [item["resourceData"]["id"] for item in webhook.wait()] == [second]


def test_renewal_reauthorizes(inbox, webhook):
    subscription_id = inbox.subscribe()
    inbox.command("/revoke", address=inbox.address)
    inbox.deliver(mail(1))
    (event,) = webhook.wait(path="/lifecycle")
    assert event["lifecycleEvent"] == "reauthorizationRequired"
    inbox.new_token()
    body = {"expirationDateTime": inbox.in_minutes(9000)}
    assert inbox.ask("PATCH", f"/subscriptions/{subscription_id}", body).status_code == 200
    (second,) = inbox.deliver(mail(2))
    assert [item["resourceData"]["id"] for item in webhook.wait()] == [second]


def test_the_reminder_comes_in_time_and_again(inbox, webhook):
    inbox.subscribe(expirationDateTime=inbox.in_minutes(50))
    inbox.command("/clock", advanceSeconds=30 * 60)
    assert webhook.items("/lifecycle") == []
    inbox.command("/clock", advanceSeconds=6 * 60)
    webhook.wait(1, "/lifecycle")
    inbox.command("/clock", advanceSeconds=60)
    inbox.command("/clock", advanceSeconds=5 * 60)
    assert len(webhook.wait(2, "/lifecycle")) == 2


def test_withheld_reauthorization(inbox, webhook):
    inbox.fault("reauthorization-withhold", address=inbox.address)
    inbox.subscribe()
    inbox.command("/clock", advanceSeconds=3700)
    inbox.client.delete(f"{inbox.control}/faults")
    inbox.command("/lifecycle", event="missed", address=inbox.address)
    assert [event["lifecycleEvent"] for event in webhook.wait(path="/lifecycle")] == ["missed"]


def test_events_by_order(inbox, webhook):
    inbox.subscribe()
    assert inbox.fault("reauthorize", address=inbox.address)["done"] == {"subscriptions": 1}
    inbox.fault("missed")
    inbox.fault("subscription-remove", lifecycle=True)
    events = [event["lifecycleEvent"] for event in webhook.wait(3, "/lifecycle")]
    assert sorted(events) == ["missed", "reauthorizationRequired", "subscriptionRemoved"]
    assert inbox.ask("GET").json()["value"] == []


def test_lifecycle_events_have_two_shapes_in_turn(inbox, webhook):
    subscription_id = inbox.subscribe(clientState="the state")
    for _ in range(4):
        inbox.fault("reauthorize", address=inbox.address)
    events = webhook.wait(4, "/lifecycle")
    reported, documented = ([event for event in events if name in event] for name in ("organizationId", "tenantId"))
    assert len(reported) == len(documented) == 2
    assert documented[0] == {
        "subscriptionId": subscription_id,
        "subscriptionExpirationDateTime": documented[0]["subscriptionExpirationDateTime"],
        "tenantId": inbox.user.tenant_id,
        "clientState": "the state",
        "lifecycleEvent": "reauthorizationRequired",
    }
    assert reported[0].pop("subscriptionExpirationDateTime").endswith("-08:00")
    assert reported[0] == {
        "lifecycleEvent": "reauthorizationRequired",
        "subscriptionId": subscription_id,
        "resource": f"Subscriptions/{subscription_id}",
        "clientState": "the state",
        "sequence": None,
        "resourceData": {
            "@odata.type": "#microsoft.graph.subscription",
            "@odata.id": f"subscriptions/{subscription_id}",
            "id": subscription_id,
        },
        "encryptedContent": None,
        "organizationId": inbox.user.tenant_id,
    }


def test_orders_that_make_no_sense(inbox):
    for path, body in (
        ("/lifecycle", {"event": "party"}),
        ("/lifecycle", {"event": "missed", "address": "nobody@contoso.example"}),
        ("/push", {"speed": 3}),
        ("/push", {"waits": -1}),
        ("/faults", {"name": "missed", "params": {"colour": "red"}}),
    ):
        assert inbox.client.post(f"{inbox.control}{path}", json=body).status_code == 400


def test_removed_without_a_word(inbox, webhook):
    inbox.subscribe()
    inbox.fault("subscription-remove", address=inbox.address)
    inbox.deliver(mail(1))
    inbox.subscribe()
    (second,) = inbox.deliver(mail(2))
    assert [item["resourceData"]["id"] for item in webhook.wait()] == [second]
    assert webhook.items("/lifecycle") == []


def test_dropped(inbox, webhook):
    inbox.subscribe()
    inbox.fault("notification-drop", count=1, address=inbox.address)
    _, second = inbox.deliver(mail(1), mail(2))
    assert [item["resourceData"]["id"] for item in webhook.wait()] == [second]


@pytest.mark.parametrize("fault", ["notification-delay", "notification-reorder"])
def test_late_and_passed_by_others(inbox, webhook, monkeypatch, fault):
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    inbox.subscribe()
    inbox.fault(fault, count=1, seconds=0.5)
    first, second = inbox.deliver(mail(1), mail(2))
    assert [item["resourceData"]["id"] for item in webhook.wait(2)] == [second, first]


def test_repeated(inbox, webhook):
    inbox.subscribe()
    inbox.fault("notification-repeat", count=1, times=2)
    (message,) = inbox.deliver(mail(1))
    assert [item["resourceData"]["id"] for item in webhook.wait(3)] == [message] * 3


def test_forged(inbox, webhook):
    inbox.subscribe()
    inbox.fault("notification-forge", count=1)
    inbox.fault("notification-forge", count=1, clientState=None)
    inbox.deliver(mail(1), mail(2))
    assert [item["clientState"] for item in webhook.wait(4)] == ["forged", "the state", None, "the state"]


def test_gathered(inbox, webhook):
    inbox.subscribe()
    inbox.fault("notification-batch", seconds=1)
    inbox.deliver(mail(1), mail(2), mail(3))
    webhook.wait(3)
    assert len(webhook.posts) == 1
