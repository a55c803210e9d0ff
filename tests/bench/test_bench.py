"""The harness counts and compares as it says. Nothing is timed here."""

import asyncio
import contextlib
import json
import socket
import sys
from datetime import UTC, datetime

import aiohttp
import pytest
import requests
from msgspec import UNSET
from requests.adapters import HTTPAdapter

from bench import __main__ as command
from bench import corpus, rival
from bench.counting import counted
from bench.imports import heavy_imports
from bench.measure import Bound, Figure, percentile, rounds
from bench.page_server import Connection
from bench.pages import LOST, Kind, Mailbox
from mailsync.adapters.graph import messages as wire

FIRST = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
INBOX = "/me/mailFolders/inbox/messages"


def body(answer):
    head, _, content = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(content)}".encode() in head
    return content


def test_remote_calls_are_counted_by_service(monkeypatch):
    monkeypatch.setattr(HTTPAdapter, "send", lambda self, request, *a, **k: requests.Response())
    session = requests.Session()
    with counted({"localhost:1": "graph"}) as calls:
        session.get("https://localhost:1/v1.0/me?$select=id")
        session.post("https://localhost:2/x")
    session.get("https://localhost:1/after")
    assert calls.made == [("graph", "GET", "/v1.0/me"), ("localhost:2", "POST", "/x")]
    assert calls.by_service() == {"graph": 1, "localhost:2": 1}


def test_remote_calls_by_aiohttp_are_counted():
    async def post(port):
        async with aiohttp.ClientSession() as session:
            with contextlib.suppress(aiohttp.ClientConnectorError):
                await session.post(f"http://127.0.0.1:{port}/account/queue/messages?sig=x")

    with socket.socket() as unheard:  # bound, so that nobody else listens there
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        with counted({f"127.0.0.1:{port}": "queue"}) as calls:
            asyncio.run(post(port))
        asyncio.run(post(port))
    assert calls.made == [("queue", "POST", "/account/queue/messages")]


def mailbox(kind):
    return Mailbox("https://localhost:1", Kind.read(kind), FIRST)


def rounds_of_delta(box, query="$select=id", path=f"{INBOX}/delta", prefer="odata.maxpagesize=100"):
    """The pages of one round, and the query of its delta link."""
    pages = []
    while True:
        page = wire.page(body(box.answer(path, query, prefer)))
        pages.append(wire.to_messages(page.value))
        query = (page.next_link or page.delta_link).partition("?")[2]
        if page.delta_link:
            return pages, query


def test_pages_hold_every_message_once_and_are_whole():
    box = mailbox("250")
    pages, link = rounds_of_delta(box)
    seen = [message for page in pages for message in page]
    assert [len(page) for page in pages] == [100, 100, 50]
    assert len({message.id for message in seen}) == 250
    assert all(message.content.headers is not UNSET for message in seen)
    assert [message.received for message in seen] == sorted((m.received for m in seen), reverse=True)
    assert rounds_of_delta(box, link) == ([()], link)


def test_a_page_has_ten_messages_where_nobody_asks_for_more():
    pages, _ = rounds_of_delta(mailbox("25"), prefer="")
    assert [len(page) for page in pages] == [10, 10, 5]


def test_a_bare_delta_leaves_the_headers_to_a_batch_and_to_lists():
    box = mailbox("3-bare")
    [[*bare]], _ = rounds_of_delta(box)
    assert not any(message.content.headers is not UNSET for message in bare)
    requests = [{"id": str(n), "method": "GET", "url": f"/me/messages/{m.id}?$select=x"} for n, m in enumerate(bare)]
    answer = json.loads(body(box.answer("/$batch", "", "", json.dumps({"requests": requests}).encode())))
    parts = [wire.to_message(wire.message(json.dumps(part["body"]).encode())) for part in answer["responses"]]
    listed = wire.to_messages(wire.page(body(box.answer(INBOX, "$top=100"))).value)
    assert parts == list(listed)
    assert all(
        message.content.given().items() <= part.content.given().items()
        for message, part in zip(bare, parts, strict=True)
    )
    assert all(part.content.headers is not UNSET for part in parts)


def test_what_arrives_later_comes_by_the_delta_link_once():
    box = mailbox("5+120-bare")
    [first], link = rounds_of_delta(box)
    pages, link = rounds_of_delta(box, link)
    assert [len(page) for page in pages] == [100, 20]
    assert {message.id for page in pages for message in page}.isdisjoint(message.id for message in first)
    assert min(message.received for message in pages[-1]) > max(message.received for message in first)
    assert rounds_of_delta(box, link) == ([()], link)


def test_another_folder_has_other_messages():
    box = mailbox("5-bare")
    [inbox], _ = rounds_of_delta(box)
    [archive], _ = rounds_of_delta(box, path=INBOX.replace("inbox", "archive") + "/delta")
    assert {message.id for message in inbox}.isdisjoint(message.id for message in archive)
    folder = json.loads(body(box.answer("/me/mailFolders/archive", "")))["id"]
    assert {message.content.parent_folder_id for message in archive} == {folder}


def test_a_lost_delta_link_is_refused():
    answer = mailbox("5").answer(f"{INBOX}/delta", f"$deltatoken={LOST}")
    assert answer.startswith(b"HTTP/1.1 410 Gone")
    assert b"SyncStateNotFound" in answer


def test_history_begins_at_the_time_asked_for():
    box = mailbox("250")
    before = corpus.received_at(120, FIRST).isoformat().replace("+00:00", "Z")
    page = wire.page(body(box.answer(INBOX, f"$filter=receivedDateTime%20lt%20{before}&$top=100&$skip=0")))
    assert page.value[0].id == corpus.message(121, FIRST)["id"]
    assert len(page.value) == 100
    rest = wire.page(body(box.answer(INBOX, page.next_link.partition("?")[2])))
    assert [message.id for message in rest.value] == [corpus.message(n, FIRST)["id"] for n in range(221, 250)]
    assert wire.page(body(box.answer(INBOX, "$count=true"))).count == 250


@pytest.mark.parametrize("text", ["1000", "5000-bare", "100+1000-bare", "1000-bare-100ms", "7-5ms", "10-large"])
def test_a_kind_of_mailbox_is_written_as_it_is_read(text):
    assert str(Kind.read(text)) == text


def test_an_answer_waits_as_long_as_its_mailbox_says():
    class Transport(asyncio.Transport):
        def __init__(self):
            super().__init__()
            self.written = asyncio.Event()

        def write(self, data):
            self.written.set()

    async def waited():
        connection, transport = Connection({"3-5ms": mailbox("3-5ms")}), Transport()
        connection.connection_made(transport)
        loop = asyncio.get_running_loop()
        began = loop.time()
        connection.data_received(b"GET /3-5ms/v1.0/me/mailFolders/inbox HTTP/1.1\r\nhost: x\r\n\r\n")
        assert not transport.written.is_set()
        await transport.written.wait()
        return loop.time() - began

    assert asyncio.run(waited()) >= 0.005


def test_messages_are_as_large_as_real_ones():
    sizes = [len(json.dumps(corpus.message(number, FIRST))) for number in range(300)]
    assert 10_000 < sum(sizes) / len(sizes) < 20_000


def test_pairs_are_measured_in_turn():
    order = []
    values = iter(range(100))
    said = []
    both = rounds(
        3, said.append, lambda: order.append("ours") or next(values), lambda: order.append("other") or next(values)
    )
    assert order == ["ours", "other", "other", "ours", "ours", "other"]
    assert both == [(0, 1), (3, 2), (4, 5)]
    assert len(said) == 3


def test_a_figure_is_judged_by_its_median():
    figure = Figure("speed", (0.7, 0.9, 0.81), Bound(least=0.8))
    assert figure.good
    assert figure.to_json()["median"] == 0.81
    assert str(figure).startswith("ok")
    assert str(Figure("speed", (0.79,), Bound(least=0.8))).startswith("MISS")
    assert not Bound(most=4).admits(5)


def test_percentiles():
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1)] == [50.0, 99.0, 100.0]
    assert percentile([3.0], 0.99) == 3.0


def test_the_command_fails_where_a_target_is_missed(monkeypatch, capsys):
    def missed(services, number, say):
        return [Figure("speed", (float(number),), Bound(most=1))]

    monkeypatch.setattr(command, "_rows", lambda: {"missed": missed})
    monkeypatch.setattr(sys, "argv", ["bench", "--pairs", "2", "--json"])
    assert command.main() == 1
    assert json.loads(capsys.readouterr().out)[0]["met"] is False
    monkeypatch.setattr(sys, "argv", ["bench", "missed", "--pairs", "1"])
    assert command.main() == 0
    monkeypatch.setattr(sys, "argv", ["bench", "unknown"])
    with pytest.raises(SystemExit):
        command.main()


def test_a_cold_start_imports_nothing_heavy():
    assert heavy_imports() == []


def test_rivals_are_pinned_and_run_only_when_they_are_named(monkeypatch, capsys):
    requirements = (rival.SCRIPTS / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in requirements if not line.startswith("#"))
    assert {side[0] for side in rival.SIDES.values()} == {path.name for path in rival.SCRIPTS.glob("*_*.py")} - {
        "__init__.py"
    }
    named = []

    def row(name):
        return lambda services, number, say: named.append(name) or []

    monkeypatch.setattr(command, "_rows", lambda: {"rivals": row("rivals"), "other": row("other")})
    monkeypatch.setattr(sys, "argv", ["bench"])
    assert command.main() == 0
    monkeypatch.setattr(sys, "argv", ["bench", "rivals"])
    assert command.main() == 0
    assert named == ["other", "rivals"]
