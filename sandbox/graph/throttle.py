"""Outlook's limits: for each app and mailbox, four requests at once and 10,000 in ten minutes.

https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.graph.protocol import GraphError

CONCURRENT = 4
REQUESTS = 10_000
WINDOW = timedelta(minutes=10)

_CONCURRENCY_RETRY_AFTER = 2
"""Seconds. Graph names a time here too; how long is not documented."""


@dataclass(slots=True)
class _Use:
    running: int = 0
    started_at: datetime | None = None
    requests: int = 0


@dataclass(slots=True)
class Throttle:
    """Counts what each app does to each mailbox."""

    now: Callable[[], datetime]
    _uses: dict[tuple[str, str], _Use] = field(default_factory=dict)

    def _use(self, app_id: str, mailbox_id: str) -> _Use:
        return self._uses.setdefault((app_id, mailbox_id), _Use())

    def count(self, app_id: str, mailbox_id: str) -> None:
        """Counts one request, refused ones too. Raises GraphError 429 over the limit."""
        use, now = self._use(app_id, mailbox_id), self.now()
        if use.started_at is None or not use.started_at <= now < use.started_at + WINDOW:
            use.started_at, use.requests = now, 0
        use.requests += 1
        if use.requests > REQUESTS:
            seconds = math.ceil((use.started_at + WINDOW - now).total_seconds())
            raise throttled("Application is over its MailboxRequests limit.", seconds)

    @contextmanager
    def slots(self, app_id: str, mailbox_id: str, wanted: int = 1) -> Iterator[int]:
        """Holds up to `wanted` of the concurrent requests, and yields how many there were to be had."""
        use = self._use(app_id, mailbox_id)
        held = min(wanted, CONCURRENT - use.running)
        use.running += held
        try:
            yield held
        finally:
            use.running -= held


def throttled(message: str, retry_after: int | str) -> GraphError:
    """A 429 of the Outlook service."""
    return GraphError(429, "ApplicationThrottled", message, {"Retry-After": str(retry_after)})


def too_many_at_once() -> GraphError:
    """The 429 for a fifth request beside four others."""
    return throttled("Application is over its MailboxConcurrency limit.", _CONCURRENCY_RETRY_AFTER)
