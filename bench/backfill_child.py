"""`python -m bench.backfill_child`: one backfill in a process of its own; prints its seconds and peak memory.

`ours` runs the program; with `--recording` it also writes down what it did: which pages it fetched and which batches
of messages it wrote. `floor` does the same again out of that file, one after the other, with nothing between.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import requests
from azure.data.tables import TableClient
from requests.adapters import HTTPAdapter

from mailsync.adapters.entities import Change
from mailsync.adapters.tables import Table
from mailsync.bootstrap import App
from mailsync.clock import utc_now
from mailsync.models import Grant, Hint, Mailbox, StoredToken, mailbox_id
from mailsync.tokens import TokenKeeper

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


def ours(recording: Path | None) -> float:
    """Seconds from the first hint until everything is read; runs follow one another as the queue would have them."""
    app = App(os.environ)
    app.tokens = TokenKeeper(_Directory(), _Vault(), utc_now)  # type: ignore[arg-type]  # what is used of them
    app.signing_keys = _Keys()  # type: ignore[assignment]
    app.mailboxes.save(Mailbox(id=BOX, account_id="bench", address="hello@contoso.com", connected_at=utc_now()))
    with _recorded(recording, app.settings.graph_endpoint) if recording else nullcontext():
        started = time.perf_counter()
        for _ in range(_MOST_RUNS):
            app.synchronizer.run(Hint(mailbox_id=BOX, at=utc_now(), continues=True))
            mailbox = app.mailboxes.get(BOX)
            if mailbox is None or mailbox.last_error_reason:
                raise RuntimeError(f"the backfill failed: {mailbox and mailbox.last_error_message}")
            if mailbox.folders and all(folder.complete for folder in mailbox.folders):
                return time.perf_counter() - started
    raise RuntimeError("the backfill does not end")


def floor(recording: Path) -> float:
    """Seconds for the recorded steps, in turn."""
    steps = msgspec.msgpack.decode(recording.read_bytes(), type=list[Step])
    operations = [[(kind, row) for kind, row in step.batch] for step in steps]
    table = TableClient.from_connection_string(os.environ["MAIL_STORAGE"], "messages")
    with requests.Session() as session, table:
        started = time.perf_counter()
        for step, batch in zip(steps, operations, strict=True):
            if step.page:
                answer = session.get(step.page, timeout=60)
                assert answer.content
                answer.raise_for_status()
            else:
                table.submit_transaction(batch)
        return time.perf_counter() - started


@contextmanager
def _recorded(file: Path, graph: str) -> Iterator[None]:
    """Notes every page of messages and every transaction of them, and writes them down at the end."""
    steps: list[Step] = []
    transact, send = Table.transact, HTTPAdapter.send

    def transacted(table: Table, changes: Sequence[Change]) -> list[str | None]:
        if any("messageId" in change.row for change in changes):
            steps.append(Step(batch=[(change.kind, dict(change.row)) for change in changes]))
        return transact(table, changes)

    def sent(self: Any, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        url = request.url or ""
        if url.startswith(graph) and "/messages" in url:
            steps.append(Step(page=url))
        return send(self, request, *arguments, **more)

    with patch.object(Table, "transact", transacted), patch.object(HTTPAdapter, "send", sent):
        yield
    if not any(step.batch for step in steps) or not any(step.page for step in steps):
        raise RuntimeError("nothing was recorded")
    file.write_bytes(msgspec.msgpack.encode(steps))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.backfill_child", description="One backfill.")
    parser.add_argument("what", choices=("ours", "floor"))
    parser.add_argument("--recording", type=Path)
    arguments = parser.parse_args()
    seconds = ours(arguments.recording) if arguments.what == "ours" else floor(arguments.recording)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peakKilobytes": peak}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
