import json
import logging
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec import UNSET

from mailsync.adapters.graph import messages as wire
from mailsync.sync.records import Content, Header, Message, Person

ANN = Person("ann@example.org", "Ann \u2603")
PERSON = {"emailAddress": {"address": "ann@example.org", "name": "Ann \u2603"}}
WHOLE = {
    "@odata.etag": "x",
    "id": "AAk1",
    "internetMessageId": "<1@example.org>",
    "conversationId": "c1",
    "parentFolderId": "f1",
    "receivedDateTime": "2026-01-02T03:04:05Z",
    "sentDateTime": "2026-01-02T05:04:05.25+02:00",
    "subject": "Hello",
    "from": PERSON,
    "sender": PERSON,
    "replyTo": [],
    "toRecipients": [PERSON, {"emailAddress": {"address": "bob@example.org"}}, {"emailAddress": None}],
    "ccRecipients": [],
    "importance": "normal",
    "isRead": False,
    "hasAttachments": True,
    "webLink": "https://outlook.example/1",
    "body": {"contentType": "HTML", "content": "<p>Hi</p>"},
    "bodyPreview": "Hi",
    "internetMessageHeaders": [{"name": "X-A", "value": "1"}],
    "unknownProperty": [1, 2],
}


def one(**properties) -> Message:
    (message,) = wire.to_messages(wire.page(json.dumps({"value": [properties]}).encode()).value)
    return message


def test_a_whole_message():
    message = one(**WHOLE)
    assert message.id == "AAk1"
    assert not message.removed
    assert message.content == Content(
        internet_message_id="<1@example.org>",
        conversation_id="c1",
        parent_folder_id="f1",
        received=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        sent=datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC),
        subject="Hello",
        author=ANN,
        sender_address="ann@example.org",
        reply_to=(),
        to_recipients=(ANN, Person("bob@example.org")),
        cc_recipients=(),
        importance="normal",
        is_read=False,
        has_attachments=True,
        web_link="https://outlook.example/1",
        body_content_type="html",
        body="<p>Hi</p>",
        body_preview="Hi",
        headers=(Header("X-A", "1"),),
    )
    assert message.received == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_an_update_holds_only_what_it_mentions():
    assert one(id="a", isRead=True).content == Content(is_read=True)


def test_a_removal():
    assert one(**{"id": "a", "@removed": {"reason": "deleted"}}) == Message("a", removed=True)
    assert one(**{"id": "a", "@removed": {"reason": "changed"}, "subject": "x"}) == Message("a", removed=True)


def test_null_clears_texts_and_passes_over_the_rest():
    message = one(**dict.fromkeys(WHOLE.keys() - {"id", "@odata.etag"}), id="a")
    assert message.content == Content(
        internet_message_id="",
        conversation_id="",
        subject="",
        author=Person(),
        sender_address="",
        reply_to=(),
        to_recipients=(),
        cc_recipients=(),
        importance="",
        web_link="",
        body_content_type="",
        body="",
        body_preview="",
    )


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05", "2026-01-02T03:04:05.0000000Z", "2026-01-01T22:04:05-05:00"])
def test_times_are_utc(text):
    received = one(id="a", receivedDateTime=text).received
    assert received == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert received.utcoffset() == timedelta()


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+05:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59-05:00",
    ],
)
@pytest.mark.parametrize("name", ["sentDateTime", "receivedDateTime"])
def test_a_missing_time_and_one_beyond_the_calendar_are_passed_over(name, text):
    assert one(**{"id": "a", name: text, "isRead": True}).content == Content(is_read=True)


@pytest.mark.parametrize("text", ["1600-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"])
def test_other_times_are_taken_as_they_are(text):
    assert one(id="a", sentDateTime=text).content == Content(sent=datetime.fromisoformat(text))


def test_a_property_of_a_wrong_type_costs_that_property_alone(caplog):
    with caplog.at_level(logging.WARNING):
        message = one(**dict(WHOLE, subject=5, isRead="yes", receivedDateTime="yesterday", toRecipients=3))
    lost = dict.fromkeys(("subject", "is_read", "received", "to_recipients"), UNSET)
    assert message.content == msgspec.structs.replace(one(**WHOLE).content, **lost)
    assert "subject" in caplog.text
    assert "yesterday" not in caplog.text


@pytest.mark.parametrize("odd", [None, 3, "ann@example.org", [], True])
def test_an_odd_entry_of_a_list_costs_that_entry(odd):
    content = one(id="m1", toRecipients=[odd, PERSON], ccRecipients=[odd], subject="Hello").content
    assert content == Content(to_recipients=(ANN,), cc_recipients=(), subject="Hello")


def test_an_odd_part_of_an_address_costs_that_part():
    odd = {"emailAddress": {"address": "ann@example.org", "name": 3}}
    assert one(id="m1", toRecipients=[odd]).content == Content(to_recipients=(Person("ann@example.org"),))


def test_an_odd_header_costs_that_header():
    good = {"name": "X-A", "value": "1"}
    content = one(id="m1", internetMessageHeaders=[None, good, 5, {"name": ["X-B"], "value": 2}]).content
    assert content == Content(headers=(Header("X-A", "1"), Header()))


def test_an_odd_message_of_a_page_costs_that_message():
    page = wire.page(b'{"value":[null,{"id":"a"},[],{"id":"b","from":{"emailAddress":[]}}]}')
    assert wire.to_messages(page.value) == (Message("a"), Message("b", Content(author=Person())))


def test_an_entry_without_an_id_is_left_out(caplog):
    raw = json.dumps({"value": [{"subject": "x"}, "nonsense", {"id": None}, {"id": "a"}]}).encode()
    assert [message.id for message in wire.to_messages(wire.page(raw).value)] == ["a"]
    assert "without an id" in caplog.text


def test_halves_of_surrogate_pairs_are_replaced():
    message = one(id="a", subject="x \ud83d y \U0001f600", body={"contentType": "text", "content": "\udc00"})
    assert message.content.subject == "x \ufffd y \U0001f600"
    assert message.content.body == "\ufffd"


def test_bytes_that_are_no_utf8_are_replaced():
    (message,) = wire.to_messages(wire.page(b'{"value":[{"id":"a","subject":"\xff"}]}').value)
    assert message.content.subject == "\ufffd"


def test_a_single_message_is_as_tolerant():
    assert wire.to_message(wire.message(b'{"id":"a","subject":1,"isRead":true}')) == Message("a", Content(is_read=True))


def test_links_and_count_survive_a_second_reading():
    page = wire.page(b'{"value":[{"id":5}],"@odata.nextLink":"n","@odata.count":3}')
    assert (page.next_link, page.delta_link, page.count) == ("n", None, 3)


@pytest.mark.parametrize("raw", [b"", b"null", b'{"value":{}}', b'{"value":[', b'{"value":[],"@odata.nextLink":1}'])
def test_what_is_no_page_is_a_value_error(raw):
    with pytest.raises(ValueError):
        wire.page(raw)
