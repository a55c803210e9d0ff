"""Messages as Graph tells of them, and as the table holds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mailsync.errors import MailsyncError


@dataclass(frozen=True, slots=True)
class Message:
    """What Graph said of one message, in contract columns; only what it said.

    `columns` maps contract names to str, bool or datetime (`receivedDateTime`, `sentDateTime`);
    `toRecipients`, `ccRecipients`, `replyTo` and `headers` are JSON lists, `body` the whole text.
    `removed`: gone from the folder; `columns` is empty then.
    """

    id: str
    columns: Mapping[str, str | bool | datetime] = field(default_factory=dict, repr=False)
    removed: bool = False

    @property
    def received(self) -> datetime | None:
        """When it was received, where Graph said so."""
        value = self.columns.get("receivedDateTime")
        return value if isinstance(value, datetime) else None


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

    A message in neither is no more. A refusal is a word about that message, and none about its mailbox, whatever
    its class; only `graph_throttled` is none about the message: Graph wants to be left alone, and was not asked
    for what is left.
    """

    found: Mapping[str, Message] = field(default_factory=dict)
    refused: Mapping[str, MailsyncError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What the table holds of one message.

    `row_key` is None for a removal that came before the message itself (see `sync`).
    `generation`: when it was last seen; `removed_generation`: when it was seen removed, 0 for never.
    `columns`: the row without its keys, long texts joined; empty where only the index was read.
    `version`, `index_version`: the store's, of the row and of its index entry.
    """

    message_id: str
    row_key: str | None
    folder_id: str
    generation: int
    removed_generation: int = 0
    columns: Mapping[str, str | bool | datetime] = field(default_factory=dict, repr=False)
    version: str | None = None
    index_version: str | None = None
