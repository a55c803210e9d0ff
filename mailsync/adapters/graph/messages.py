"""What Graph says of messages: its JSON as typed structs, and their conversion to the program's own messages.

https://learn.microsoft.com/graph/api/resources/message. An odd property costs that property alone and never a
message (`mailsync/adapters/json_reader.py`).
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from mailsync.adapters import json_reader
from mailsync.adapters.json_reader import ESSENTIAL
from mailsync.sync.records import Content, Header, Message, Person

SELECT = (
    "internetMessageId,conversationId,parentFolderId,receivedDateTime,sentDateTime,subject,from,sender,replyTo,"
    "toRecipients,ccRecipients,importance,isRead,hasAttachments,webLink,body,bodyPreview,internetMessageHeaders"
)
"""The properties that the contract stores; `id` comes with every message."""

NARROW_SELECT = (
    "internetMessageId,conversationId,parentFolderId,receivedDateTime,sentDateTime,subject,from,importance,isRead,"
    "hasAttachments"
)
"""The properties that Graph can show of a message although it cannot convert the content."""

_NO_YEAR = 1
"""The year of a time that is missing: `"sentDateTime": "0001-01-01T00:00:00Z"`."""

_log = logging.getLogger(__name__)


class WireAddress(msgspec.Struct, frozen=True, gc=False):
    """An emailAddress."""

    address: str | None = None
    name: str | None = None


class WireRecipient(msgspec.Struct, frozen=True, rename="camel"):
    """A recipient."""

    email_address: WireAddress | None = None


class WireBody(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """An itemBody."""

    content_type: str | None = None
    content: str | None = None


class WireHeader(msgspec.Struct, frozen=True, gc=False):
    """An internetMessageHeader."""

    name: str | None = None
    value: str | None = None


_Text = str | None | UnsetType
_Flag = bool | None | UnsetType
_Time = datetime | None | UnsetType
_Person = WireRecipient | None | UnsetType
_People = list[WireRecipient] | None | UnsetType


class WireMessage(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A message, or the part of one that delta mentions: what is absent stays UNSET.

    Delta tells of a read message as `{"id": "AAMk…", "isRead": true}`, of one that has left the folder as
    `{"id": "AAMk…", "@removed": {"reason": "deleted"}}`.
    """

    id: str | None = None
    removed: Any = msgspec.field(name="@removed", default=None)
    internet_message_id: _Text = UNSET
    conversation_id: _Text = UNSET
    parent_folder_id: _Text = UNSET
    received_date_time: _Time = UNSET
    sent_date_time: _Time = UNSET
    subject: _Text = UNSET
    from_: _Person = msgspec.field(name="from", default=UNSET)
    sender: _Person = UNSET
    reply_to: _People = UNSET
    to_recipients: _People = UNSET
    cc_recipients: _People = UNSET
    importance: _Text = UNSET
    is_read: _Flag = UNSET
    has_attachments: _Flag = UNSET
    web_link: _Text = UNSET
    body: WireBody | UnsetType | None = UNSET
    body_preview: _Text = UNSET
    internet_message_headers: list[WireHeader] | UnsetType | None = UNSET


class WirePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of messages with its links, which are opaque. A page that seems to have none would end the reading."""

    value: list[WireMessage]
    next_link: Annotated[str | None, ESSENTIAL] = msgspec.field(name="@odata.nextLink", default=None)
    delta_link: Annotated[str | None, ESSENTIAL] = msgspec.field(name="@odata.deltaLink", default=None)
    count: int | None = msgspec.field(name="@odata.count", default=None)


_page_decoder = msgspec.json.Decoder(WirePage)
_message_decoder = msgspec.json.Decoder(WireMessage)


def page(raw: bytes) -> WirePage:
    """A page as Graph sent it. Raises json_reader.Unreadable where it is no JSON, or no page."""
    return json_reader.read(raw, _page_decoder)


def message(raw: bytes) -> WireMessage:
    """One message as Graph sent it. Raises json_reader.Unreadable where it is no JSON object."""
    return json_reader.read(raw, _message_decoder)


def to_messages(wire: Iterable[WireMessage]) -> tuple[Message, ...]:
    """Converts what has an id; the rest cannot be named, let alone stored, and is logged."""
    messages = []
    for item in wire:
        if item.id:
            messages.append(to_message(item))
        else:
            _log.warning("an entry without an id was left out")
    return tuple(messages)


def to_message(wire: WireMessage) -> Message:
    """One message, holding only what Graph mentioned.

    A text that is null becomes "", a list that is null becomes empty. Flags, times, headers and folder have no
    empty value: null says nothing there, and leaves what is stored.
    """
    if wire.removed is not None:
        return Message(wire.id or "", removed=True)
    body = WireBody() if wire.body is None else wire.body
    content = Content(
        internet_message_id=_text(wire.internet_message_id),
        conversation_id=_text(wire.conversation_id),
        parent_folder_id=UNSET if wire.parent_folder_id is None else wire.parent_folder_id,
        received=_time(wire.received_date_time),
        sent=_time(wire.sent_date_time),
        subject=_text(wire.subject),
        author=UNSET if isinstance(wire.from_, UnsetType) else _person(wire.from_),
        sender_address=UNSET if isinstance(wire.sender, UnsetType) else _person(wire.sender).address,
        reply_to=_people(wire.reply_to),
        to_recipients=_people(wire.to_recipients),
        cc_recipients=_people(wire.cc_recipients),
        importance=_text(wire.importance),
        is_read=UNSET if wire.is_read is None else wire.is_read,
        has_attachments=UNSET if wire.has_attachments is None else wire.has_attachments,
        web_link=_text(wire.web_link),
        body_content_type=UNSET if isinstance(body, UnsetType) else (body.content_type or "").lower(),
        body_preview=_text(wire.body_preview),
        body=UNSET if isinstance(body, UnsetType) else body.content or "",
        headers=_headers(wire.internet_message_headers),
    )
    return Message(wire.id or "", content)


def _text(value: _Text) -> str | UnsetType:
    return "" if value is None else value


def _person(recipient: WireRecipient | None) -> Person:
    who = recipient and recipient.email_address
    return Person(who.address or "", who.name or "") if who else Person()


def _people(recipients: _People) -> tuple[Person, ...] | UnsetType:
    if isinstance(recipients, UnsetType):
        return UNSET
    return tuple(_person(recipient) for recipient in recipients or () if recipient.email_address)


def _headers(headers: list[WireHeader] | UnsetType | None) -> tuple[Header, ...] | UnsetType:
    if headers is None or isinstance(headers, UnsetType):
        return UNSET
    return tuple(Header(header.name or "", header.value or "") for header in headers)


def _time(value: _Time) -> datetime | UnsetType:
    """Graph's times are UTC; one without a zone is taken to be so."""
    if value is None or isinstance(value, UnsetType):
        return UNSET
    try:
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:  # at the ends of the calendar
        return UNSET
    return UNSET if moment.year == _NO_YEAR else moment
