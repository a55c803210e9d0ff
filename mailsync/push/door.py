"""How many messages on the queue one mailbox's notifications may become.

A notification proves whose it is, and not that it is new: whoever has seen one can post it again, with any message
ids in it. So a mailbox has a budget. What is over it is not queued: a hint that is queued already, and not visible
yet, wakes a sync after it. Kept in memory, so that each instance has a budget of its own.
"""

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

from mailsync.clock import Clock
from mailsync.schedule.pace import Pace
from mailsync.schedule.ports import AsyncHintQueue
from mailsync.schedule.records import Hint

_AT_ONCE = 5

_LATER = 2.0
"""Seconds after which the hint becomes visible that stands for those after it."""

_STANDS_FOR = timedelta(seconds=1)
"""How long it does: what it stands for had arrived at least a second before its run asks delta."""

_ENOUGH = 1_000
"""Hints that are remembered before those are forgotten that stand for nothing more."""

type _Budget = tuple[str, tuple[str, ...], bool]
"""Whose it is: a mailbox, the subscriptions of it that the hint is of, and whether their lifecycle is its subject.

Notifications of a subscription that is no more, or a flood of one kind, leave those of another alone.
"""


class _Standing(NamedTuple):
    """A hint that is queued, or about to be, and becomes visible later."""

    until: datetime
    sending: asyncio.Task[None]


class Door:
    """Lets five hints of a budget pass at once and then one each second. For one event loop at a time.

    `gathered` counts hints that were not queued because another stands for them.
    """

    def __init__(self, clock: Clock) -> None:
        self.gathered = 0
        self._clock = clock
        self._pace = Pace[_Budget](clock, _AT_ONCE)
        self._standing: dict[_Budget, _Standing] = {}

    async def send(self, hint: Hint, queue: AsyncHintQueue) -> None:
        """Returns once `hint`, or one that stands for it, is queued. Raises what `queue` raises."""
        budget = hint.mailbox_id, hint.nonces, bool(hint.renew or hint.removed)
        if self._pace.allows(budget):
            await queue.send(hint)
            return
        now = self._clock()
        standing = self._standing.get(budget)
        if standing and now < standing.until:
            self.gathered += 1
        else:
            standing = _Standing(now + _STANDS_FOR, asyncio.create_task(queue.send(hint, _LATER)))
            self._stand(budget, standing, now)
        # Shielded: the POST that began it may be given up, and others wait for the same.
        await asyncio.shield(standing.sending)

    def _stand(self, budget: _Budget, standing: _Standing, now: datetime) -> None:
        if len(self._standing) >= _ENOUGH:
            self._standing = {known: one for known, one in self._standing.items() if now < one.until}
        self._standing[budget] = standing

        def sent(sending: asyncio.Task[None]) -> None:
            failed = sending.cancelled() or sending.exception()
            if failed and self._standing.get(budget) is standing:
                del self._standing[budget]

        standing.sending.add_done_callback(sent)
