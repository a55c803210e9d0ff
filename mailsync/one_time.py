"""What may be used once: records that live for minutes, and where they are kept."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SignInRecord:
    """A pending sign-in or its outcome, kept for minutes under the hash of what the browser holds.

    `payload` is opaque here: sealed with the browser's own cookie, so the table alone opens nothing.
    """

    key: str
    payload: str = field(repr=False)
    expires_at: datetime
    version: str | None = None


class SignInStore(Protocol):
    """Short-lived, one-time records of the sign-in."""

    def put(self, record: SignInRecord) -> None:
        """Stores a record under a key that does not exist yet."""
        ...

    def get(self, key: str) -> SignInRecord | None:
        """The record, expired or not, or None."""
        ...

    def take(self, record: SignInRecord) -> bool:
        """Deletes the record as it was read; False where somebody was faster."""
        ...

    def purge(self, now: datetime) -> int:
        """Deletes what has expired; returns how many."""
        ...
