"""`MailboxStore` on the table `mailboxes`.

A mailbox has a row `mailbox-<id>` and, while it is scheduled, a row `due-<time>-<id>`. Both are in one
partition, named by the id's last digit, and so change in one transaction; 16 partitions share the load.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from mailsync.adapters.storage import mailbox_rows
from mailsync.adapters.storage.entities import Change, Entity, text
from mailsync.errors import StaleWrite
from mailsync.mailboxes.records import DueMailbox, Mailbox
from mailsync.settings import Storage
from mailsync.threads import Threads

_SHARDS = "0123456789abcdef"


class TableMailboxStore:
    """Mailbox records and the poll schedule. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        from mailsync.adapters.storage.tables import Table

        self._table = Table(storage, "mailboxes")
        self._pool = Threads(8, thread_name_prefix="mailboxes")

    def get(self, mailbox_id: str) -> Mailbox | None:
        """One point read."""
        found = self._table.get(mailbox_rows.shard(mailbox_id), mailbox_rows.key(mailbox_id))
        return mailbox_rows.read(found) if found else None

    def save(self, mailbox: Mailbox) -> Mailbox:
        """One call: an update where the schedule stays as it is, else a transaction."""
        row, due_key = mailbox_rows.write(mailbox), mailbox_rows.due_key(mailbox)
        if mailbox.version and due_key == mailbox.due_key:
            return replace(mailbox, version=self._table.replace(row, mailbox.version))
        changes = [Change("replace" if mailbox.version else "create", row, mailbox.version)]
        if due_key and due_key != mailbox.due_key:
            changes.append(Change("upsert", mailbox_rows.due_row(mailbox.id, due_key)))
        if mailbox.due_key and mailbox.due_key != due_key:
            changes.append(Change("delete", mailbox_rows.due_row(mailbox.id, mailbox.due_key)))
        return replace(mailbox, version=self._transact(mailbox, changes), due_key=due_key)

    def list(self) -> Iterator[Mailbox]:
        """Reads the table through, a page at a time."""
        return map(mailbox_rows.read, self._table.query("RowKey ge 'mailbox-' and RowKey lt 'mailbox.'"))

    def due(self, now: datetime) -> Iterator[DueMailbox]:
        """One query to each partition, of the entries that are due and no others; the longest overdue come first."""
        bound = mailbox_rows.due_prefix(now) + "."  # the full stop follows the hyphen: entries of this moment are due
        condition = f"RowKey ge 'due-' and RowKey lt {text(bound)}"
        shards = [self._table.pages(f"PartitionKey eq '{shard}' and {condition}") for shard in _SHARDS]
        first = self._pool.map(_next_page, shards)
        streams = [chain(page, chain.from_iterable(rest)) for page, rest in zip(first, shards, strict=True)]
        return map(_due, heapq.merge(*streams, key=lambda entity: str(entity.properties["RowKey"])))

    def mark_queued(self, entry: DueMailbox, now: datetime) -> None:
        """One call."""
        self._table.merge(mailbox_rows.due_row(entry.mailbox_id, entry.key) | {"queuedAt": now.astimezone(UTC)})

    def _transact(self, mailbox: Mailbox, changes: Sequence[Change]) -> str | None:
        """Makes the changes. Where an entry of the schedule has been deleted by hand, goes on without it."""
        try:
            return self._table.transact(changes)[0]
        except StaleWrite:
            remaining = [change for change in changes if change.kind != "delete"]
            current = self.get(mailbox.id)
            if len(remaining) == len(changes) or current is None or current.version != mailbox.version:
                raise
        return self._table.transact(remaining)[0]


def _next_page(pages: Iterator[list[Entity]]) -> list[Entity]:
    return next(pages, [])


def _due(entity: Entity) -> DueMailbox:
    row = entity.properties
    return DueMailbox(row["RowKey"], row["mailboxId"], row.get("queuedAt"))
