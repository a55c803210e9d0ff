"""Notifications as they reach an app's webhook."""

import pytest

from tests.sandbox.graph_client import mail
from tests.sandbox.subscriber import Subscriber
from tests.sandbox.webhook import listening


@pytest.fixture
def webhook(tls_files):
    with listening(tls_files) as app:
        yield app


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
