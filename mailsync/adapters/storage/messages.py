"""`MessageStore` on the table `messages` and the blob container `message-bodies`.

A message has a row and, in the same partition, an index entry by message id; one transaction holds both.
`message_columns.py` and `message_rows.py` say what the rows look like.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import wait
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mailsync.adapters.storage import message_columns, message_rows, transactions
from mailsync.adapters.storage.entities import MOST_CHANGES, Change, Entity, text
from mailsync.once import once
from mailsync.settings import Storage
from mailsync.sync.records import StoredMessage
from mailsync.threads import Threads

if TYPE_CHECKING:
    from mailsync.adapters.storage.blobs import TextBlobs

MOST_BYTES = 3_600_000
"""Serialised size of one transaction; Azure's limit is 4 MiB."""

MOST_AT_ONCE = 4_000_000
"""Characters of bodies that are written at once: a page of usual mail has fewer."""


class TableMessageStore:
    """Messages and their bodies. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        from mailsync.adapters.storage.tables import Table

        self._storage = storage
        self._table = Table(storage, "messages")
        self._pool = Threads(8, thread_name_prefix="messages")

    @once
    def _blobs(self) -> "TextBlobs":
        """Made when a text is too long for its row, which few are: the SDK takes a sixth of a second to import."""
        from mailsync.adapters.storage.blobs import TextBlobs

        return TextBlobs(self._storage)

    def find(self, mailbox_id: str, message_ids: Iterable[str], *, rows: bool = True) -> dict[str, StoredMessage]:
        """Point reads, a few at a time: one for each id, and one more for each row.

        A filter that names several row keys would read fewer answers, but the service scans the partition for it:
        https://learn.microsoft.com/azure/storage/tables/table-storage-design-for-query
        """

        def read(message_id: str) -> StoredMessage | None:
            found = self._table.get(mailbox_id, message_rows.index_key(message_id))
            if not found:
                return None
            entry = _entry(found)
            return self._with_row(mailbox_id, entry) if rows else entry

        return {entry.message_id: entry for entry in self._each(read, dict.fromkeys(message_ids)) if entry}

    def write(self, mailbox_id: str, messages: Sequence[StoredMessage]) -> None:
        """One transaction for every 50 messages, fewer where they are large; each message once at the most."""
        for part in _parts(messages):
            blobs: dict[str, str] = {}
            groups = [self._encoded(mailbox_id, message, blobs) for message in part]
            # A row never names a blob that is not there.
            if blobs:
                self._each(self._blobs.put, blobs.items())
            self._each(self._table.send, list(_transactions(groups)))

    def row_keys(self, mailbox_id: str, folder_id: str, first: datetime, last: datetime) -> dict[str, str]:
        """One query over a range of row keys, which the service does not leave."""
        low, high = message_rows.row_range(first, last)
        condition = (
            f"PartitionKey eq {text(mailbox_id)} and RowKey ge {text(low)} and RowKey lt {text(high)}"
            f" and parentFolderId eq {text(folder_id)}"
        )
        found = self._table.query(condition, ["RowKey", "messageId"])
        return {entity.properties["messageId"]: entity.properties["RowKey"] for entity in found}

    def unseen(self, mailbox_id: str, folder_id: str, generation: int, since: datetime) -> Iterator[StoredMessage]:
        """One query over the mailbox's index, read a page at a time."""
        condition = (
            f"PartitionKey eq {text(mailbox_id)} and RowKey ge 'i' and RowKey lt 'j' and folderId eq {text(folder_id)}"
            f" and generation lt {generation} and removedGeneration eq 0"
            f" and rowKey lt {text(message_rows.row_bound(since))}"
        )
        return map(_entry, self._table.query(condition))

    def _with_row(self, mailbox_id: str, entry: StoredMessage) -> StoredMessage:
        found = self._table.get(mailbox_id, entry.row_key) if entry.row_key else None
        if not found:
            return entry
        properties = {name: found.properties[name] for name in found.properties.keys() - {"PartitionKey", "RowKey"}}
        columns = message_rows.join(properties, self._text_of)
        return message_columns.read(replace(entry, version=found.etag), columns)

    def _text_of(self, blob: str) -> str | None:
        return self._blobs.get(blob)

    def _encoded(self, mailbox_id: str, message: StoredMessage, blobs: dict[str, str]) -> list[bytes]:
        """The changes of one message. Texts that go to blobs are added to `blobs`, by blob name."""
        index: dict[str, Any] = {
            "PartitionKey": mailbox_id,
            "RowKey": message_rows.index_key(message.message_id),
            "messageId": message.message_id,
            "folderId": message.folder_id,
            "generation": message.generation,
            "removedGeneration": message.removed_generation,
        }
        if not message.row_key:
            return [self._table.encode(_change(index, message.index_version))]
        index["rowKey"] = message.row_key
        row = message_rows.split(message_columns.write(message), mailbox_id, message.message_id)
        blobs |= row.blobs
        properties: dict[str, Any] = {"PartitionKey": mailbox_id, "RowKey": message.row_key, **row.properties}
        changes = _change(properties, message.version), _change(index, message.index_version)
        return [self._table.encode(change) for change in changes]

    def _each[T, R](self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Does the work for each item, on the pool where there are several; raises the first error.

        Nothing is under way any more when it returns or raises: a caller who tries again meets no latecomer.
        """
        several = list(items)
        if len(several) < 2:
            return [work(item) for item in several]
        futures = [self._pool.submit(work, item) for item in several]
        wait(futures)
        return [future.result() for future in futures]


def _entry(entity: Entity) -> StoredMessage:
    row = entity.properties
    return StoredMessage(
        message_id=row["messageId"],
        row_key=row.get("rowKey"),
        folder_id=row["folderId"],
        generation=row["generation"],
        removed_generation=row["removedGeneration"],
        index_version=entity.etag,
    )


def _change(row: dict[str, Any], version: str | None) -> Change:
    return Change("replace", row, version) if version else Change("create", row)


def _parts(messages: Iterable[StoredMessage]) -> Iterator[list[StoredMessage]]:
    """Messages in order, in parts whose bodies have up to MOST_AT_ONCE characters.

    What is being written is in memory more than once: as it was, in the properties of its row, and on the wire.
    """
    part: list[StoredMessage] = []
    size = 0
    for message in messages:
        more = len(message.content.body or "")
        if part and size + more > MOST_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(message)
        size += more
    if part:
        yield part


def _transactions(groups: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    """Packs changes that belong together into transactions within the service's limits, in order."""
    transaction: list[bytes] = []
    size = 0
    for changes in groups:
        more = sum(map(transactions.size, changes))
        if transaction and (len(transaction) + len(changes) > MOST_CHANGES or size + more > MOST_BYTES):
            yield transaction
            transaction, size = [], 0
        transaction += changes
        size += more
    if transaction:
        yield transaction
