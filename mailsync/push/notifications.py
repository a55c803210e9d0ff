"""What Graph posts: read item by item, believed only where its clientState proves it, and queued as hints.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
https://learn.microsoft.com/graph/change-notifications-lifecycle-events
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice

from mailsync.clock import Clock
from mailsync.errors import RetryLater
from mailsync.mailboxes.ids import MailboxId
from mailsync.push import client_state
from mailsync.push.client_state import FindKey
from mailsync.push.door import Door
from mailsync.push.ports import NotificationReader, SigningKeys
from mailsync.push.records import Notification
from mailsync.reasons import Reason
from mailsync.schedule.ports import AsyncHintQueue
from mailsync.schedule.records import MESSAGE_ID, MOST_CREATED, MOST_SUBSCRIPTIONS, SUBSCRIPTION_ID, Hint
from mailsync.telemetry import Event, Tally, emit
from mailsync.threads import Threads

ANSWER_WITHIN = 2.4
"""Seconds until a POST is given up: Graph wants its answer within 3, and half a second is for the way."""

READ_AT_ONCE = 64
"""Items whose signatures are checked on the event loop itself, which takes less than a millisecond."""

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of one POST: genuine items, the mailboxes they were of, and the others.

    `odd`: those among the others that are no items at all.
    """

    items: int
    mailboxes: int
    forged: int
    odd: int = 0


_Items = Sequence[Notification]
_Read = tuple[list[Hint], Accepted]


class Notifications:
    """Takes what Graph posts and queues hints, on the event loop of the Functions worker.

    `reader` knows how Graph writes. Signatures are checked on a thread where that may take long: where there are many,
    or a key has to be got first. `keys` and `queue` give the same object each time; the first POST calls them, on a
    thread too, because they import SDKs.
    """

    def __init__(
        self,
        keys: Callable[[], SigningKeys],
        queue: Callable[[], AsyncHintQueue],
        reader: NotificationReader,
        clock: Clock,
        *,
        seconds: float = ANSWER_WITHIN,
        forged: Tally | None = None,
    ) -> None:
        self._reader = reader
        self._make_keys = keys
        self._make_queue = queue
        self._clock = clock
        self._door = Door(clock)
        self._seconds = seconds
        self._parts: tuple[SigningKeys, AsyncHintQueue] | None = None
        self._forged = forged or Tally()
        self._genuine = Tally()
        self._odd = 0
        self._threads = Threads(_THREADS, "notifications")

    async def receive(self, body: bytes) -> Accepted:
        """Returns once a hint is queued for every mailbox that has genuine items, or one that stands for it is.

        Raises Rejected `bad_notifications`, RetryLater and Misconfigured, each within `seconds`.
        """
        try:
            async with asyncio.timeout(self._seconds):
                accepted = await self._receive(body)
        except TimeoutError as error:
            raise RetryLater(Reason.NOTIFICATIONS_LATE, "The hints could not be queued in time.") from error
        # Told here and not on a thread: the worker knows by the task which invocation a log line is of.
        self._odd += accepted.odd
        if forged := self._forged.add(accepted.forged):
            odd, self._odd = self._odd, 0
            emit(Event.NOTIFICATIONS_FORGED, count=forged, odd=odd or None)
        if genuine := self._genuine.add(accepted.items):
            gathered, self._door.gathered = self._door.gathered, 0
            emit(Event.NOTIFICATIONS_ACCEPTED, count=genuine, gathered=gathered or None)
        return accepted

    async def _receive(self, body: bytes) -> Accepted:
        items, odd = await self._parse(body)
        if self._parts is None:
            self._parts = await self._on_thread(lambda: (self._make_keys(), self._make_queue()))
        keys, queue = self._parts
        hints, accepted = await self._read(items, keys)
        sends = [self._door.send(hint, queue) for hint in hints]
        results = await asyncio.gather(*sends, return_exceptions=True)
        if problem := next(filter(None, results), None):
            raise problem
        return replace(accepted, forged=accepted.forged + odd, odd=odd)

    async def _parse(self, body: bytes) -> tuple[_Items, int]:
        """The items of a POST, and how many are none. Raises Rejected `bad_notifications`."""
        try:
            return self._reader.read(body), 0
        except (ValueError, RecursionError):
            return await self._on_thread(partial(self._reader.read_tolerantly, body))

    async def _read(self, items: _Items, keys: SigningKeys) -> _Read:
        if len(items) <= READ_AT_ONCE:
            with suppress(LookupError):
                return read(items, keys.find_in_memory, self._clock)
        return await self._on_thread(partial(read, items, keys.find, self._clock))

    async def _on_thread[Result](self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def read(items: _Items, find: FindKey, clock: Clock) -> _Read:
    """The hints of a POST, and what came of it. Raises what `find` raises."""
    genuine = [(mailbox_id, item) for item in items if (mailbox_id := owner(find, item))]
    hints = merge(genuine, clock())
    return hints, Accepted(len(genuine), len(hints), len(items) - len(genuine))


def owner(find: FindKey, item: Notification) -> str | None:
    """The mailbox that a genuine item is of; None for a forged one. Raises what `find` raises.

    The clientState must be ours, which proves tenant and user by itself; what the item says of them must agree.
    """
    mailbox_id = client_state.verify(find, item.client_state)
    if mailbox_id is None:
        return None
    proved = MailboxId.parse(mailbox_id)
    agrees = all(tenant == proved.tenant for tenant in item.tenants) and item.user_id in ("", proved.user)
    return mailbox_id if agrees else None


@dataclass(slots=True)
class _News:
    """What the items of one mailbox come to. Dicts keep the order of arrival and drop what is told twice."""

    pushed: bool = False
    created: dict[str, None] = field(default_factory=dict)
    renew: dict[str, None] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)
    nonces: dict[str, None] = field(default_factory=dict)

    def add(self, item: Notification) -> None:
        self.nonces[client_state.nonce(item.client_state)] = None
        if item.event == "subscriptionremoved":
            self.removed[item.subscription_id] = None
            return
        # Everything else, an event of later days too, is answered by a delta run: it can never be wrong.
        self.pushed = True
        if item.event == "reauthorizationrequired":
            self.renew[item.subscription_id] = None
        if item.created:
            self.created[item.created] = None


def merge(genuine: Iterable[tuple[str, Notification]], now: datetime) -> list[Hint]:
    """One hint a mailbox."""
    news: dict[str, _News] = {}
    for mailbox_id, item in genuine:
        news.setdefault(mailbox_id, _News()).add(item)
    return [
        Hint(
            mailbox_id=mailbox_id,
            at=now,
            pushed=each.pushed,
            created=_first(each.created, MOST_CREATED, MESSAGE_ID),
            renew=_first(each.renew, MOST_SUBSCRIPTIONS, SUBSCRIPTION_ID),
            removed=_first(each.removed, MOST_SUBSCRIPTIONS, SUBSCRIPTION_ID),
            nonces=tuple(each.nonces)[:MOST_SUBSCRIPTIONS],
        )
        for mailbox_id, each in news.items()
    ]


def _first(ids: Iterable[str], number: int, form: re.Pattern[str]) -> tuple[str, ...]:
    return tuple(islice(filter(form.search, ids), number))
