"""`MessageStore` on the table `messages` and the blob container `message-bodies`.

A message has a row and, in the same partition, an index entry by message id, which one transaction makes. The entry
says only where the row is, and never changes. Where a removal came before its message, there is an entry alone.
`message_columns.py` and `message_rows.py` say what the rows look like.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mailsync.adapters.storage import message_columns, message_rows, row_ranges, transactions
from mailsync.adapters.storage.entities import MOST_CHANGES, Change, Entity, text
from mailsync.once import once
from mailsync.settings import Storage
from mailsync.sync.records import StoredMessage
from mailsync.sync.row_keys import index_key, row_bound, row_key
from mailsync.threads import Threads

if TYPE_CHECKING:
    from mailsync.adapters.storage.blobs import TextBlobs

MOST_BYTES = 3_600_000
"""Bytes of one transaction, at the most; Azure's limit is 4 MiB."""

MOST_AT_ONCE = 4_000_000
"""Characters of bodies that are written at once, at the most: a page of usual mail has fewer."""

_OF_THE_STORE = ("PartitionKey", "RowKey", "generation", "removedGeneration")
_BARE = [*_OF_THE_STORE, "messageId", "parentFolderId", "removedDateTime"]
"""Properties of a row that is not read whole."""


class TableMessageStore:
    """Messages and their bodies. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        from mailsync.adapters.storage.tables import Table

        self._storage = storage
        self._table = Table(storage, "messages")
        self._pool = Threads(8, thread_name_prefix="messages")

    @once
    def _blobs(self) -> "TextBlobs":
        """Made when a text is too long for its row, which few are: the SDK is slow to import (docs/performance.md)."""
        from mailsync.adapters.storage.blobs import TextBlobs

        return TextBlobs(self._storage)

    def find(
        self, mailbox_id: str, sought: Mapping[str, datetime | None], *, whole: bool = True
    ) -> dict[str, StoredMessage]:
        """Rows whose keys the times tell, by ranges; for the rest an index entry each, and their rows by ranges.

        A filter that names several keys would read fewer answers, but the service scans the partition for it:
        https://learn.microsoft.com/azure/storage/tables/table-storage-design-for-query
        """
        keys = {id_: row_key(received, id_) for id_, received in sought.items() if received}
        entries = {entry.message_id: entry for entry in self._indexed(mailbox_id, sought.keys() - keys.keys())}
        keys |= {id_: entry.row_key for id_, entry in entries.items() if entry.row_key}
        names = None if whole else _BARE
        rows = list(row_ranges.read_rows(self._table, mailbox_id, keys.values(), names, self._each))
        in_blobs = any(name.endswith("Blob") for row in rows for name in row.properties)
        read = self._whole if whole else _bare
        found = self._each(read, rows) if in_blobs else [read(row) for row in rows]
        for row in found:
            index = entries.get(row.message_id)
            entries[row.message_id] = replace(row, index_version=index.index_version) if index else row
        # An entry whose row somebody has deleted is as one that came before its message.
        missing = entries.keys() - {row.message_id for row in found}
        return entries | {id_: replace(entries[id_], row_key=None) for id_ in missing}

    def known(self, mailbox_id: str, message_ids: Iterable[str]) -> set[str]:
        """A point read for each."""
        return {entry.message_id for entry in self._indexed(mailbox_id, message_ids)}

    def write(self, mailbox_id: str, messages: Sequence[StoredMessage]) -> None:
        """One transaction for every 50 new messages or 100 others, fewer where they are large; each message once."""
        for part in _parts(messages):
            self._each(self._table.send, self._transactions(mailbox_id, part))

    def unseen(self, mailbox_id: str, folder_id: str, generation: int, since: datetime) -> Iterator[StoredMessage]:
        """One query over the mailbox's rows, read a page at a time.

        Rows of the first version have no `generation` and no `removedGeneration`. A comparison with a missing property
        is false, so `generation lt 7` would leave them out where `not (generation ge 7)` finds them.
        """
        condition = (
            f"PartitionKey eq {text(mailbox_id)} and RowKey ge 'm' and RowKey lt {text(row_bound(since))}"
            f" and parentFolderId eq {text(folder_id)}"
            f" and not (generation ge {generation}) and not (removedGeneration gt 0)"
        )
        return map(_bare, self._table.query(condition, _BARE))

    def _indexed(self, mailbox_id: str, message_ids: Iterable[str]) -> list[StoredMessage]:
        def read(message_id: str) -> Entity | None:
            return self._table.get(mailbox_id, index_key(message_id))

        return [_entry(found) for found in self._each(read, dict.fromkeys(message_ids)) if found]

    def _whole(self, row: Entity) -> StoredMessage:
        left = {name: value for name, value in row.properties.items() if name not in _OF_THE_STORE}
        return message_columns.read(_bare(row), message_rows.join(left, self._text))

    def _text(self, blob: str) -> str | None:
        return self._blobs.get(blob)

    def _transactions(self, mailbox_id: str, messages: Sequence[StoredMessage]) -> Iterator[list[bytes]]:
        """Transactions as they are encoded, each when the blobs that its rows name are there."""
        blobs: dict[str, str] = {}
        for transaction in _transactions(self._encoded(mailbox_id, message, blobs) for message in messages):
            if blobs:
                self._each(self._blobs.put, list(blobs.items()))
                blobs.clear()
            yield transaction

    def _encoded(self, mailbox_id: str, message: StoredMessage, blobs: dict[str, str]) -> list[bytes]:
        """The changes of one message. Texts that go to blobs are added to `blobs`, by blob name."""
        changes = []
        if message.row_key:
            changes.append(self._row(mailbox_id, message, message.row_key, blobs))
        if not message.version:
            index = _index(mailbox_id, message)
            changes.append(_change(index, message.index_version))
        return [self._table.encode(change) for change in changes]

    def _row(self, mailbox_id: str, message: StoredMessage, row_key: str, blobs: dict[str, str]) -> Change:
        row: dict[str, Any] = {"PartitionKey": mailbox_id, "RowKey": row_key}
        if message.kept and message.version:
            times = {"syncedDateTime": message.synced_at, "removedDateTime": message.removed_at}
            row |= {column: when for column, when in times.items() if when is not None}
            return Change("merge", row | _place(message), message.version)
        split = message_rows.split(message_columns.write(message), mailbox_id, message.message_id)
        blobs |= split.blobs
        return _change(row | split.properties | _place(message), message.version)

    def _each[T, R](self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Does the work for each item as it comes, on the pool where there are several; raises the first error.

        Nothing is under way any more when it returns or raises: a caller who tries again meets no latecomer.
        """
        if isinstance(items, Sized) and len(items) < 2:
            return [work(item) for item in items]
        futures: list[Future[R]] = []
        try:
            futures.extend(self._pool.submit(work, item) for item in items)
        finally:
            wait(futures)
        return [future.result() for future in futures]


def _entry(entity: Entity) -> StoredMessage:
    row = entity.properties
    return StoredMessage(
        message_id=row["messageId"],
        row_key=row.get("rowKey"),
        folder_id=row.get("folderId", ""),
        generation=row.get("generation", 0),
        removed_generation=row.get("removedGeneration", 0),
        index_version=entity.etag,
    )


def _bare(row: Entity) -> StoredMessage:
    """What a row says without its content. A property that was asked for by name and is missing may come as null."""
    known = {name: value for name, value in row.properties.items() if value is not None}
    return StoredMessage(
        message_id=known["messageId"],
        row_key=known["RowKey"],
        folder_id=known["parentFolderId"],
        generation=known.get("generation", 0),
        removed_generation=known.get("removedGeneration", int("removedDateTime" in known)),
        version=row.etag,
        kept=True,
    )


def _place(message: StoredMessage) -> dict[str, Any]:
    """The columns of a row that say where its message is, and in which enumerations it was seen."""
    return {
        "parentFolderId": message.folder_id,
        "generation": message.generation,
        "removedGeneration": message.removed_generation,
    }


def _index(mailbox_id: str, message: StoredMessage) -> dict[str, Any]:
    """The index entry: where the row is; where there is none yet, what else is known of the message."""
    index = {
        "PartitionKey": mailbox_id,
        "RowKey": index_key(message.message_id),
        "messageId": message.message_id,
    }
    if message.row_key:
        return index | {"rowKey": message.row_key}
    seen = {"generation": message.generation, "removedGeneration": message.removed_generation}
    return index | {"folderId": message.folder_id, **seen}


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
