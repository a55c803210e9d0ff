"""Where mailbox records are kept. Adapters and fakes satisfy this; `tests/contracts/` holds them to it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from mailsync.mailboxes.records import DueMailbox, Mailbox


class MailboxStore(Protocol):
    """Mailbox records and the poll schedule, which always agree: both change in one transaction."""

    def get(self, mailbox_id: str) -> Mailbox | None:
        """The record, or None."""
        ...

    def save(self, mailbox: Mailbox) -> Mailbox:
        """Writes the record if it is still the one that was read (`version`; None: must not exist yet).

        The schedule follows `next_poll_at`; None takes the mailbox off it. Returns the record with its new
        version and due key. Raises StaleWrite.
        """
        ...

    def list(self) -> Iterator[Mailbox]:
        """Every mailbox, in no order."""
        ...

    def due(self, now: datetime) -> Iterator[DueMailbox]:
        """Entries whose time has come. What it costs follows their number, not that of all mailboxes."""
        ...

    def mark_queued(self, entry: DueMailbox, now: datetime) -> None:
        """Notes that a hint was sent; an entry that has gone since is no error."""
        ...
