"""`python -m bench.backfill_child`: one reading in a process of its own; prints what it took, and its peak memory.

`first`, `news`, `reset` and `crowd` run the program. With `--recording`, `first` also writes down what it did: which
pages it fetched and which batches of messages it wrote. `floor` does the same again out of that file, one after the
other, with nothing between.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import msgspec
import requests
from azure.data.tables import TableClient
from requests.adapters import HTTPAdapter

from bench.counting import counted
from bench.pages import LOST, Kind
from bench.services import PROJECT
from mailsync.adapters.storage.entities import Change
from mailsync.adapters.storage.tables import Table
from mailsync.bootstrap import App
from mailsync.clock import utc_now
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.records import Folder, Mailbox
from mailsync.schedule.records import Hint
from mailsync.settings import Settings
from mailsync.tokens.records import Grant, StoredToken

BOX = mailbox_id("aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b")
_MOST_RUNS = 100


class Step(msgspec.Struct, omit_defaults=True):
    """A page fetched, by its URL, or a transaction written, as (kind, row) pairs."""

    page: str = ""
    batch: list[tuple[str, dict[str, Any]]] = []


class _Directory:
    """Signs in without asking anybody: that is not what is measured."""

    def refresh(self, _refresh_token: str) -> Grant:
        return Grant("token", datetime.now(UTC) + timedelta(hours=1), None, frozenset())


class _Vault:
    def load(self, _mailbox_id: str) -> StoredToken:
        return StoredToken(refresh_token="none", scopes=(), saved_at=utc_now())  # noqa: S106 - stands for one


class _Keys:
    def current(self) -> tuple[str, bytes]:
        return "bench", bytes(32)

    def find(self, _key_id: str) -> bytes:
        return bytes(32)


class Measured(msgspec.Struct):
    """What a reading took: seconds, and those of the processor; and its remote calls by service."""

    seconds: float
    cpu_seconds: float
    calls: dict[str, int] = {}


def ours(recording: Path | None, scene: str = "first") -> Measured:
    """A scene, from the hint until everything is read; runs follow one another as the queue would have them.

    `first`: the first reading of a mailbox. `news`: after it, what its delta link brings. `reset`: after it, all
    again, since the delta link is lost.
    """
    app = _app()
    app.mailboxes.save(Mailbox(id=BOX, account_id="bench", address="hello@contoso.com", connected_at=utc_now()))
    if scene == "first":
        with _recorded(recording, app.settings.graph_endpoint) if recording else nullcontext():
            return _measured(lambda: _read(app, _is_complete))
    _read(app, _is_complete)
    before = _mailbox(app)
    if scene == "news":
        news = Kind.read(app.settings.graph_endpoint.rsplit("/", 2)[1]).more
        return _measured(lambda: _read(app, lambda box: box.messages == before.messages + news))
    app.mailboxes.save(replace(before, folders=tuple(map(_lost, before.folders))))
    return _measured(lambda: _read(app, lambda box: _is_complete(box) and box.folders[0].generation == 2))


def crowd() -> Measured:
    """The first readings of as many mailboxes as the queue listener gives a worker at once, side by side."""
    app = _app()
    queues = json.loads((PROJECT / "host.json").read_text(encoding="utf-8"))["extensions"]["queues"]
    boxes = [f"{BOX[:-2]}{number:02x}" for number in range(queues["batchSize"] + queues["newBatchThreshold"])]
    for box in boxes:
        app.mailboxes.save(Mailbox(id=box, account_id="bench", address="hello@contoso.com", connected_at=utc_now()))

    def run(box: str) -> None:
        app.synchronizer.run(Hint(mailbox_id=box, at=utc_now()))
        mailbox = app.mailboxes.get(box)
        if mailbox is None or mailbox.last_error:
            raise RuntimeError(f"the reading failed: {mailbox and mailbox.last_error}")

    def together() -> None:
        with ThreadPoolExecutor(len(boxes)) as pool:
            list(pool.map(run, boxes))

    return _measured(together)


def _app() -> App:
    """With all that the first run of an instance imports: row `imports` is about that, and rivals' is not counted."""
    app = App(Settings.load(os.environ), directory=_Directory(), vault=_Vault(), signing_keys=_Keys())
    assert app.synchronizer
    assert app.mail(lambda: "token")
    app.messages.find(BOX, {"none": None})
    return app


def _measured(work: Callable[[], None]) -> Measured:
    services = {urlsplit(os.environ["GRAPH_ENDPOINT"]).netloc: "graph"}
    with counted(services) as calls:
        started, processor = time.perf_counter(), time.process_time()
        work()
        seconds, cpu = time.perf_counter() - started, time.process_time() - processor
    graph = calls.by_service().get("graph", 0)
    return Measured(seconds, cpu, {"graph": graph, "storage": len(calls.made) - graph})


def _read(app: App, is_done: Callable[[Mailbox], bool]) -> None:
    for _ in range(_MOST_RUNS):
        app.synchronizer.run(Hint(mailbox_id=BOX, at=utc_now(), continues=True))
        mailbox = _mailbox(app)
        if mailbox.last_error:
            raise RuntimeError(f"the reading failed: {mailbox.last_error}")
        if is_done(mailbox):
            return
    raise RuntimeError("the reading does not end")


def _mailbox(app: App) -> Mailbox:
    mailbox = app.mailboxes.get(BOX)
    assert mailbox
    return mailbox


def _is_complete(mailbox: Mailbox) -> bool:
    return bool(mailbox.folders) and all(folder.complete for folder in mailbox.folders)


def _lost(folder: Folder) -> Folder:
    """The folder with a delta link that Graph no longer knows."""
    link = (folder.cursor or "").partition("$deltatoken=")[0]
    return msgspec.structs.replace(folder, cursor=f"{link}$deltatoken={LOST}")


def floor(recording: Path) -> Measured:
    """The recorded steps, in turn."""
    steps = msgspec.msgpack.decode(recording.read_bytes(), type=list[Step])
    operations = [[(kind, row) for kind, row in step.batch] for step in steps]
    table = TableClient.from_connection_string(os.environ["MAIL_STORAGE"], "messages")
    with requests.Session() as session, table:
        started, processor = time.perf_counter(), time.process_time()
        for step, batch in zip(steps, operations, strict=True):
            if step.page:
                answer = session.get(step.page, headers={"Prefer": "odata.maxpagesize=100"}, timeout=60)
                assert answer.content
                answer.raise_for_status()
            else:
                table.submit_transaction(batch)
        return Measured(time.perf_counter() - started, time.process_time() - processor)


@contextmanager
def _recorded(file: Path, graph: str) -> Iterator[None]:
    """Notes every page of messages and every transaction of them, and writes them down at the end."""
    steps: list[Step] = []
    changes: dict[bytes, Change] = {}
    encode, transact, send = Table.encode, Table.send, HTTPAdapter.send

    def encoded(table: Table, change: Change) -> bytes:
        content = encode(table, change)
        changes[content] = change
        return content

    def transacted(table: Table, contents: Sequence[bytes]) -> list[str | None]:
        batch = [changes.pop(content) for content in contents]
        if any("messageId" in change.row for change in batch):
            steps.append(Step(batch=[(change.kind, dict(change.row)) for change in batch]))
        return transact(table, contents)

    def sent(self: Any, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        url = request.url or ""
        if url.startswith(graph) and "/messages" in url:
            steps.append(Step(page=url))
        return send(self, request, *arguments, **more)

    with (
        patch.object(Table, "encode", encoded),
        patch.object(Table, "send", transacted),
        patch.object(HTTPAdapter, "send", sent),
    ):
        yield
    if not any(step.batch for step in steps) or not any(step.page for step in steps):
        raise RuntimeError("nothing was recorded")
    file.write_bytes(msgspec.msgpack.encode(steps))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.backfill_child", description="One backfill.")
    parser.add_argument("what", choices=("first", "news", "reset", "crowd", "floor"))
    parser.add_argument("--recording", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "floor":
        taken = floor(arguments.recording)
    else:
        taken = crowd() if arguments.what == "crowd" else ours(arguments.recording, arguments.what)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({**msgspec.to_builtins(taken), "peakKilobytes": peak}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
