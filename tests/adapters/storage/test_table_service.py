"""Requests to the Table service: the SDK's own, and what becomes of answers that Azurite never gives."""

import json
import threading
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
from azure.core.pipeline.transport import HttpTransport
from azure.data.tables import UpdateMode

from mailsync.adapters import azure_sdk
from mailsync.adapters.storage import tables
from mailsync.adapters.storage.entities import Entity
from mailsync.adapters.storage.services import table_service
from mailsync.adapters.storage.tables import Table
from mailsync.errors import Misconfigured, Rejected, RetryLater, StaleWrite
from mailsync.settings import Storage

ROW = {"PartitionKey": "it's ä", "RowKey": "r 1", "text": "é", "at": datetime(2026, 11, 25, tzinfo=UTC), "n": 3}
OLD = "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\""
PLAIN = {"Edm.String", "Edm.Int32"}
"""Types that the SDK names and that go without saying."""
OWN = {"date", "x-ms-date", "x-ms-client-request-id", "authorization", "content-length", "user-agent"}


@pytest.fixture
def sent(monkeypatch):
    """What is sent, as method, path, query, headers, and the body where there is one."""
    requests = []
    send = azure_sdk.Transport.send

    def noted(self, request, **options):
        url = urlsplit(request.url)
        headers = {name.lower(): value for name, value in request.headers.items() if name.lower() not in OWN}
        body = json.loads(request.content) if request.content else {}
        body = {name: value for name, value in body.items() if value not in PLAIN}
        requests.append((request.method, unquote(url.path), parse_qs(url.query), headers, body))
        return send(self, request, **options)

    monkeypatch.setattr(azure_sdk.Transport, "send", noted)
    return requests


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (lambda t: t.get_entity("it's ä", "r 1"), lambda t: t.get("it's ä", "r 1")),
        (lambda t: t.update_entity(ROW, UpdateMode.MERGE), lambda t: t.merge(ROW)),
        (
            lambda t: t.update_entity(ROW, UpdateMode.REPLACE, etag=OLD, match_condition=MatchConditions.IfNotModified),
            lambda t: t.replace(ROW, OLD),
        ),
        (lambda t: t.create_entity(ROW), lambda t: t.create(ROW)),
        (
            lambda t: list(t.query_entities("RowKey ge 'r'", results_per_page=1000, select=["RowKey", "n"])),
            lambda t: list(t.query("RowKey ge 'r'", ["RowKey", "n"])),
        ),
        (lambda t: list(t.query_entities("n eq 3", results_per_page=1000)), lambda t: list(t.query("n eq 3"))),
    ],
    ids=["get", "merge", "replace", "create", "query of some properties", "query"],
)
def test_a_request_is_the_sdks_own(storage, sent, theirs, ours):
    table, client = Table(storage, "mailboxes"), table_service(storage).get_table_client("mailboxes")
    table.create(ROW)
    sent.clear()
    with suppress(ResourceExistsError, ResourceModifiedError):
        theirs(client)
    with suppress(StaleWrite):
        ours(table)
    first, second = sent
    if first[0] != "GET":  # both forms of JSON are right, and an inserted row need not be sent back
        for name in ("accept", "content-type", "prefer"):
            first[3].pop(name, None), second[3].pop(name, None)
    assert second == first


def test_a_row_comes_back_as_the_sdk_reads_it(storage):
    table = Table(storage, "mailboxes")
    etag = table.create(ROW)
    read = table_service(storage).get_table_client("mailboxes").get_entity("it's ä", "r 1")
    assert table.get("it's ä", "r 1") == Entity(ROW, etag)
    assert {name: read[name] for name in ROW} == ROW
    assert read.metadata["etag"] == etag


@pytest.fixture
def answering(monkeypatch):
    """A Table service of a script; yields the script, what was asked, and a table there."""
    monkeypatch.setattr(HttpTransport, "sleep", lambda self, seconds: None)
    script, asked = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            status, headers, body = script.pop(0)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}/name"
        text = f"DefaultEndpointsProtocol=http;AccountName=name;AccountKey=a2V5;TableEndpoint={endpoint};"
        yield script, asked, Table(Storage(connection_string=text), "things")
        server.shutdown()
        thread.join()


A_ROW = b'{"odata.etag":"e","PartitionKey":"p","RowKey":"r","Timestamp":"2026-01-01T00:00:00Z"}'


def test_the_next_page_is_asked_for_where_the_last_one_ended(answering):
    script, asked, table = answering
    more = {"x-ms-continuation-NextPartitionKey": "1!4!cA--", "x-ms-continuation-NextRowKey": "1!4!cg=="}
    script += [(200, more, b'{"value":[%b]}' % A_ROW), (200, {}, b'{"value":[]}')]
    assert list(table.query("n eq 1", ["RowKey"])) == [Entity({"PartitionKey": "p", "RowKey": "r"}, "e")]
    first, second = (parse_qs(urlsplit(path).query) for path in asked)
    assert first == {"$filter": ["n eq 1"], "$top": [str(tables.PAGE)], "$select": ["RowKey"]}
    assert second == first | {"NextPartitionKey": ["1!4!cA--"], "NextRowKey": ["1!4!cg=="]}


def test_a_service_that_is_busy_for_a_moment_is_asked_again(answering):
    script, asked, table = answering
    script += [(503, {}, b""), (500, {}, b""), (200, {}, A_ROW)]
    assert table.get("p", "r") == Entity({"PartitionKey": "p", "RowKey": "r"}, "e")
    assert len(asked) == 3


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"value":[{}]}', b'{"value":[1]}', b'{"value":1}', b"", b"{}"])
def test_an_answer_that_is_no_answer_is_asked_for_later(answering, body):
    script, _, table = answering
    script.append((200, {}, body))
    with pytest.raises(RetryLater) as problem:
        list(table.query("n eq 1"))
    assert problem.value.reason == "storage_unavailable"


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        ((401, {}, b"<html>"), Misconfigured, "storage_forbidden"),
        ((403, {"x-ms-error-code": "AuthorizationFailure"}, b""), Misconfigured, "storage_forbidden"),
        ((400, {"x-ms-error-code": "AuthenticationFailed"}, b""), Misconfigured, "storage_forbidden"),
        ((400, {"x-ms-error-code": "InvalidInput"}, b""), Rejected, "storage_refused"),
        ((302, {"Location": "https://elsewhere.example/"}, b""), Rejected, "storage_refused"),
        ((503, {"Retry-After": "300"}, b""), RetryLater, "storage_unavailable"),
    ],
)
def test_what_the_service_refuses_says_who_must_act(answering, answer, kind, reason):
    script, asked, table = answering
    script.append(answer)
    with pytest.raises(kind) as problem:
        table.get("p", "r")
    assert problem.value.reason == reason
    assert len(asked) == 1


def test_types_of_the_service_are_read(answering):
    script, _, table = answering
    typed = {"at": "2026-11-25T08:30:00.1234567Z", "at@odata.type": "Edm.DateTime", "big": "5000000000"}
    typed |= {"big@odata.type": "Edm.Int64", "id": "x", "id@odata.type": "Edm.Guid", "yes": True, "half": 0.5}
    script.append((200, {}, json.dumps({"odata.etag": "e", "odata.metadata": "m", **typed}).encode()))
    moment = datetime(2026, 11, 25, 8, 30, 0, 123456, tzinfo=UTC)
    found = table.get("p", "r").properties
    assert found == {"at": moment, "big": 5_000_000_000, "id": "x", "yes": True, "half": 0.5}


def test_a_connection_string_without_a_key_is_the_operators_business():
    text = "TableEndpoint=https://name.table.core.windows.net;SharedAccessSignature=sv=1&sig=x;"
    with pytest.raises(Misconfigured, match="AccountKey"):
        Table(Storage(connection_string=text), "things")
