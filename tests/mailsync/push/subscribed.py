"""A world whose mailbox is subscribed, and what Graph and the timer do there."""

from datetime import timedelta

from tests.mailsync.world import World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


LIFE = timedelta(minutes=10_070)


def connected(**more) -> World:
    """A world whose mailbox was synced and subscribed some minutes ago."""
    world = World(**more)
    world.hint()
    world.work()
    world.clock.advance(300)
    world.forget()
    return world


def kept(world: World, place: int = 0):
    return world.mailbox.folders[place].subscription


def polled(world: World, seconds: float = 0) -> World:
    """Whatever else is due: a hint of the timer's, later."""
    world.clock.advance(seconds)
    world.hint()
    world.work()
    return world


def told(world: World, *created: str, **more) -> None:
    """Graph tells of something."""
    world.hint(pushed=True, created=created, **more)
