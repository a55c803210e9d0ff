"""The timer's work: a hint for every mailbox that is due, and the sweeping of old sign-ins.

    tick → what is due, of every shard at once → hints, then marks
                                              → of more than one tick's worth, shares on the queue → hints, then marks

Hints are sent before entries are marked as queued: a crash between the two costs second hints, never a missing one.
Nor does a share that is lost, late or given twice: the entries of a lost one are not marked, so the next tick has them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from mailsync.clock import Clock
from mailsync.errors import MailsyncError
from mailsync.mailboxes.ids import SHARDS, shard
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import DueMailbox
from mailsync.one_time import OneTimeStore
from mailsync.schedule.ports import HintQueue
from mailsync.schedule.records import Hint
from mailsync.telemetry import Event, emit
from mailsync.threads import Threads

_REQUEUE_AFTER = timedelta(minutes=15)
"""The age at which a hint that has had no effect is taken for lost."""

_PER_SECOND = 20
_SPREAD_SECONDS = 45
"""Mailboxes that come due together start at _PER_SECOND; where that takes longer, evenly over _SPREAD_SECONDS."""

_MARKED_PER_SECOND = 500
"""Entries marked in a second, at the least. Hints become visible once all are marked, or runs would move entries."""

_ALONE = 2_000
"""Mailboxes that a tick wakes itself, and those of the shard that reaches this number. The others go into shares."""

_PAGES = 5
"""Pages of one shard in which entries without a hint are sought. Where so many hints wait, more help nobody."""

_TICKS_EVERY = timedelta(minutes=1)
"""The time between two ticks, and the life of a share: the next tick hands out anew, so no two wake the same entry."""


class _Due(NamedTuple):
    """What is to be woken of a shard: a page of it, and the first entry of what else there is."""

    entries: list[DueMailbox]
    rest: DueMailbox | None


type _Share = tuple[DueMailbox, float]
"""The entry at which a share of the schedule begins, and in how many seconds it is to be taken up."""


class Poller:
    """Wakes mailboxes whose `next_poll_at` has passed. The sync that follows sets the next one."""

    def __init__(self, mailboxes: MailboxStore, one_time: OneTimeStore, queue: HintQueue, clock: Clock) -> None:
        self._mailboxes = mailboxes
        self._one_time = one_time
        self._queue = queue
        self._clock = clock

    def tick(self) -> int:
        """Queues a hint for each due mailbox, or hands out shares of them; returns how many it queued itself.

        Raises the first failure, once all were tried.
        """
        now = self._clock()
        with Threads(max_workers=len(SHARDS)) as pool:
            looks = list(pool.map(lambda each: _tried(lambda: self._due(each, now, now)), SHARDS))
        failures = [look for look in looks if isinstance(look, MailsyncError)]
        own, shares = _divided([look for look in looks if isinstance(look, _Due)])
        return self._wake(own, shares, now, now, failures)

    def wake_share(self, share: Hint) -> int:
        """Queues hints for a page of the schedule from `share` on, and hands on the rest; returns how many.

        Raises the first failure, once all were tried: the share is to be done again then.
        """
        now = self._clock()
        if now - share.at >= _TICKS_EVERY:
            emit(Event.SYNC_SKIPPED, mailbox=share.mailbox_id, why="late_share")
            return 0
        due = self._due(shard(share.mailbox_id), min(share.at, now), now, share.share_from)
        good = now - share.at + timedelta(seconds=_SPREAD_SECONDS) < _TICKS_EVERY
        rest = [(due.rest, float(_SPREAD_SECONDS))] if due.rest and good else []
        return self._wake(due.entries, rest, share.at, now, [])

    def sweep(self) -> int:
        """Deletes expired sign-in records; returns how many."""
        return self._one_time.purge(self._clock())

    def _due(self, of: str, until: datetime, now: datetime, since: str = "") -> _Due:
        """Entries without a hint on its way: those of the first page of a shard that has some, and the next one."""
        pages = islice(self._mailboxes.due(of, until, since), _PAGES)
        unqueued = ([entry for entry in page if not _is_queued(entry, now)] for page in pages)
        found = filter(None, unqueued)
        entries = next(found, [])
        return _Due(entries, next(found, [None])[0])

    def _wake(
        self,
        entries: Sequence[DueMailbox],
        shares: Sequence[_Share],
        ticked_at: datetime,
        now: datetime,
        failures: list[MailsyncError],
    ) -> int:
        """Sends the shares and the hints, then marks the entries whose hints were taken."""
        rate = max(_PER_SECOND, len(entries) / _SPREAD_SECONDS)
        first = len(entries) // _MARKED_PER_SECOND
        sends = [(Hint(entry.mailbox_id, ticked_at, share_from=entry.key), delay) for entry, delay in shares]
        sends += [(Hint(entry.mailbox_id, now), first + place // rate) for place, entry in enumerate(entries)]
        problems = self._queue.send_all(sends) if sends else []
        failures += filter(None, problems)
        hints = zip(entries, problems[len(shares) :], strict=True)
        queued = [entry for entry, problem in hints if problem is None]
        unmarked = _tried(lambda: self._mailboxes.mark_queued(queued, now)) if queued else None
        if unmarked:
            failures.append(unmarked)
        emit(Event.POLL_TICK, queued=len(queued), failed=len(failures) or None, shares=len(shares) or None)
        if failures:
            raise failures[0]
        return len(queued)


def _is_queued(entry: DueMailbox, now: datetime) -> bool:
    return entry.queued_at is not None and now - entry.queued_at <= _REQUEUE_AFTER


def _divided(found: Sequence[_Due]) -> tuple[list[DueMailbox], list[_Share]]:
    """What a tick wakes itself, the longest overdue first, and what it hands out.

    A tick wakes the most overdue shard itself, so that the schedule goes on where the queue stands still.
    """
    own: list[DueMailbox] = []
    shares: list[_Share] = []
    for due in sorted((due for due in found if due.entries), key=lambda due: due.entries[0].key):
        if len(own) >= _ALONE:
            shares.append((due.entries[0], 0.0))
            continue
        own += due.entries
        if due.rest:
            shares.append((due.rest, float(_SPREAD_SECONDS)))
    return sorted(own, key=lambda entry: entry.key), shares


def _tried[Result](work: Callable[[], Result]) -> Result | MailsyncError:
    try:
        return work()
    except MailsyncError as error:
        return error
