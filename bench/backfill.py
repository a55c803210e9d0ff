"""Rows `backfill` and `memory`: a whole mailbox into the table, against a script that does nothing but that."""

import os

from azure.data.tables import TableServiceClient

from bench.measure import Bound, Figure, Say, rounds
from bench.services import Services, measured

CHILD = "bench.backfill_child"
MESSAGES = 5_000
FEW = 1_000


def backfill(services: Services, number: int, say: Say) -> list[Figure]:
    """Messages a second, ours divided by the floor's."""
    environment, recording = _prepared(services, MESSAGES), services.home / "recording"
    say(f"  recording what a backfill of {MESSAGES} messages fetches and writes …")
    _seconds(services, environment, "ours", "--recording", str(recording))
    both = rounds(
        number,
        say,
        lambda: _seconds(services, environment, "ours"),
        lambda: _seconds(services, environment, "floor", "--recording", str(recording)),
    )
    ratios = tuple(floor / ours for ours, floor in both)
    details = {"messagesPerSecond": [round(MESSAGES / ours) for ours, _ in both]}
    return [Figure(f"backfill of {MESSAGES} messages: speed / floor's speed", ratios, Bound(least=0.8), details)]


def memory(services: Services, number: int, say: Say) -> list[Figure]:
    """Peak memory of the process with many messages, divided by that with a fifth of them."""
    many, few = _prepared(services, MESSAGES), _prepared(services, FEW)
    both = rounds(number, say, lambda: _peak(services, many), lambda: _peak(services, few))
    ratios = tuple(large / small for large, small in both)
    name = f"peak memory: {MESSAGES} messages / {FEW} messages"
    return [Figure(name, ratios, Bound(most=1.15), {"megabytes": [round(large) for large, _ in both]})]


def _prepared(services: Services, size: int) -> dict[str, str]:
    """Settings that point at a mailbox of this size."""
    origin = services.page_server((FEW, MESSAGES))
    return services.settings(f"{origin}/{size}/v1.0")


def _seconds(services: Services, environment: dict[str, str], *arguments: str) -> float:
    _empty(services)
    return round(float(measured(CHILD, *arguments, environment=environment)["seconds"]), 2)


def _peak(services: Services, environment: dict[str, str]) -> float:
    """In megabytes."""
    _empty(services)
    return round(float(measured(CHILD, "ours", environment=environment)["peakKilobytes"]) / 1024, 1)


def _empty(services: Services) -> None:
    """Azurite's speed depends on what its tables hold."""
    os.environ["REQUESTS_CA_BUNDLE"] = str(services.certificates.ca)
    with TableServiceClient.from_connection_string(services.azurite.connection_string) as tables:
        for name in ("messages", "mailboxes"):
            tables.delete_table(name)
            tables.create_table(name)
