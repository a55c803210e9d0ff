"""What Graph posts: read strictly, believed only where its clientState proves it, and queued as hints.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
https://learn.microsoft.com/graph/change-notifications-lifecycle-events
"""

import asyncio
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from mailsync import client_state
from mailsync.errors import Rejected, RetryLater
from mailsync.models import Hint
from mailsync.ports import Clock, HintQueue, SigningKeys
from mailsync.telemetry import Event, Tally, emit

ANSWER_WITHIN = 2.4
"""Seconds until a POST is given up: Graph wants its answer within 3, and half a second is for the way."""

MOST_CREATED = 50
"""Ids of new messages that one hint names; delta shows the others without being told."""

_LONGEST_MESSAGE_ID = 512
_MOST_SUBSCRIPTIONS = 20
_LONGEST_SUBSCRIPTION_ID = 64
"""Characters. With these limits a hint stays below the 48 KiB of a queue message."""

_THREADS = 8

_USER = re.compile(r"/?users/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/", re.IGNORECASE)


class _ResourceData(msgspec.Struct, frozen=True):
    id: str = ""


class _Item(msgspec.Struct, frozen=True, rename="camel"):
    """A change notification or a lifecycle notification; either URL may get either.

    https://learn.microsoft.com/graph/api/resources/changenotification
    """

    subscription_id: str
    tenant_id: str | None = None
    client_state: str | None = None
    change_type: str | None = None
    lifecycle_event: str | None = None
    resource: str | None = None
    resource_data: _ResourceData | None = None


class _Collection(msgspec.Struct, frozen=True):
    value: tuple[_Item, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of one POST: genuine items, the mailboxes they were of, and forged items."""

    items: int
    mailboxes: int
    forged: int


class Notifications:
    """Takes what Graph posts, on the event loop of the Functions worker; the work is done on threads of its own.

    `keys` and `queue` are made by the first POST, on a thread: they import SDKs.
    """

    def __init__(
        self,
        keys: Callable[[], SigningKeys],
        queue: Callable[[], HintQueue],
        clock: Clock,
        seconds: float = ANSWER_WITHIN,
    ) -> None:
        self._make_keys = keys
        self._make_queue = queue
        self._clock = clock
        self._seconds = seconds
        self._making = threading.Lock()
        self._forged = Tally()
        self._genuine = Tally()
        self._threads = ThreadPoolExecutor(_THREADS, "notifications")
        self._senders = ThreadPoolExecutor(_THREADS, "notification-hints")

    async def receive(self, body: bytes) -> Accepted:
        """Returns once a hint is queued for every mailbox that has genuine items.

        Raises Rejected `bad_notifications`, RetryLater and Misconfigured, each within `seconds`.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                accepted = await loop.run_in_executor(self._threads, self._accept, body)
        except TimeoutError as error:
            raise RetryLater("notifications_late", "The hints could not be queued in time.") from error
        # Told here and not on the thread: the worker knows by the task which invocation a log line is of.
        self._tell(accepted)
        return accepted

    def _tell(self, accepted: Accepted) -> None:
        if forged := self._forged.add(accepted.forged):
            emit(Event.NOTIFICATIONS_FORGED, count=forged)
        if genuine := self._genuine.add(accepted.items):
            emit(Event.NOTIFICATIONS_ACCEPTED, count=genuine)

    def _accept(self, body: bytes) -> Accepted:
        items = parse(body)
        with self._making:
            keys, queue = self._make_keys(), self._make_queue()
        genuine = [(mailbox_id, item) for item in items if (mailbox_id := owner(keys, item))]
        hints = merge(genuine, self._clock())
        others = [self._senders.submit(queue.send, hint) for hint in hints[1:]]
        for hint in hints[:1]:
            queue.send(hint)
        for sent in others:
            sent.result()
        return Accepted(len(genuine), len(hints), len(items) - len(genuine))


def parse(body: bytes) -> tuple[_Item, ...]:
    """The items of a POST. Raises Rejected `bad_notifications`."""
    try:
        return msgspec.json.decode(body, type=_Collection).value
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Rejected("bad_notifications", "The body is not a collection of change notifications.") from error


def owner(keys: SigningKeys, item: _Item) -> str | None:
    """The mailbox that a genuine item is of; None for a forged one. Raises what `keys` raises.

    The clientState must be ours, and tenant and user must be those that it was made for.
    """
    mailbox_id = client_state.verify(keys, item.client_state or "")
    if mailbox_id is None or (item.tenant_id or "").lower() != mailbox_id[:36]:
        return None
    user = _USER.match(item.resource or "")
    return mailbox_id if user is None or user[1].lower() == mailbox_id[37:] else None


@dataclass(slots=True)
class _News:
    """What the items of one mailbox come to. Dicts keep the order of arrival and drop what is told twice."""

    pushed: bool = False
    created: dict[str, None] = field(default_factory=dict)
    renew: dict[str, None] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)

    def add(self, item: _Item) -> None:
        event = (item.lifecycle_event or "").lower()
        if event == "subscriptionremoved":
            self.removed[item.subscription_id] = None
            return
        # Everything else, an event of later days too, is answered by a delta run: it can never be wrong.
        self.pushed = True
        if event == "reauthorizationrequired":
            self.renew[item.subscription_id] = None
        if (item.change_type or "").lower() == "created" and item.resource_data and item.resource_data.id:
            self.created[item.resource_data.id] = None


def merge(genuine: Iterable[tuple[str, _Item]], now: datetime) -> list[Hint]:
    """One hint a mailbox."""
    news: dict[str, _News] = {}
    for mailbox_id, item in genuine:
        news.setdefault(mailbox_id, _News()).add(item)
    return [
        Hint(
            mailbox_id=mailbox_id,
            at=now,
            pushed=each.pushed,
            created=_first(each.created, MOST_CREATED, _LONGEST_MESSAGE_ID),
            renew=_first(each.renew, _MOST_SUBSCRIPTIONS, _LONGEST_SUBSCRIPTION_ID),
            removed=_first(each.removed, _MOST_SUBSCRIPTIONS, _LONGEST_SUBSCRIPTION_ID),
        )
        for mailbox_id, each in news.items()
    ]


def _first(ids: Iterable[str], number: int, longest: int) -> tuple[str, ...]:
    return tuple([each for each in ids if len(each) <= longest and each.isascii()][:number])
