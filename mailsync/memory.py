"""One budget for all that the runs of this process hold of Graph's answers at once, in bytes as they came.

An instance has a dozen runs at once, and each has a page that is being written and one that is fetched meanwhile.
Decoded, an answer takes up to four times its bytes: one sign beyond the Basic Multilingual Plane makes Python keep a
whole text in four bytes a character. So the bytes that are counted are a quarter of what may be in use.

A holding of more than FREE bytes waits until there is room. The one that began first among these never waits: so one
always gets on, however large its answers are, and none waits for another that waits itself. The others wait WAIT
seconds at the most, keep what they have, and then ask for less or come again later. docs/decisions.md has the figures.
"""

import ctypes
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

TOTAL = 32 * 1024 * 1024
"""Bytes that all holdings may have together."""
FREE = 256 * 1024
"""Bytes that each holding may have whatever the others have: a poll that finds a few new messages never waits."""
MOST = 50 * 1024 * 1024
"""Bytes that one holding may have: the largest message that an answer can be, twice, as delta shows it and whole."""
WAIT = 5.0
"""Seconds that a holding waits for room, at the most."""


class Crowded(Exception):
    """Others hold so much that there is no room for more now."""


class TooMuch(Exception):
    """This holding has all that one may have."""


class Budget:
    """Threads share it."""

    def __init__(self, total: int = TOTAL, free: int = FREE, most: int = MOST, wait: float = WAIT) -> None:
        self._total = total
        self._free = free
        self._most = most
        self._wait = wait
        self._changed = threading.Condition()
        self._large: list[Holding] = []
        """Those that have had, or want, more than is free: the first of them began first and never waits."""
        self._begun = 0
        self.taken = 0

    def hold(self) -> "Holding":
        """A holding, with nothing yet. Whoever makes it releases it."""
        with self._changed:
            self._begun += 1
            return Holding(self, self._begun)

    def take(self, holding: "Holding", size: int) -> None:
        """See `Holding.take`."""
        with self._changed:
            if holding.taken + size > self._most:
                raise TooMuch
            if holding.taken + size > self._free and holding not in self._large:
                self._large.append(holding)
                self._large.sort(key=lambda each: each.number)
            if not self._changed.wait_for(lambda: self._has_room(holding, size), self._wait):
                raise Crowded
            holding.taken += size
            self.taken += size

    def give(self, holding: "Holding", size: int, *, all_of_it: bool = False) -> None:
        """See `Holding.give_back` and `Holding.release`."""
        with self._changed:
            size = holding.taken if all_of_it else size
            holding.taken -= size
            self.taken -= size
            if holding in self._large and (all_of_it or holding.taken <= self._free):
                self._large.remove(holding)
            self._changed.notify_all()

    def _has_room(self, holding: "Holding", size: int) -> bool:
        if holding not in self._large or self.taken + size <= self._total:
            return True
        return self._large[0] is holding


class Holding:
    """What one page, and the whole messages that it made the program ask for, take until their rows are written.

    `number`: its place among all, by when it began.
    """

    def __init__(self, budget: Budget, number: int) -> None:
        self._budget = budget
        self.number = number
        self.taken = 0

    def take(self, size: int) -> None:
        """Takes bytes, once there is room for them. Raises Crowded, TooMuch."""
        self._budget.take(self, size)

    def give_back(self, size: int) -> None:
        """Gives back some: of an answer that is not kept."""
        self._budget.give(self, size)

    def release(self) -> None:
        """Gives back all that is left."""
        self._budget.give(self, 0, all_of_it=True)

    def during[Result](self, work: Callable[[], Result]) -> Result:
        """Does the work; whatever answers it reads are counted here."""
        token = _current.set(self)
        try:
            return work()
        except BaseException as error:
            # Where an error stands in a variable of a frame that it names, only the garbage collector ends the two,
            # and it does not know how much mail hangs on them.
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            _current.reset(token)


BUDGET = Budget()
"""The process's own."""

_ALLOCATOR = {-8: 2, -3: 128 * 1024, -1: 128 * 1024}
"""M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: https://man7.org/linux/man-pages/man3/mallopt.3.html"""


def tidy_allocator() -> None:
    """Makes glibc give back what large texts took, where it is the C library.

    Left alone, it keeps a pool for each of many threads, and grows what it deems large: a worker that has read large
    mail on a dozen threads never gives that memory back (docs/decisions.md). To be called before the threads are many.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for option, value in _ALLOCATOR.items():
        mallopt(option, value)


_current: ContextVar[Holding | None] = ContextVar("holding", default=None)


@contextmanager
def holding() -> Iterator[Holding]:
    """The holding whose work is being done; where there is none, one that lasts as long as the context."""
    if known := _current.get():
        yield known
        return
    own = BUDGET.hold()
    try:
        yield own
    finally:
        own.release()
