"""An event's line, and the threads that events come from."""

import ast
import asyncio
import logging
import re
from contextvars import ContextVar
from pathlib import Path

import pytest

import mailsync
from mailsync.sync.read_ahead import read_ahead
from mailsync.telemetry import Event, Tallies, emit
from mailsync.threads import Threads

INVOCATION: ContextVar[str | None] = ContextVar("invocation", default=None)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "sync_poisoned"),
        ({"mailbox": None}, "sync_poisoned"),
        ({"mailbox": "a", "reason": ""}, "sync_poisoned mailbox=a reason=-"),
        ({"reason": " ", "detail": "two words\nand a line"}, "sync_poisoned reason=_ detail=two_words_and_a_line"),
        ({"detail": "said: reason=other"}, "sync_poisoned detail=said:_reason:other"),
    ],
)
def test_a_line_is_one_token_a_field_and_never_ends_in_a_blank(caplog, fields, line):
    with caplog.at_level(logging.INFO, "mailsync"):
        emit(Event.SYNC_POISONED, **fields)
    assert caplog.messages == [line]


def test_threads_work_in_the_context_of_whoever_asks():
    with Threads(1) as pool:
        for invocation in ("first", "second"):
            token = INVOCATION.set(invocation)
            assert pool.submit(INVOCATION.get).result() == invocation
            assert list(pool.map(lambda _: INVOCATION.get(), "xx")) == [invocation] * 2
            INVOCATION.reset(token)
        assert pool.submit(INVOCATION.get).result() is None


def test_the_program_has_no_other_threads():
    root = Path(mailsync.__file__).parents[1]
    packages = ("mailsync", "auth_callback", "health", "management", "webhook_receiver", "poll_timer", "sync_worker")
    sources = {path: path.read_text() for name in packages for path in (root / name).rglob("*.py")}
    bare = re.compile(r"\bThreadPoolExecutor\(|\bThread\(|run_in_executor\(None")
    assert [path for path, source in sources.items() if bare.search(source)] == []


def test_so_do_those_of_an_event_loop():
    async def ask(pool):
        INVOCATION.set("of the task")
        return await asyncio.get_running_loop().run_in_executor(pool, INVOCATION.get)

    with Threads(1) as pool:
        assert asyncio.run(ask(pool)) == "of the task"


def test_a_page_is_read_ahead_in_the_readers_context():
    token = INVOCATION.set("of the run")
    try:
        pages = list(read_ahead(INVOCATION.get, lambda page: None, lambda page: f"{page} {INVOCATION.get()}"))
    finally:
        INVOCATION.reset(token)
    assert pages == ["of the run of the run"]


def calls(name: str):
    """The calls of the program's own functions of that name, or of its loggers, with the file of each."""
    root = Path(mailsync.__file__).parents[1]
    packages = ("mailsync", "auth_callback", "health", "management", "webhook_receiver", "poll_timer", "sync_worker")
    for path in (path for package in packages for path in (root / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and name in ast.unparse(node.func).split("."):
                yield path, node


def test_a_line_with_a_name_and_fields_is_an_event():
    """What is logged besides is a sentence: nothing that an alert or a panel should have to look for."""
    texts = [(path.name, ast.unparse(call)) for path, call in calls("_log") if path.name != "telemetry.py"]
    assert texts
    assert [text for text in texts if re.search(r"\w=(%|\{)", text[1])] == []


ENDINGS = {
    Event.CONNECT_REFUSED,
    Event.SYNC_DEFERRED,
    Event.SYNC_FAILED,
    Event.NEEDS_RECONNECT,
    Event.MISCONFIGURED,
    Event.TOKEN_UNSAVED,
    Event.PUSH_DEGRADED,
    Event.ROW_REFUSED,
    Event.MESSAGE_REFUSED,
    Event.NOTIFICATIONS_NOT_QUEUED,
}


def test_every_event_with_a_reason_has_the_errors_sentence():
    """Last, so that a query that reads a field by its name meets the field first."""
    seen = set()
    for path, call in calls("emit"):
        names = [each.arg for each in call.keywords]
        if "reason" in names:
            assert names[-1] == "detail", f"{path.name}: {ast.unparse(call)}"
            seen |= {event for event in Event if f"Event.{event.name}" in ast.unparse(call)}
    assert seen | {Event.SYNC_DEFERRED, Event.SYNC_FAILED} == ENDINGS


class TestTallies:
    """What a stranger may cause a thousand times a second is a line every ten seconds."""

    def test_the_first_is_told_at_once_and_a_flood_is_one_line(self, caplog):
        tallies = Tallies()
        with caplog.at_level(logging.INFO, "mailsync"):
            for _ in range(500):
                tallies.emit(Event.CONNECT_REFUSED, "bad_answer", reason="bad_answer", detail="So.")
        assert caplog.messages == ["connect_refused count=1 reason=bad_answer detail=So."]

    def test_the_rest_is_told_with_the_next_after_ten_seconds(self, caplog, monkeypatch):
        now = [100.0]
        monkeypatch.setattr("mailsync.telemetry.Tally.__init__.__defaults__", (10.0, lambda: now[0]))
        tallies = Tallies()
        with caplog.at_level(logging.INFO, "mailsync"):
            for _ in range(3):
                tallies.emit(Event.CONNECT_REFUSED, "x", reason="x")
            now[0] += 10
            tallies.emit(Event.CONNECT_REFUSED, "x", reason="x")
        assert caplog.messages == ["connect_refused count=1 reason=x", "connect_refused count=3 reason=x"]

    def test_where_each_is_wanted_some_have_a_line_of_their_own_before_a_flood_is_added_up(self, caplog, monkeypatch):
        now = [100.0]
        monkeypatch.setattr("mailsync.telemetry.Tally.__init__.__defaults__", (10.0, lambda: now[0]))
        tallies = Tallies(burst=3)
        with caplog.at_level(logging.INFO, "mailsync"):
            for seconds in (0, 0, 0, 0, 0, 10, 0, 20):
                now[0] += seconds
                tallies.emit(Event.CONNECT_REFUSED, "x", reason="x")
        told = [int(line.split()[1].removeprefix("count=")) for line in caplog.messages]
        assert told == [1, 1, 1, 3, 2]  # three at once, then one each ten seconds with all since

    def test_each_event_and_kind_is_told_by_itself(self, caplog):
        tallies = Tallies()
        with caplog.at_level(logging.INFO, "mailsync"):
            for kind in ("a", "b", "a"):
                tallies.emit(Event.CONNECT_REFUSED, kind, reason=kind)
            tallies.emit(Event.MISCONFIGURED, "a", reason="a")
        assert [line.split()[0] + line.split()[-1] for line in caplog.messages] == [
            "connect_refusedreason=a",
            "connect_refusedreason=b",
            "misconfiguredreason=a",
        ]

    def test_threads_may_share_it(self, caplog):
        tallies = Tallies()
        with caplog.at_level(logging.INFO, "mailsync"), Threads(8) as pool:
            list(pool.map(lambda _: tallies.emit(Event.CONNECT_REFUSED, "a", reason="a"), range(400)))
        assert caplog.messages == ["connect_refused count=1 reason=a"]
