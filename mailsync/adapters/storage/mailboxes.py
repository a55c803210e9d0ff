"""`MailboxStore` on the table `mailboxes`.

A mailbox has a row `mailbox-<id>` and, while it is scheduled, a row `due-<time>-<id>`. Both are in one
partition, named by the id's last digit, and so change in one transaction; 16 partitions share the load.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import batched, groupby

from mailsync.adapters.storage import mailbox_rows
from mailsync.adapters.storage.entities import MOST_CHANGES, Change, Entity, Properties, text
from mailsync.errors import StaleWrite
from mailsync.mailboxes.ids import is_mailbox_id, shard
from mailsync.mailboxes.records import DueMailbox, Mailbox
from mailsync.settings import Storage
from mailsync.threads import Threads

_log = logging.getLogger(__name__)

_NAMES = ["RowKey", "mailboxId", "queuedAt"]
"""What is read of an entry of the schedule."""


class TableMailboxStore:
    """Mailbox records and the poll schedule. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        from mailsync.adapters.storage.tables import Table

        self._table = Table(storage, "mailboxes")
        self._pool = Threads(8, thread_name_prefix="mailboxes")

    def get(self, mailbox_id: str) -> Mailbox | None:
        """One point read."""
        found = self._table.get(shard(mailbox_id), mailbox_rows.key(mailbox_id))
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
        """Reads the table through, a page at a time. A record that somebody has spoilt by hand hides no other."""
        for row in self._table.query("RowKey ge 'mailbox-' and RowKey lt 'mailbox.'"):
            try:
                mailbox = mailbox_rows.read(row)
            except (ValueError, LookupError, TypeError, AttributeError):
                _log.exception("the record %r in the table mailboxes cannot be read", row.properties.get("RowKey"))
                continue
            yield mailbox

    def due(self, shard: str, now: datetime, since: str = "") -> Iterator[Sequence[DueMailbox]]:
        """One query, of the entries that are due and no others; a call for each thousand of them."""
        bound = mailbox_rows.due_prefix(now) + "."  # the full stop follows the hyphen: entries of this moment are due
        keys = f"RowKey ge {text(max(since, 'due-'))} and RowKey lt {text(bound)}"
        for page in self._table.pages(f"PartitionKey eq {text(shard)} and {keys}", _NAMES):
            yield [due for entity in page if (due := _due(entity))]

    def mark_queued(self, entries: Sequence[DueMailbox], now: datetime) -> None:
        """One call for each hundred entries of a shard, side by side."""
        marks = [
            mailbox_rows.due_row(entry.mailbox_id, entry.key) | {"queuedAt": now.astimezone(UTC)} for entry in entries
        ]
        marks.sort(key=_partition)
        shards = [list(rows) for _, rows in groupby(marks, key=_partition)]
        hundreds = [some for rows in shards for some in batched(rows, MOST_CHANGES, strict=False)]
        marking = [self._pool.submit(self._mark, some) for some in hundreds]
        failures = [error for one in marking if (error := one.exception())]
        if failures:
            raise failures[0]

    def _mark(self, marks: Sequence[Properties]) -> None:
        """One transaction; where an entry has gone meanwhile, one for each half, and so on until it stands alone."""
        try:
            self._table.transact([Change("merge", mark) for mark in marks])
        except StaleWrite:
            middle = len(marks) // 2
            if middle:
                self._mark(marks[:middle])
                self._mark(marks[middle:])

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


def _partition(row: Properties) -> str:
    return str(row["PartitionKey"])


def _due(entity: Entity) -> DueMailbox | None:
    """An entry of the schedule; None for a row that somebody has put there by hand, which must not stop the others."""
    row = entity.properties
    mailbox_id, queued_at = str(row.get("mailboxId")), row.get("queuedAt")
    if not is_mailbox_id(mailbox_id):
        _log.error("the row %r in the table mailboxes is no entry of the schedule: delete it", row["RowKey"])
        return None
    return DueMailbox(row["RowKey"], mailbox_id, queued_at if isinstance(queued_at, datetime) else None)
