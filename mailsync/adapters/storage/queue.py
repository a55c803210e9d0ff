"""`HintQueue` on the storage queue `mailbox-sync`, and how a hint is written there."""

import asyncio
import math
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from mailsync.adapters.storage.services import QUEUE, queue_service
from mailsync.clock import Clock, utc_now
from mailsync.errors import MailsyncError, Rejected
from mailsync.mailboxes.ids import is_mailbox_id
from mailsync.schedule.records import Hint
from mailsync.settings import Storage

LIFETIME = 7 * 86_400
"""Seconds a message lives. A hint that nobody has taken by then is old news: the schedule sends another."""

LONGEST_DELAY = 86_400
"""Seconds; Azure's limit is the lifetime."""


LONGEST_AHEAD = timedelta(hours=1)
"""How far a hint's time may lie in the future: the clocks of two instances differ by less."""

_YEARS = range(2020, 9999)
"""In which a hint may be seen. At the ends of the calendar, times of two zones cannot be compared."""


def encode_hint(hint: Hint) -> str:
    """The hint as JSON. On the wire it is base64, which the Functions host expects."""
    return msgspec.json.encode(hint).decode()


def decode_hint(body: bytes | str, clock: Clock = utc_now) -> Hint:
    """The hint of a message, every field of which is within its bounds. Raises Rejected `bad_hint`."""
    try:
        hint = msgspec.json.decode(body, type=Hint)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Rejected("bad_hint", "The queue message is not a hint.") from error
    if not is_mailbox_id(hint.mailbox_id) or hint.at.tzinfo is None:
        raise Rejected("bad_hint", "The queue message names no mailbox, or a time without its zone.")
    if hint.at.year not in _YEARS or hint.at > clock() + LONGEST_AHEAD:
        raise Rejected("bad_hint", "The queue message is of a time that cannot be.")
    return hint


def decode_poison(body: bytes | str) -> Hint | None:
    """The hint of a message that failed too often; None where that is because it never was one."""
    try:
        return decode_hint(body)
    except Rejected:
        return None


def whole_seconds(delay: float) -> int:
    """A delay as Azure takes it."""
    return min(math.ceil(max(delay, 0)), LONGEST_DELAY)


class StorageHintQueue:
    """The sending end; the Functions host is the other. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        from azure.storage.queue import TextBase64EncodePolicy

        self._storage = storage
        service = queue_service(storage)
        self._queue = service.get_queue_client(QUEUE, message_encode_policy=TextBase64EncodePolicy())

    def send(self, hint: Hint, delay: float = 0) -> None:
        """One call.

        https://learn.microsoft.com/rest/api/storageservices/put-message
        """
        from mailsync.adapters.azure_sdk import converted

        with converted("storage"):
            wait = whole_seconds(delay)
            self._queue.send_message(encode_hint(hint), visibility_timeout=wait, time_to_live=LIFETIME)

    def send_all(self, hints: Sequence[tuple[Hint, float]]) -> list[MailsyncError | None]:
        """A call for each hint, on an event loop of its own: the SDK on threads takes eight times the processor time.

        Must not be called from a thread that runs an event loop.
        """
        from mailsync.adapters.storage.async_queue import AsyncStorageHintQueue

        queue = AsyncStorageHintQueue(self._storage, connect_timeout=3, read_timeout=5)
        return asyncio.run(queue.send_all(hints))
