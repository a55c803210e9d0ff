"""A message's columns in the table `messages`: their names, their JSON lists, and the times that a table can hold.

Pure functions. `docs/storage-schema.md` says what the columns mean; `message_rows.py` splits texts that are too long.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET

from mailsync.sync.records import Content, Header, Person, StoredMessage

type Value = str | bool | datetime

FIRST_TIME = datetime(1601, 1, 1, tzinfo=UTC)
"""The first time that an Edm.DateTime can hold; the last, in year 9999, is Python's last too.

The service refuses an earlier time, and with it the whole transaction.
https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
"""

_TEXTS = {
    "internetMessageId": "internet_message_id",
    "conversationId": "conversation_id",
    "parentFolderId": "parent_folder_id",
    "subject": "subject",
    "senderAddress": "sender_address",
    "importance": "importance",
    "webLink": "web_link",
    "bodyContentType": "body_content_type",
    "bodyPreview": "body_preview",
    "body": "body",
}
_FLAGS = {"isRead": "is_read", "hasAttachments": "has_attachments"}
_TIMES = {"receivedDateTime": "received", "sentDateTime": "sent"}
_KINDS: tuple[tuple[type, dict[str, str]], ...] = ((str, _TEXTS), (bool, _FLAGS))
_PLAIN = [(column, name, kind) for kind, names in _KINDS for column, name in names.items()]
_encoder = msgspec.json.Encoder()
_people, _headers = msgspec.json.Decoder(tuple[Person, ...]), msgspec.json.Decoder(tuple[Header, ...])
_LISTS: dict[str, tuple[str, msgspec.json.Decoder[Any]]] = {
    "replyTo": ("reply_to", _people),
    "toRecipients": ("to_recipients", _people),
    "ccRecipients": ("cc_recipients", _people),
    "headers": ("headers", _headers),
}


def write(message: StoredMessage) -> dict[str, Value]:
    """The columns of a message. A time that no table can hold is left out."""
    columns: dict[str, Value] = dict(message.others)
    columns["messageId"] = message.message_id
    content = message.content
    for column, name, _ in _PLAIN:
        if (value := getattr(content, name)) is not UNSET:
            columns[column] = value
    for column, name in _TIMES.items():
        if (moment := getattr(content, name)) is not UNSET and moment >= FIRST_TIME:
            columns[column] = moment
    for column, (name, _) in _LISTS.items():
        if (entries := getattr(content, name)) is not UNSET:
            columns[column] = _encoder.encode(entries).decode()
    if isinstance(content.author, Person):
        columns |= {"fromAddress": content.author.address, "fromName": content.author.name}
    for column, when in (("syncedDateTime", message.synced_at), ("removedDateTime", message.removed_at)):
        if when is not None:
            columns[column] = when
    return columns


def read(entry: StoredMessage, columns: Mapping[str, Value]) -> StoredMessage:
    """The entry with what its row holds.

    A column of another version, or one with a value that is none of ours, goes to `others` and is kept as it is.
    """
    left = dict(columns)
    left.pop("messageId", None)
    known: dict[str, Any] = {}
    for column, name, kind in _PLAIN:
        if isinstance(left.get(column), kind):
            known[name] = left.pop(column)
    for column, name in _TIMES.items():
        if isinstance(left.get(column), datetime):
            known[name] = left.pop(column)
    for column, (name, decoder) in _LISTS.items():
        if (entries := _entries(left.get(column), decoder)) is not None:
            known[name] = entries
            del left[column]
    if isinstance(left.get("fromAddress"), str) and isinstance(left.get("fromName"), str):
        known["author"] = Person(str(left.pop("fromAddress")), str(left.pop("fromName")))
    synced_at, removed_at = _time(left, "syncedDateTime"), _time(left, "removedDateTime")
    return replace(entry, content=Content(**known), synced_at=synced_at, removed_at=removed_at, others=left)


def _entries(text: Value | None, decoder: msgspec.json.Decoder[Any]) -> tuple[Any, ...] | None:
    """What a JSON list holds; None where it is no list of just that, which would lose something if written back."""
    if not isinstance(text, str):
        return None
    try:
        entries: tuple[Any, ...] = decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return entries


def _time(columns: dict[str, Value], name: str) -> datetime | None:
    if isinstance(when := columns.get(name), datetime):
        del columns[name]
        return when
    return None
