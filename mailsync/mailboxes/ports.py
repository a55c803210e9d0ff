"""Where mailbox records are kept. Adapters and fakes satisfy this; `tests/contracts/` holds them to it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from mailsync.mailboxes.records import DueMailbox, Mailbox


class MailboxStore(Protocol):
    """Mailbox records and the poll schedule, which always agree: both change in one transaction."""

    def get(self, mailbox_id: str) -> Mailbox | None:
        """The record, or None."""
        ...

    def save(self, mailbox: Mailbox) -> Mailbox:
        """Writes the record if the stored one still has its `version`; None: none may be stored yet.

        The schedule follows `next_poll_at`; None takes the mailbox off it. Returns the record with its new
        version and due key. Raises StaleWrite.
        """
        ...

    def list(self) -> Iterator[Mailbox]:
        """Every mailbox, in no order."""
        ...

    def due(self, shard: str, now: datetime, since: str = "") -> Iterator[Sequence[DueMailbox]]:
        """Entries of a shard whose time has come, in the order of their keys, which is that of their times.

        Yields pages, some of them empty, each of which is read when it is asked for. `since`: the key to begin at.
        What it costs follows the number of entries that are due, not that of all mailboxes.
        """
        ...

    def mark_queued(self, entries: Sequence[DueMailbox], now: datetime) -> None:
        """Notes in each entry that a hint was sent for it. An entry that has gone since is no error.

        Raises the first failure, once all were tried.
        """
        ...
