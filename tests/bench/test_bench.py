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
from requests.adapters import HTTPAdapter

from bench import __main__ as command
from bench import corpus
from bench.counting import counted
from bench.imports import heavy_imports
from bench.measure import Bound, Figure, percentile, rounds
from bench.page_server import PAGE, Mailbox
from mailsync.adapters import graph_messages as wire

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


def test_pages_hold_every_message_once_and_are_whole():
    mailbox = Mailbox("https://localhost:1", 250, FIRST)
    seen, query = [], "$select=id"
    while "deltatoken" not in query:
        page = wire.page(body(mailbox.answer(f"{INBOX}/delta", query)))
        seen += wire.to_messages(page.value)
        query = (page.next_link or page.delta_link).partition("?")[2]
    assert len({message.id for message in seen}) == len(seen) == 250
    assert all("headers" in message.columns for message in seen)
    assert [message.received for message in seen] == sorted((m.received for m in seen), reverse=True)
    assert wire.page(body(mailbox.answer(f"{INBOX}/delta", query))).value == []


def test_history_begins_at_the_time_asked_for():
    mailbox = Mailbox("https://localhost:1", 250, FIRST)
    before = corpus.received_at(120, FIRST).isoformat().replace("+00:00", "Z")
    page = wire.page(body(mailbox.answer(INBOX, f"$filter=receivedDateTime%20lt%20{before}&$skip=0")))
    assert page.value[0].id == corpus.message(121, FIRST)["id"]
    assert len(page.value) == PAGE
    assert wire.page(body(mailbox.answer(INBOX, "$count=true"))).count == 250


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
