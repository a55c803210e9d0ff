"""The timer's work: a hint for every mailbox that is due, and the sweeping of old sign-ins."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count

from mailsync.clock import Clock
from mailsync.errors import MailsyncError
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import DueMailbox
from mailsync.one_time import SignInStore
from mailsync.schedule.ports import HintQueue
from mailsync.schedule.records import Hint
from mailsync.telemetry import Event, emit
from mailsync.threads import Threads

_REQUEUE_AFTER = timedelta(minutes=15)
"""A hint this old that has had no effect is taken for lost."""

_PER_SECOND = 20
_SPREAD_SECONDS = 45
"""Mailboxes that come due together start at this rate, all within the minute."""


class Poller:
    """Wakes mailboxes whose `next_poll_at` has passed. The sync that follows sets the next one."""

    def __init__(self, mailboxes: MailboxStore, signins: SignInStore, queue: HintQueue, clock: Clock) -> None:
        self._mailboxes = mailboxes
        self._signins = signins
        self._queue = queue
        self._clock = clock

    def tick(self) -> int:
        """Queues a hint for each due mailbox; returns how many. Raises, once all were tried, what failed first."""
        now = self._clock()
        places = count()
        with Threads(max_workers=8) as pool:
            woken = list(pool.map(lambda due: self._wake(due, next(places), now), self._unqueued(now)))
        failures = [error for error in woken if error]
        emit(Event.POLL_TICK, queued=len(woken) - len(failures), failed=len(failures) or None)
        if failures:
            raise failures[0]
        return len(woken)

    def sweep(self) -> int:
        """Deletes expired sign-in records; returns how many."""
        return self._signins.purge(self._clock())

    def _unqueued(self, now: datetime) -> Iterator[DueMailbox]:
        for entry in self._mailboxes.due(now):
            if entry.queued_at is None or now - entry.queued_at > _REQUEUE_AFTER:
                yield entry

    def _wake(self, entry: DueMailbox, place: int, now: datetime) -> MailsyncError | None:
        """Sends first, then marks: a crash between the two costs a second hint, never a missing one.

        Returns what went wrong, so that one that fails leaves the others.
        """
        try:
            self._queue.send(Hint(mailbox_id=entry.mailbox_id, at=now), min(place // _PER_SECOND, _SPREAD_SECONDS))
            self._mailboxes.mark_queued(entry, now)
        except MailsyncError as error:
            return error
        return None
