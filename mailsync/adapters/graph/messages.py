"""What Graph says of messages: its JSON as typed structs, and their conversion to contract columns.

https://learn.microsoft.com/graph/api/resources/message. An odd property costs that property alone and never a
message; how, `mailsync/json_reader.py` says.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from mailsync import json_reader
from mailsync.json_reader import ESSENTIAL
from mailsync.sync.records import Message

SELECT = (
    "internetMessageId,conversationId,parentFolderId,receivedDateTime,sentDateTime,subject,from,sender,replyTo,"
    "toRecipients,ccRecipients,importance,isRead,hasAttachments,webLink,body,bodyPreview,internetMessageHeaders"
)
"""The properties that the contract stores; `id` comes with every message."""

NARROW_SELECT = (
    "internetMessageId,conversationId,parentFolderId,receivedDateTime,sentDateTime,subject,from,importance,isRead,"
    "hasAttachments"
)
"""What a message can be shown with although its content can't be converted."""

_FIRST_TIME = datetime(1601, 1, 1, tzinfo=UTC)
"""The first that an Edm.DateTime can be; year 9999, which is the last, is Python's last too.

Outlook gives a missing time as the year 1, which the service refuses, and with it the whole transaction.
https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
"""

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
    """A message, or the part of one that an update mentions: what is absent stays UNSET."""

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
_encoder = msgspec.json.Encoder()


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
    """One message in contract columns, holding only what Graph mentioned.

    A text that is null becomes "", a list that is null becomes []. Flags, times, headers and folder have no
    empty value: null is passed over there, and leaves what is stored. The id is `Message.id`, not a column.
    """
    if wire.removed is not None:
        return Message(wire.id or "", removed=True)
    columns: dict[str, str | bool | datetime] = {}
    texts = (
        ("internetMessageId", wire.internet_message_id),
        ("conversationId", wire.conversation_id),
        ("subject", wire.subject),
        ("importance", wire.importance),
        ("webLink", wire.web_link),
        ("bodyPreview", wire.body_preview),
    )
    columns |= {name: value or "" for name, value in texts if value is not UNSET}
    flags = (("isRead", wire.is_read), ("hasAttachments", wire.has_attachments))
    columns |= {name: value for name, value in flags if isinstance(value, bool)}
    times = (("receivedDateTime", wire.received_date_time), ("sentDateTime", wire.sent_date_time))
    columns |= {name: when for name, value in times if isinstance(value, datetime) and (when := _utc(value))}
    people = (("replyTo", wire.reply_to), ("toRecipients", wire.to_recipients), ("ccRecipients", wire.cc_recipients))
    columns |= {name: _addresses(value or ()) for name, value in people if not isinstance(value, UnsetType)}
    return Message(wire.id or "", columns | _structured(wire))


def _structured(wire: WireMessage) -> dict[str, str | bool | datetime]:
    """The columns that come from inside a property."""
    columns: dict[str, str | bool | datetime] = {}
    if isinstance(wire.parent_folder_id, str):
        columns["parentFolderId"] = wire.parent_folder_id
    if not isinstance(wire.from_, UnsetType):
        author = _address(wire.from_)
        columns |= {"fromAddress": author.address or "", "fromName": author.name or ""}
    if not isinstance(wire.sender, UnsetType):
        columns["senderAddress"] = _address(wire.sender).address or ""
    if not isinstance(wire.body, UnsetType):
        body = wire.body or WireBody()
        columns |= {"bodyContentType": (body.content_type or "").lower(), "body": body.content or ""}
    if isinstance(wire.internet_message_headers, list):
        pairs = [{"name": header.name or "", "value": header.value or ""} for header in wire.internet_message_headers]
        columns["headers"] = _encoder.encode(pairs).decode()
    return columns


def _address(recipient: WireRecipient | None) -> WireAddress:
    return (recipient and recipient.email_address) or WireAddress()


def _addresses(recipients: Iterable[WireRecipient]) -> str:
    people = [person for recipient in recipients if (person := recipient.email_address)]
    return _encoder.encode([{"address": p.address or "", "name": p.name or ""} for p in people]).decode()


def _utc(value: datetime) -> datetime | None:
    """Graph's times are UTC; one without a zone is taken to be so. None for one that a table cannot hold."""
    try:
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None
    return moment if moment >= _FIRST_TIME else None
