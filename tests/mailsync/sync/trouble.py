"""A world that was read, and what a test of Graph's oddities needs besides."""

from datetime import timedelta

import pytest

from mailsync.errors import GraphUnavailable
from tests.mailsync.world import START, World

HOUR = timedelta(hours=1)
UNREADABLE = GraphUnavailable("Graph answered 500 ErrorContentConversionFailed")


def deliver(world: World, count: int, folder: str = "inbox") -> list[str]:
    """Messages a minute apart, newest first."""
    return [world.graph.deliver(START - timedelta(minutes=place), folder) for place in range(count)]


def synced(count: int = 3, **more) -> World:
    """A world that has read so many messages."""
    world = World(**more)
    deliver(world, count)
    world.hint()
    world.work()
    world.clock.advance(600)
    return world


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith(f"{name} ")]
