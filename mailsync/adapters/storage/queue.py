"""`HintQueue` on the storage queue `mailbox-sync`."""

import asyncio
import math
import threading
from collections.abc import Sequence

from mailsync.adapters.storage.services import QUEUE, queue_service
from mailsync.errors import MailsyncError
from mailsync.schedule.hints import encode_hint
from mailsync.schedule.records import Hint
from mailsync.settings import Storage

LIFETIME = 7 * 86_400
"""Seconds a message lives. A hint that nobody has taken by then is old news: the schedule sends another."""

LONGEST_DELAY = 86_400
"""Seconds; Azure's limit is the lifetime."""


def whole_seconds(delay: float) -> int:
    """A delay as Azure takes it."""
    return min(math.ceil(max(delay, 0)), LONGEST_DELAY)


class StorageHintQueue:
    """The sending end; the Functions host is the other. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        from azure.storage.queue import TextBase64EncodePolicy

        self._storage = storage
        self._sending = threading.Lock()
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
        """A call for each hint, by `AsyncStorageHintQueue` on an event loop of its own.

        Must not be called from a thread that runs an event loop. One thread sends at a time, or all of them would open
        their connections at once (docs/decisions.md, Scheduling).
        """
        from mailsync.adapters.storage.async_queue import AsyncStorageHintQueue

        with self._sending:
            queue = AsyncStorageHintQueue(self._storage, connect_timeout=3, read_timeout=5)
            return asyncio.run(queue.send_all(hints))
