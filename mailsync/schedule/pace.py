"""How often something may happen for one mailbox: many notifications that come at once need few runs.

A pace is in memory, and each instance has its own: it saves calls, and no message depends on it.
"""

import threading
from collections.abc import Hashable
from datetime import datetime, timedelta

from mailsync.clock import Clock

_AT_ONCE = 2
_EVERY = timedelta(seconds=1)
"""How many things may happen at once, and the time between two afterwards."""

_ENOUGH = 1_000
"""Keys in memory from which on those whose pace is at rest are forgotten."""


class Pace[Key: Hashable]:
    """Lets `at_once` things of a key happen at once, and then one each second. Threads may share it."""

    def __init__(self, clock: Clock, at_once: int = _AT_ONCE) -> None:
        self._clock = clock
        self._slack = _EVERY * (at_once - 1)
        self._rests_at: dict[Key, datetime] = {}
        self._lock = threading.Lock()

    @property
    def remembered(self) -> int:
        """Keys whose pace is kept in mind."""
        return len(self._rests_at)

    def allows(self, key: Key) -> bool:
        """Whether one more may happen now; it is counted where it may."""
        now = self._clock()
        with self._lock:
            rests_at = max(now, self._rests_at.get(key, now))
            if rests_at - now > self._slack:
                return False
            if len(self._rests_at) >= _ENOUGH:
                self._rests_at = {known: then for known, then in self._rests_at.items() if then > now}
            self._rests_at[key] = rests_at + _EVERY
            return True
