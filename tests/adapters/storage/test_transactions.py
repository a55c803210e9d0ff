"""Transactions on the wire. That the service understands them, the suites on Azurite show."""

import json
from datetime import UTC, datetime

import pytest

from mailsync.adapters.storage import transactions
from mailsync.adapters.storage.entities import Change
from mailsync.adapters.storage.transactions import Part

ADDRESS = "https://account.example/messages"
ETAG = "W/\"datetime'2026-11-25T08%3A30%3A00.0000000Z'\""
MAIL = "\r\n--batch\r\nHTTP/1.1 500 Oops\r\nboundary=x é 漢\r\n"
ROW = {"PartitionKey": "it's", "RowKey": "m1", "body": MAIL, "at": datetime(2026, 11, 25, 8, 30, tzinfo=UTC), "n": 3}


def sent(*changes):
    content_type, body = transactions.together([transactions.encode(change, ADDRESS) for change in changes])
    assert content_type.split("boundary=")[1].encode() in body
    return body.decode("ascii")


def test_a_row_is_created_without_being_sent_back():
    text = sent(Change("create", ROW))
    assert f"POST {ADDRESS} HTTP/1.1\r\n" in text
    assert "Prefer: return-no-content\r\n" in text
    assert '"at@odata.type":"Edm.DateTime","at":"2026-11-25T08:30:00.000000Z","n":3' in text
    assert "If-Match" not in text


@pytest.mark.parametrize("text", ["plain", '\x00\x1f\x7f"\\/\r\n', "é漢🙂\u2028\ufeff\uffff", ""])
def test_any_text_is_sent_as_json_in_ascii(text):
    row = json.loads(sent(Change("create", ROW | {"body": text})).split("\r\n\r\n")[3].split("\r\n")[0])
    assert row["body"] == text


def test_a_row_is_replaced_by_its_etag_and_named_in_the_url():
    text = sent(Change("replace", ROW, ETAG))
    assert f"PUT {ADDRESS}(PartitionKey='it%27%27s',RowKey='m1') HTTP/1.1\r\n" in text
    assert f"If-Match: {ETAG}\r\n" in text


def test_an_upsert_asks_for_no_etag_and_a_deletion_for_any():
    assert "If-Match" not in sent(Change("upsert", ROW))
    assert "If-Match: *\r\n" in sent(Change("delete", ROW))


def test_a_merge_is_of_a_row_that_is_there():
    text = sent(Change("merge", ROW))
    assert f"PATCH {ADDRESS}(PartitionKey='it%27%27s',RowKey='m1') HTTP/1.1\r\n" in text
    assert "If-Match: *\r\n" in text


def test_what_mail_says_cannot_end_a_part():
    changes = [Change("create", ROW), Change("upsert", ROW)]
    text = sent(*changes)
    boundary = text.split("boundary=")[1].split("\r\n")[0]
    parts = text.split(f"--{boundary}")
    assert len(parts) == len(changes) + 2
    for part in parts[1:-1]:
        head, content = part.split("\r\n\r\n", 2)[1:]
        assert f"Content-Length: {len(content.removesuffix('\r\n'))}" in head


def test_the_size_is_never_less_than_what_is_sent():
    changes = [Change("create", ROW), Change("replace", ROW, ETAG), Change("upsert", ROW | {"body": "漢" * 9_000})]
    sizes = [transactions.size(transactions.encode(change, ADDRESS)) for change in changes]
    assert len(sent(*changes)) < sum(sizes) + 500


def answer(*parts):
    texts = [
        f"--changesetresponse_1\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {part}\r\n\r\n" for part in parts
    ]
    head = "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n"
    return (head + "".join(texts) + "--changesetresponse_1--\r\n--batchresponse_1--\r\n").encode()


def test_the_answer_holds_etags_in_order():
    body = answer(
        f"204 No Content\r\nDataServiceVersion: 3.0\r\nETag: {ETAG}\r\n",
        "204 No Content\r\nCache-Control: no-cache\r\n",
        f'201 Created\r\netag: {ETAG}\r\n\r\n{{"body":"HTTP/1.1 404 Not Found\\r\\nETag: 1"}}',
    )
    assert transactions.decode(body) == [Part(204, ETAG), Part(204), Part(201, ETAG)]


@pytest.mark.parametrize(
    ("content", "code"),
    [('{"odata.error":{"code":"EntityAlreadyExists","message":{}}}', "EntityAlreadyExists"), ("<html>", "no code")],
)
def test_an_error_comes_with_its_code(content, code):
    body = answer(f"409 Conflict\r\nContent-Type: application/json\r\n\r\n{content}")
    assert transactions.decode(body) == [Part(409, None, code)]


@pytest.mark.parametrize("body", [b"", b"<html>", b"boundary=x\r\n--x\r\nno status\r\n--x--", b"boundary=x\r\n--x--"])
def test_what_is_no_answer_is_a_value_error(body):
    with pytest.raises(ValueError, match="answer to a transaction"):
        transactions.decode(body)
