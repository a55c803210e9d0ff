"""The queue of hints. Adapters and fakes satisfy these; `tests/contracts/` holds them to it."""

from typing import Protocol

from mailsync.schedule.records import Hint


class HintQueue(Protocol):
    """The queue `mailbox-sync`."""

    def send(self, hint: Hint, delay: float = 0) -> None:
        """Queues a hint that becomes visible after `delay` seconds. Raises RetryLater."""
        ...


class AsyncHintQueue(Protocol):
    """The same queue, for code on an event loop."""

    async def send(self, hint: Hint, delay: float = 0) -> None:
        """Queues a hint that becomes visible after `delay` seconds. Raises RetryLater."""
        ...
