import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from mailsync.adapters.graph import messages as wire
from mailsync.sync.records import Message

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
    assert message.columns == {
        "internetMessageId": "<1@example.org>",
        "conversationId": "c1",
        "parentFolderId": "f1",
        "receivedDateTime": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "sentDateTime": datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC),
        "subject": "Hello",
        "fromAddress": "ann@example.org",
        "fromName": "Ann \u2603",
        "senderAddress": "ann@example.org",
        "replyTo": "[]",
        "toRecipients": '[{"address":"ann@example.org","name":"Ann \u2603"},{"address":"bob@example.org","name":""}]',
        "ccRecipients": "[]",
        "importance": "normal",
        "isRead": False,
        "hasAttachments": True,
        "webLink": "https://outlook.example/1",
        "bodyContentType": "html",
        "body": "<p>Hi</p>",
        "bodyPreview": "Hi",
        "headers": '[{"name":"X-A","value":"1"}]',
    }
    assert message.received == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_an_update_holds_only_what_it_mentions():
    assert one(id="a", isRead=True).columns == {"isRead": True}


def test_a_removal():
    assert one(**{"id": "a", "@removed": {"reason": "deleted"}}) == Message("a", removed=True)
    assert one(**{"id": "a", "@removed": {"reason": "changed"}, "subject": "x"}) == Message("a", removed=True)


def test_null_clears_texts_and_passes_over_the_rest():
    message = one(**dict.fromkeys(WHOLE.keys() - {"id", "@odata.etag"}), id="a")
    assert message.columns == {
        "internetMessageId": "",
        "conversationId": "",
        "subject": "",
        "fromAddress": "",
        "fromName": "",
        "senderAddress": "",
        "replyTo": "[]",
        "toRecipients": "[]",
        "ccRecipients": "[]",
        "importance": "",
        "webLink": "",
        "bodyContentType": "",
        "body": "",
        "bodyPreview": "",
    }


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
        "1600-12-31T23:59:59.999999Z",
        "1601-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-05:00",
    ],
)
@pytest.mark.parametrize("name", ["sentDateTime", "receivedDateTime"])
def test_a_time_that_no_table_can_hold_is_passed_over(name, text):
    assert one(**{"id": "a", name: text, "isRead": True}).columns == {"isRead": True}


@pytest.mark.parametrize("text", ["1601-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_the_first_and_the_last_time_that_a_table_can_hold(text):
    assert one(id="a", sentDateTime=text).columns == {"sentDateTime": datetime.fromisoformat(text)}


def test_a_property_of_a_wrong_type_costs_that_property_alone(caplog):
    with caplog.at_level(logging.WARNING):
        message = one(**dict(WHOLE, subject=5, isRead="yes", receivedDateTime="yesterday", toRecipients=3))
    whole = one(**WHOLE).columns
    lost = {"subject", "isRead", "receivedDateTime", "toRecipients"}
    assert message.columns == {name: value for name, value in whole.items() if name not in lost}
    assert "subject" in caplog.text
    assert "yesterday" not in caplog.text


@pytest.mark.parametrize("odd", [None, 3, "ann@example.org", [], True])
def test_an_odd_entry_of_a_list_costs_that_entry(odd):
    columns = one(id="m1", toRecipients=[odd, PERSON], ccRecipients=[odd], subject="Hello").columns
    assert columns == {
        "toRecipients": '[{"address":"ann@example.org","name":"Ann \u2603"}]',
        "ccRecipients": "[]",
        "subject": "Hello",
    }


def test_an_odd_part_of_an_address_costs_that_part():
    odd = {"emailAddress": {"address": "ann@example.org", "name": 3}}
    assert one(id="m1", toRecipients=[odd]).columns == {"toRecipients": '[{"address":"ann@example.org","name":""}]'}


def test_an_odd_header_costs_that_header():
    good = {"name": "X-A", "value": "1"}
    columns = one(id="m1", internetMessageHeaders=[None, good, 5, {"name": ["X-B"], "value": 2}]).columns
    assert json.loads(columns["headers"]) == [good, {"name": "", "value": ""}]


def test_an_odd_message_of_a_page_costs_that_message():
    page = wire.page(b'{"value":[null,{"id":"a"},[],{"id":"b","from":{"emailAddress":[]}}]}')
    assert [(message.id, dict(message.columns)) for message in wire.to_messages(page.value)] == [
        ("a", {}),
        ("b", {"fromAddress": "", "fromName": ""}),
    ]


def test_an_entry_without_an_id_is_left_out(caplog):
    raw = json.dumps({"value": [{"subject": "x"}, "nonsense", {"id": None}, {"id": "a"}]}).encode()
    assert [message.id for message in wire.to_messages(wire.page(raw).value)] == ["a"]
    assert "without an id" in caplog.text


def test_halves_of_surrogate_pairs_are_replaced():
    message = one(id="a", subject="x \ud83d y \U0001f600", body={"contentType": "text", "content": "\udc00"})
    assert message.columns["subject"] == "x \ufffd y \U0001f600"
    assert message.columns["body"] == "\ufffd"


def test_bytes_that_are_no_utf8_are_replaced():
    (message,) = wire.to_messages(wire.page(b'{"value":[{"id":"a","subject":"\xff"}]}').value)
    assert message.columns["subject"] == "\ufffd"


def test_a_single_message_is_as_tolerant():
    assert wire.to_message(wire.message(b'{"id":"a","subject":1,"isRead":true}')).columns == {"isRead": True}


def test_links_and_count_survive_a_second_reading():
    page = wire.page(b'{"value":[{"id":5}],"@odata.nextLink":"n","@odata.count":3}')
    assert (page.next_link, page.delta_link, page.count) == ("n", None, 3)


@pytest.mark.parametrize("raw", [b"", b"null", b'{"value":{}}', b'{"value":[', b'{"value":[],"@odata.nextLink":1}'])
def test_what_is_no_page_is_a_value_error(raw):
    with pytest.raises(ValueError):
        wire.page(raw)
