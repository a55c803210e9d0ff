"""Row `tick`: the poll timer over many mailboxes of which few are due, against a table of those few alone.

Row `crush`: over as many that are all due at once, by one instance and by two that share them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched, groupby
from typing import Any, NamedTuple

from bench.counting import counted
from bench.measure import Bound, Figure, Say, rounds
from bench.services import PROJECT, Services
from mailsync.adapters.storage import mailbox_rows
from mailsync.adapters.storage.services import queue_service, table_service
from mailsync.bootstrap import App
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.records import Mailbox
from mailsync.settings import Settings, Storage

MAILBOXES = 10_000
DUE = 100
_MOST_ROUNDS = 2
"""Of row `crush`, which takes more than a minute for each."""
_TENANT = "aaaaaaaa-0000-4000-8000-00000000000a"
_NOW = datetime.now(UTC)


def tick(services: Services, number: int, say: Say) -> list[Figure]:
    """Seconds and remote calls of a tick over all mailboxes, divided by those over the due ones alone."""
    os.environ["REQUESTS_CA_BUNDLE"] = str(services.certificates.ca)
    due, later = _mailboxes(range(DUE), -60), _mailboxes(range(DUE, MAILBOXES), 3_600)
    say(f"  two storage accounts: {MAILBOXES} mailboxes of which {DUE} are due, and those {DUE} alone …")
    apps = [App(Settings.load(services.settings("https://localhost", services.new_azurite()))) for _ in range(2)]
    full, sparse = apps
    _write(full.settings.storage, later)
    for app in apps:
        _reset(app.settings.storage, due)
        app.poller.tick()
    both = rounds(number, say, lambda: _tick(full, due), lambda: _tick(sparse, due))
    times = tuple(ours[0] / other[0] for ours, other in both)
    calls = tuple(ours[1] / other[1] for ours, other in both)
    return [
        Figure(f"tick, {MAILBOXES} mailboxes, {DUE} due / {DUE} alone: calls", calls, Bound(most=1.0)),
        Figure(f"tick, {MAILBOXES} mailboxes, {DUE} due / {DUE} alone: time", times, Bound(most=1.25)),
    ]


def _tick(app: App, due: list[Mailbox]) -> tuple[float, int]:
    """Seconds and calls of one tick."""
    _reset(app.settings.storage, due)
    with counted({}) as calls:
        started = time.perf_counter()
        queued = app.poller.tick()
        seconds = time.perf_counter() - started
    assert queued == DUE, queued
    return round(seconds, 3), len(calls.made)


def crush(services: Services, number: int, say: Say) -> list[Figure]:
    """Seconds from the timer's call to the last mark: one instance, two instances. Nobody may be woken twice."""
    os.environ["REQUESTS_CA_BUNDLE"] = str(services.certificates.ca)
    few = min(number, _MOST_ROUNDS)
    both = rounds(few, say, lambda: _crush(services, "tick"), lambda: _crush(services, "tick", "help"))
    name = f"tick, {MAILBOXES} due"
    return [
        Figure(f"{name}, one instance: seconds", tuple(one.seconds for one, _ in both), Bound(most=30)),
        Figure(f"{name}, one instance: processor seconds", tuple(one.cpu for one, _ in both), Bound()),
        Figure(f"{name}, two instances: seconds", tuple(two.seconds for _, two in both), Bound(most=30)),
        Figure(f"{name}, two instances: part of the second", tuple(two.helped for _, two in both), Bound(least=0.2)),
        Figure(f"{name}: hints too many", tuple(float(each.doubles) for pair in both for each in pair), Bound(most=0)),
    ]


class _Crush(NamedTuple):
    """What became of one tick: `helped` is the part of the mailboxes that the second instance woke."""

    seconds: float
    cpu: float
    helped: float
    doubles: int


def _crush(services: Services, *roles: str) -> _Crush:
    """One tick by instances in processes of their own. Raises RuntimeError where a mailbox was missed."""
    azurite = services.new_azurite()  # one that has just lost ten thousand messages is slow for a minute
    try:
        environment = services.settings("https://localhost", azurite)
        storage = Settings.load(environment).storage
        _write(storage, _mailboxes(range(MAILBOXES), -60))
        return _judged(storage, _told(environment, roles))
    finally:
        azurite.stop()


def _told(environment: dict[str, str], roles: Sequence[str]) -> list[dict[str, Any]]:
    """What each instance says of itself in the end."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.tick_child", role],
            env={**os.environ, **environment},
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role in roles
    ]
    try:
        for child in children:
            assert child.stdout
            assert child.stdout.readline() == "ready\n"
        for child in reversed(children):
            assert child.stdin
            child.stdin.write("\n")
            child.stdin.flush()
        return [json.loads(child.communicate(timeout=300)[0].splitlines()[-1]) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()


def _judged(storage: Storage, told: list[dict[str, Any]]) -> _Crush:
    left = table_service(storage).get_table_client("mailboxes").query_entities("RowKey lt 'due.'", select="queuedAt")
    if unmarked := sum("queuedAt" not in row for row in left):
        raise RuntimeError(f"{unmarked} mailboxes were not marked")
    woken = [each["own"] + each["woken"] for each in told]
    count = queue_service(storage).get_queue_client("mailbox-sync").get_queue_properties().approximate_message_count
    doubles = (count or 0) - sum(each["shares"] for each in told) - MAILBOXES
    seconds = max(each["ended"] for each in told) - told[0]["started"]
    return _Crush(round(seconds, 2), round(sum(each["cpu"] for each in told), 2), woken[-1] / sum(woken), doubles)


def _mailboxes(numbers: Iterable[int], seconds: float) -> list[Mailbox]:
    """Mailboxes whose next poll is `seconds` from now, ids spread as user ids are."""
    made = []
    for number in numbers:
        identity = mailbox_id(_TENANT, f"{number:08x}-0000-4000-8000-{(number * 0x9E3779B97F4B) % 16**12:012x}")
        moment = _NOW + timedelta(seconds=seconds + number % 40)
        made.append(
            Mailbox(
                id=identity, account_id="bench", address="hello@contoso.com", connected_at=_NOW, next_poll_at=moment
            )
        )
    return made


def _reset(storage: Storage, due: list[Mailbox]) -> None:
    """Makes these due again as if no hint had been sent."""
    _write(storage, due)
    queue_service(storage).get_queue_client("mailbox-sync").clear_messages()


def _write(storage: Storage, mailboxes: Iterable[Mailbox]) -> None:
    """Rows as the store writes them, many at once."""
    rows: list[dict[str, Any]] = []
    for mailbox in mailboxes:
        rows += [mailbox_rows.write(mailbox), mailbox_rows.due_row(mailbox.id, mailbox_rows.due_key(mailbox) or "")]
    rows.sort(key=lambda row: str(row["PartitionKey"]))
    table = table_service(storage).get_table_client("mailboxes")
    for _, partition in groupby(rows, key=lambda row: row["PartitionKey"]):
        for some in batched(partition, 100, strict=False):
            table.submit_transaction([("upsert", row, {"mode": "replace"}) for row in some])
