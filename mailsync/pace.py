"""How often notifications wake the sync of one mailbox: of many that come at once, each need not run.

Kept in memory, so each instance has a pace of its own; it saves calls, and nothing depends on it.
"""

import threading
from datetime import datetime, timedelta

from mailsync.ports import Clock

_AT_ONCE = 2
_EVERY = timedelta(seconds=1)

_ENOUGH = 1_000
"""Mailboxes that are remembered before those are forgotten whose pace is at rest again."""


class Pace:
    """Lets two runs of a mailbox begin at once, and then one each second. Threads may share it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rests_at: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def allows(self, mailbox_id: str) -> bool:
        """Whether a run may begin now; it is counted where it may."""
        now = self._clock()
        with self._lock:
            rests_at = max(now, self._rests_at.get(mailbox_id, now))
            if rests_at - now > _EVERY * (_AT_ONCE - 1):
                return False
            if len(self._rests_at) >= _ENOUGH:
                self._rests_at = {known: then for known, then in self._rests_at.items() if then > now}
            self._rests_at[mailbox_id] = rests_at + _EVERY
            return True
