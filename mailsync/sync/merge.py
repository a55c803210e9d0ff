"""What becomes of a stored message when Graph says something of it. Pure; `sync` reads and writes around it.

Two kinds of word come from Graph. A delta page is authoritative: it says what is in the folder now, in order.
A history page is only a sighting: it was in the folder when the page was read, and delta may already have said
more. So a sighting never overrides what delta has said of the message in the same generation.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from mailsync.mailboxes.records import Folder
from mailsync.sync.records import Message, StoredMessage

RowKey = Callable[[datetime, str], str]
"""Makes a row key of the received time and the message id."""


def merge(
    stored: StoredMessage | None, message: Message, folder: Folder, now: datetime, row_key: RowKey, *, sighting: bool
) -> StoredMessage | None:
    """The entry to write, or None where nothing changes. `folder.folder_id` must be known."""
    if message.removed:
        return _removed(stored, message.id, folder, now)
    if stored is None or stored.row_key is None:
        return _new(stored, message, folder, now, row_key, sighting=sighting)
    if (sighting and settled(stored, folder)) or _is_elsewhere(stored, message, folder):
        return None
    return _updated(stored, message, folder, now)


def _removed(stored: StoredMessage | None, message_id: str, folder: Folder, now: datetime) -> StoredMessage | None:
    if stored is None:
        # History may still come upon it, out of a replica that lags: the entry without a row tells it then.
        return None if folder.complete else _entry(message_id, folder, removed_generation=folder.generation)
    if stored.folder_id != folder.folder_id:
        return None  # it moved to another followed folder, whose delta was read first
    if stored.removed_generation:
        return None
    return _entry(
        message_id,
        folder,
        stored,
        columns=dict(stored.columns) | {"removedDateTime": now, "syncedDateTime": now} if stored.row_key else {},
        removed_generation=folder.generation,
    )


def _new(
    stored: StoredMessage | None, message: Message, folder: Folder, now: datetime, row_key: RowKey, *, sighting: bool
) -> StoredMessage | None:
    received = message.received
    if received is None or received < folder.since:
        return None  # gone before it could be read whole, or outside the window
    if sighting and stored and stored.removed_generation >= folder.generation:
        return None
    given: dict[str, str | datetime] = {
        "messageId": message.id,
        "parentFolderId": folder.folder_id or "",
        "syncedDateTime": now,
    }
    return _entry(
        message.id, folder, stored, columns=dict(message.columns) | given, row_key=row_key(received, message.id)
    )


def settled(stored: StoredMessage, folder: Folder) -> bool:
    """Whether delta has spoken of it for this folder in this generation, so that a sighting adds nothing.

    What another folder's delta said is older: each run reads the deltas before it reads any history.
    """
    return (
        stored.folder_id == folder.folder_id and max(stored.generation, stored.removed_generation) >= folder.generation
    )


def _is_elsewhere(stored: StoredMessage, message: Message, folder: Folder) -> bool:
    """Whether a word of this folder is late: the message is stored in another one, and itself says not here."""
    return (
        stored.folder_id != folder.folder_id
        and message.columns.get("parentFolderId", folder.folder_id) != folder.folder_id
    )


def _updated(stored: StoredMessage, message: Message, folder: Folder, now: datetime) -> StoredMessage | None:
    kept = {name: value for name, value in stored.columns.items() if name != "removedDateTime"}
    columns = kept | dict(message.columns) | {"parentFolderId": folder.folder_id or ""}
    same = columns == dict(stored.columns)
    if same and (stored.folder_id, stored.generation) == (folder.folder_id, folder.generation):
        return None
    if not same:
        columns["syncedDateTime"] = now
    return _entry(message.id, folder, stored, columns=columns)


def _entry(
    message_id: str,
    folder: Folder,
    stored: StoredMessage | None = None,
    *,
    columns: Mapping[str, str | bool | datetime] | None = None,
    row_key: str | None = None,
    removed_generation: int = 0,
) -> StoredMessage:
    return StoredMessage(
        message_id=message_id,
        row_key=row_key or (stored.row_key if stored else None),
        folder_id=folder.folder_id or "",
        generation=folder.generation,
        removed_generation=removed_generation,
        columns=columns or {},
        version=stored.version if stored else None,
        index_version=stored.index_version if stored else None,
    )
