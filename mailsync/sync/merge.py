"""What becomes of a stored message when Graph says something of it. Pure; `row_writer.py` reads and writes.

Two kinds of word come from Graph. A delta page is authoritative: it says what is in the folder now, in order.
A history page is only a sighting: the message was in the folder when the page was read, and delta may already
have said more. So a sighting never overrides what delta has said of the message in the same generation.
"""

from dataclasses import replace
from datetime import datetime

import msgspec
from msgspec import UNSET

from mailsync.mailboxes.records import Folder
from mailsync.sync.records import Message, StoredMessage
from mailsync.sync.row_keys import row_key


def merge(
    stored: StoredMessage | None, message: Message, folder: Folder, now: datetime, *, sighting: bool
) -> StoredMessage | None:
    """The entry to write, or None where nothing changes. `folder.folder_id` must be known."""
    if message.removed:
        return _removed(stored, message.id, folder, now)
    if stored is None or stored.row_key is None:
        return _new(stored, message, folder, now, sighting=sighting)
    if (sighting and settled(stored, folder)) or _is_elsewhere(stored, message, folder):
        return None
    return _updated(stored, message, folder, now)


def _removed(stored: StoredMessage | None, message_id: str, folder: Folder, now: datetime) -> StoredMessage | None:
    seen = folder.generation
    if stored is None:
        # History may come upon the message in a replica that lags: the entry without a row says that it is gone.
        known = StoredMessage(message_id, None, folder.folder_id or "", seen, removed_generation=seen)
        return None if folder.complete else known
    if stored.folder_id != folder.folder_id:
        return None  # it moved to another followed folder, whose delta was read first
    if stored.removed_generation:
        return None
    marked = replace(stored, generation=seen, removed_generation=seen)
    return replace(marked, removed_at=now, synced_at=now) if stored.row_key else marked


def _new(
    stored: StoredMessage | None, message: Message, folder: Folder, now: datetime, *, sighting: bool
) -> StoredMessage | None:
    received = message.received
    if received is None or received < folder.since:
        return None  # gone before it could be read whole, or outside the window
    if sighting and stored and stored.removed_generation >= folder.generation:
        return None
    folder_id = folder.folder_id or ""
    return StoredMessage(
        message.id,
        row_key(received, message.id),
        folder_id,
        folder.generation,
        content=msgspec.structs.replace(message.content, parent_folder_id=folder_id),
        synced_at=now,
        version=stored.version if stored else None,
        index_version=stored.index_version if stored else None,
    )


def settled(stored: StoredMessage, folder: Folder) -> bool:
    """Whether delta has spoken of a message for this folder in this generation, so that a sighting adds nothing.

    What another folder's delta said is older: each run reads the deltas before it reads any history.
    """
    return (
        stored.folder_id == folder.folder_id and max(stored.generation, stored.removed_generation) >= folder.generation
    )


def says_elsewhere(message: Message, folder: Folder) -> bool:
    """Whether a message itself names another folder as the one that holds it."""
    return message.content.parent_folder_id not in (UNSET, folder.folder_id)


def _is_elsewhere(stored: StoredMessage, message: Message, folder: Folder) -> bool:
    """Whether this folder's word is late: the message is stored in another one, and itself does not name this one."""
    return stored.folder_id != folder.folder_id and says_elsewhere(message, folder)


def _updated(stored: StoredMessage, message: Message, folder: Folder, now: datetime) -> StoredMessage | None:
    folder_id = folder.folder_id or ""
    content = stored.content.updated(message.content, parent_folder_id=folder_id)
    same = content == stored.content and stored.removed_at is None
    if same and (stored.folder_id, stored.generation) == (folder.folder_id, folder.generation):
        return None
    return replace(
        stored,
        folder_id=folder_id,
        generation=folder.generation,
        removed_generation=0,
        content=content,
        synced_at=stored.synced_at if same else now,
        removed_at=None,
        kept=stored.kept and same,
    )
