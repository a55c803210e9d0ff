"""Rows `backfill`, `scenes`, `latency`, `memory` and `crowd`: a mailbox into the table, first and afterwards."""

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from azure.data.tables import TableServiceClient

from bench.measure import Bound, Figure, Say, rounds
from bench.services import Services, measured

CHILD = "bench.backfill_child"
MESSAGES = 5_000
FEW = 1_000
WITH_HEADERS = (str(MESSAGES), str(FEW))
BARE = f"{FEW}-bare"
NEWS = f"100+{FEW}-bare"
HALVES = f"{FEW // 2}-bare"
POLLED = "100+100-bare"


def backfill(services: Services, number: int, say: Say) -> list[Figure]:
    """Messages a second, ours divided by the floor's; and the same of processor time."""
    environment, recording = services.settings(services.graph(*WITH_HEADERS)[0]), services.home / "recording"
    say(f"  recording what a backfill of {MESSAGES} messages fetches and writes …")
    taken(services, environment, "first", "--recording", str(recording))
    both = rounds(
        number,
        say,
        lambda: taken(services, environment, "first"),
        lambda: taken(services, environment, "floor", "--recording", str(recording)),
    )
    details = {"messagesPerSecond": [round(MESSAGES / ours["seconds"]) for ours, _ in both]}
    name = f"backfill of {MESSAGES} messages:"
    return [
        Figure(f"{name} speed / floor's speed", ratios(both, "seconds"), Bound(least=0.8), details),
        Figure(f"{name} processor / floor's", tuple(1 / one for one in ratios(both, "cpu_seconds")), Bound()),
    ]


def scenes(services: Services, number: int, say: Say) -> list[Figure]:
    """What comes after the first reading, as fast as that; delta leaves the headers out, as the stand-in has it."""
    first, news, halves, polled = map(services.settings, services.graph(BARE, NEWS, HALVES, POLLED))
    halves |= {"MAIL_FOLDERS": "inbox,archive"}
    sides = {
        f"catch-up of {FEW} messages that arrived unseen": (news, "news"),
        f"first reading of two folders of {FEW // 2}": (halves, "first"),
        f"all {FEW} again, as the delta link is lost": (first, "reset"),
    }
    say(f"  seconds and processor seconds: a first reading of {FEW} messages; {'; '.join(sides)}")
    every = rounds(
        number,
        say,
        lambda: taken(services, first, "first"),
        *(partial(taken, services, environment, scene) for environment, scene in sides.values()),
    )
    figures = []
    for place, name in enumerate(sides, start=1):
        both = [(each[place], each[0]) for each in every]
        details = {"calls": both[0][0]["calls"], "processor": [1 / one for one in ratios(both, "cpu_seconds")]}
        speeds = ratios(both, "seconds")
        figures.append(Figure(f"{name}: speed / a first reading's", speeds, Bound(least=0.8), details))
    calls = taken(services, polled, "news")["calls"]
    name = "poll that finds 100 new: remote calls"
    return [*figures, Figure(name, (float(sum(calls.values())),), Bound(most=12), {"calls": calls})]


def latency(services: Services, number: int, say: Say, milliseconds: int = 100) -> list[Figure]:
    """A first reading where every answer of Graph waits, without headers in delta and with them."""
    bare, whole = map(services.settings, services.graph(f"{BARE}-{milliseconds}ms", f"{FEW}-{milliseconds}ms"))
    both = rounds(number, say, lambda: taken(services, bare, "first"), lambda: taken(services, whole, "first"))
    details = {"calls": both[0][0]["calls"], "messagesPerSecond": [round(FEW / ours["seconds"]) for ours, _ in both]}
    name = f"{FEW} messages, {milliseconds} ms a call: speed without headers in delta / with"
    return [Figure(name, ratios(both, "seconds"), Bound(), details)]


def memory(services: Services, number: int, say: Say) -> list[Figure]:
    """Peak memory of the process with many messages, divided by that with a fifth of them."""
    many, few = map(services.settings, services.graph(*WITH_HEADERS))
    both = rounds(number, say, lambda: _peak(services, many), lambda: _peak(services, few))
    name = f"peak memory: {MESSAGES} messages / {FEW} messages"
    details = {"megabytes": [round(large) for large, _ in both]}
    return [Figure(name, tuple(large / small for large, small in both), Bound(most=1.15), details)]


def crowd(services: Services, _number: int, _say: Say) -> list[Figure]:
    """Peak memory of a worker with as many mailboxes at once as it is given, whose pages are as large as can be."""
    figures = []
    for kind, name in ((f"{FEW // 10}", "usual mail"), (f"{FEW // 10}-large", "large mail")):
        peak = taken(services, services.settings(services.graph(kind)[0]), "crowd")["peakKilobytes"] / 1024
        figures.append(Figure(f"megabytes of a full worker, {name}", (float(peak),), Bound()))
    return figures


def taken(services: Services, environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """What a reading takes, into tables that are empty."""
    empty(services)
    result: dict[str, Any] = measured(CHILD, *arguments, environment=environment)
    return result | {name: round(result[name], 2) for name in ("seconds", "cpu_seconds")}


def ratios(both: Sequence[tuple[dict[str, Any], ...]], name: str) -> tuple[float, ...]:
    """How often the first side's time goes into the second's: above 1 the first is better."""
    return tuple(other[name] / ours[name] for ours, other in both)


def empty(services: Services) -> None:
    """Azurite's speed depends on what its tables hold."""
    os.environ["REQUESTS_CA_BUNDLE"] = str(services.certificates.ca)
    with TableServiceClient.from_connection_string(services.azurite.connection_string) as tables:
        for name in ("messages", "mailboxes"):
            tables.delete_table(name)
            tables.create_table(name)


def _peak(services: Services, environment: dict[str, str]) -> float:
    """In megabytes."""
    return float(taken(services, environment, "first")["peakKilobytes"]) / 1024
