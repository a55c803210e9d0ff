"""The queue of hints. Adapters and fakes satisfy these; `tests/contracts/` holds them to it."""

from collections.abc import Sequence
from typing import Protocol

from mailsync.errors import MailsyncError
from mailsync.schedule.records import Hint


class HintQueue(Protocol):
    """The queue `mailbox-sync`."""

    def send(self, hint: Hint, delay: float = 0) -> None:
        """Queues a hint that becomes visible after `delay` seconds. Raises RetryLater."""
        ...

    def send_all(self, hints: Sequence[tuple[Hint, float]]) -> list[MailsyncError | None]:
        """Queues hints side by side, each with its delay in seconds. Returns an error for each, or None."""
        ...


class AsyncHintQueue(Protocol):
    """The same queue, for code on an event loop."""

    async def send(self, hint: Hint, delay: float = 0) -> None:
        """Queues a hint that becomes visible after `delay` seconds. Raises RetryLater."""
        ...
