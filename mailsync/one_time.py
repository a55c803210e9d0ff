"""What may be used once: records that live for minutes, and where they are kept."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class OneTimeRecord:
    """What may be used once, until `expires_at`: a pending sign-in, its outcome, a lock.

    `payload` is opaque here. That of a sign-in is sealed with the browser's own cookie, and its key is the hash of
    what the browser holds, so the table alone opens nothing.
    """

    key: str
    payload: str = field(repr=False)
    expires_at: datetime
    version: str | None = None


class OneTimeStore(Protocol):
    """Records that live for minutes, each taken by one alone."""

    def put(self, record: OneTimeRecord) -> None:
        """Stores a record under a key that does not exist yet."""
        ...

    def get(self, key: str) -> OneTimeRecord | None:
        """The record, expired or not, or None."""
        ...

    def take(self, record: OneTimeRecord) -> bool:
        """Deletes the record as it was read; False where somebody was faster."""
        ...

    def purge(self, now: datetime) -> int:
        """Deletes what has expired; returns how many."""
        ...
