"""How many messages on the queue one mailbox's notifications may become.

A notification proves whose it is, and not that it is new: whoever has seen one can post it again, with any message
ids in it. So a mailbox has a budget. A hint over the budget is not queued: another one stands for it, which is queued
already and becomes visible later. Budgets are in memory, and each instance has its own.
"""

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

from mailsync.clock import Clock
from mailsync.schedule.pace import Pace
from mailsync.schedule.ports import AsyncHintQueue
from mailsync.schedule.records import Hint

_AT_ONCE = 5
"""Hints of one budget that pass at once."""

_LATER = 2.0
"""Seconds after which a hint that stands for others becomes visible."""

_STANDS_FOR = timedelta(seconds=1)
"""How long a hint stands for those after it: the last of them comes a second before its run asks delta."""

_ENOUGH = 1_000
"""Standing hints in memory from which on those that stand for nothing more are forgotten."""

type _Budget = tuple[str, tuple[str, ...], bool]
"""What has one budget: a mailbox, those subscriptions of it that a hint is of, and mail or lifecycle as its subject.

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

    @property
    def remembered(self) -> int:
        """Hints that are kept in mind because they stand for others, or did."""
        return len(self._standing)

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
