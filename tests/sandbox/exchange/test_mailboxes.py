"""The model of a mailbox, and the control routes that fill and change it."""

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.exchange import mime
from sandbox.exchange.mailboxes import Mailbox
from sandbox.exchange.samples import generate
from tests.sandbox.graph.graph_client import Inbox, mail

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def mailbox():
    return Mailbox("55555555-5555-4555-8555-555555555555", lambda: NOW)


@pytest.fixture
def inbox(microsoft365, browser):
    return Inbox(microsoft365, browser)


def put(mailbox, *lines, body="Hello"):
    return mailbox.deliver(mime.read("\r\n".join(["From: a@b.c", *lines, "", body]).encode())).properties


def test_conversations(mailbox):
    first = put(mailbox, "Subject: Offer", "Message-ID: <1@x>")
    reply = put(mailbox, "Subject: RE: Offer", "Message-ID: <3@x>", "References: <1@x> <2@x>")
    late = put(mailbox, "Subject: quite different", "Message-ID: <2@x>", "In-Reply-To: <1@x>")
    outlook = put(mailbox, "Subject: Deal", "Thread-Index: AdHhMtqS6QZFxLeGSESVgAm6nwV3ZA==")
    answer = put(mailbox, "Subject: AW: Deal", "Thread-Index: AdHhMtqS6QZFxLeGSESVgAm6nwV3ZAAAQuCQ")
    by_topic = put(mailbox, "Subject: Re: Offer")
    other = put(mailbox, "Subject: Lunch")
    assert first["conversationId"] == reply["conversationId"] == late["conversationId"] == by_topic["conversationId"]
    assert outlook["conversationId"] == answer["conversationId"] != first["conversationId"]
    assert other["conversationId"] not in {first["conversationId"], outlook["conversationId"]}


def test_what_a_message_lacks_is_added(mailbox):
    message = put(mailbox)
    assert message["internetMessageId"].startswith("<")
    assert message["sentDateTime"] == message["receivedDateTime"] == "2026-11-25T00:00:00Z"
    assert message["isRead"] is False


def test_twelve_thousand_messages(mailbox):
    generate(mailbox, 12_000, days=30, body_kilobytes=2, seed=1)
    folder = mailbox.folder("inbox")
    ids = {message.immutable_id for message in mailbox.messages()}
    assert len(mailbox) == len(folder.messages) == len(ids) == 12_000
    assert len({message_id.lower() for message_id in ids}) == 6_000
    rows = folder.received_between(NOW - timedelta(days=10), NOW)
    assert 3_000 < len(rows) < 5_000
    assert rows == sorted(rows, key=lambda m: m.received)


def test_the_same_seed_gives_the_same_mail(mailbox):
    other = Mailbox(mailbox.user_id, lambda: NOW)
    for target in (mailbox, other):
        generate(target, 20, days=3, body_kilobytes=1, seed=5)
    own = {"webLink", "conversationId"}
    texts = [
        [{k: v for k, v in m.properties.items() if k not in own} for m in box.messages()] for box in (mailbox, other)
    ]
    assert texts[0] == texts[1]
    assert not {m.immutable_id for m in mailbox.messages()} & {m.immutable_id for m in other.messages()}


def test_unknown_folders_are_refused(mailbox):
    with pytest.raises(ValueError, match="no folder"):
        mailbox.deliver(mime.read(mail(1)), folder="nowhere")


def deliver(inbox, content, **query):
    return inbox.client.post(f"{inbox.control}/mailboxes/{inbox.address}/deliver", content=content, params=query).json()


def test_delivering_files(inbox):
    good = deliver(inbox, mail(1), name="1.eml")
    assert good["delivered"] == len(good["ids"]) == 1
    assert deliver(inbox, b"", name="empty.eml") == {
        "delivered": 0,
        "unreadable": [{"name": "empty.eml", "reason": "it is empty"}],
        "ids": [],
    }
    envelope = b"From x@y.z Thu Apr 29 23:34:45 2021\n"
    assert deliver(inbox, envelope + mail(2) + b"\n\n" + envelope + mail(3))["delivered"] == 2


def test_received_when_delivered_or_when_sent(inbox):
    (now,) = inbox.deliver(mail(1))
    (then,) = inbox.deliver(mail(2), keepDate="1")
    assert inbox.get(f"/me/messages/{then}").json()["receivedDateTime"] == "2026-11-18T10:00:00Z"
    received = datetime.fromisoformat(inbox.get(f"/me/messages/{now}").json()["receivedDateTime"])
    assert abs(received - inbox.world.now()) < timedelta(minutes=1)


def test_showing_a_mailbox(inbox):
    (message,) = inbox.deliver(mail(1), folder="archive")
    shown = inbox.client.get(f"{inbox.control}/mailboxes/{inbox.address}").json()
    assert {"Inbox", "Archive"} <= {folder["displayName"] for folder in shown["folders"]}
    (row,) = shown["messages"]
    assert (row["id"], row["folder"]) == (message, "archive")
    everything = "internetMessageHeaders,body,subject,conversationId,parentFolderId,webLink"
    answer = inbox.get(f"/me/messages/{message}", select=everything).json()
    assert {name: row[name] for name in everything.split(",")} == {name: answer[name] for name in everything.split(",")}


def test_generating_mail(inbox):
    assert inbox.tell("/generate", {"count": 30, "days": 2, "bodyKilobytes": 1, "seed": 3}) == {"generated": 30}
    body = inbox.get("/me/mailFolders/inbox/messages", count="true").json()
    assert body["@odata.count"] == 30


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/generate", {}, 400),
        ("/generate", {"count": -1}, 400),
        ("/messages/unknown", {"isRead": True}, 404),
        ("/messages/unknown/move", {"folder": "archive"}, 404),
        ("/messages/unknown/delete", {}, 404),
    ],
)
def test_control_requests_that_are_refused(inbox, path, body, status):
    answer = inbox.client.post(f"{inbox.control}/mailboxes/{inbox.address}{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_changes_that_are_refused(inbox):
    (message,) = inbox.deliver(mail(1))
    base = f"{inbox.control}/mailboxes/{inbox.address}"
    for path, body in (("", {"subject": "x"}), ("", {"isRead": "yes"}), ("/move", {"folder": "x"}), ("/move", {})):
        assert inbox.client.post(f"{base}/messages/{message}{path}", json=body).status_code == 400
    assert inbox.client.get(f"{inbox.control}/mailboxes/nobody@contoso.example").status_code == 404
