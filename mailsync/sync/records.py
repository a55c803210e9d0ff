"""Messages as Graph tells of them, and as the table holds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from mailsync.errors import MailsyncError


class Person(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Somebody who wrote or gets a message, as the sender wrote it: proof of nothing."""

    address: str = ""
    name: str = ""


class Header(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A header of the message as it came over the Internet."""

    name: str = ""
    value: str = ""


type Text = str | UnsetType
type Flag = bool | UnsetType
type Time = datetime | UnsetType
"""Aware, in UTC."""
type People = tuple[Person, ...] | UnsetType


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one message. UNSET is what nobody has said; it is another thing than an empty value.

    Graph's word of a message that the owner has read is `Content(is_read=True)`: it leaves all else as it is.
    """

    internet_message_id: Text = UNSET
    conversation_id: Text = UNSET
    parent_folder_id: Text = UNSET
    received: Time = UNSET
    sent: Time = UNSET
    subject: Text = UNSET
    author: Person | UnsetType = UNSET
    """Graph's `from`."""
    sender_address: Text = UNSET
    reply_to: People = UNSET
    to_recipients: People = UNSET
    cc_recipients: People = UNSET
    importance: Text = UNSET
    is_read: Flag = UNSET
    has_attachments: Flag = UNSET
    web_link: Text = UNSET
    body_content_type: Text = UNSET
    body_preview: Text = UNSET
    body: Text = UNSET
    headers: tuple[Header, ...] | UnsetType = UNSET

    def given(self) -> dict[str, Any]:
        """What is known, by field."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}

    def updated(self, newer: "Content", **more: object) -> "Content":
        """This with all that is known in `newer`, and `more` fields, in the place of what was known before."""
        return msgspec.structs.replace(self, **(newer.given() | more))


NOTHING = Content()
"""Nothing is known."""


@dataclass(frozen=True, slots=True)
class Message:
    """What Graph said of one message, and only that. `removed`: it is gone from the folder; nothing else is said."""

    id: str
    content: Content = field(default=NOTHING, repr=False)
    removed: bool = False

    @property
    def received(self) -> datetime | None:
        """When it was received, where Graph said so."""
        value = self.content.received
        return None if isinstance(value, UnsetType) else value


@dataclass(frozen=True, slots=True)
class DeltaPage:
    """One page of a delta round, in order. `link` is the next link, or the delta link where `last`."""

    messages: tuple[Message, ...]
    link: str
    last: bool


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page by received time, newest first. `more`: another page follows."""

    messages: tuple[Message, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of asking for messages by id: `found` ones, and why others were `refused`.

    A message in neither is gone. A refusal concerns that message and not its mailbox, whatever the class of the
    error. Only `graph_throttled` does not concern the message: Graph wants to be left alone, and was not asked for
    the rest.
    """

    found: Mapping[str, Message] = field(default_factory=dict)
    refused: Mapping[str, MailsyncError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What the table holds of one message.

    `row_key` is None for a removal that came before the message itself (see `merge.py`).
    `generation`: that in which it was last seen; `removed_generation`: that in which it was seen removed, 0 for none.
    `content`, `synced_at` (when the row last changed) and `removed_at` (when the removal was learned of) are the
    row's; they are left at their defaults where it was not read whole.
    `others`: columns of the row that are not this version's, as the store has them; they stay as they are.
    `version`, `index_version`: the store's, of the row and, where it was read, of the index entry.
    `kept`: content and `others` are as the row has them, so that a write may leave them alone.
    """

    message_id: str
    row_key: str | None
    folder_id: str
    generation: int
    removed_generation: int = 0
    content: Content = field(default=NOTHING, repr=False)
    synced_at: datetime | None = None
    removed_at: datetime | None = None
    others: Mapping[str, str | bool | datetime] = field(default_factory=dict, repr=False)
    version: str | None = None
    index_version: str | None = None
    kept: bool = False
