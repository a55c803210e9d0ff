"""RFC 822 messages and mbox files become Graph message properties, as Exchange would store them.

Whatever is broken is read as far as it goes; only what holds no mail at all is refused, with its reason.
Properties: https://learn.microsoft.com/graph/api/resources/message
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from typing import Any

from sandbox.exchange import mime_headers as headers
from sandbox.exchange.mime_text import clean, crlf, decode, decode_html, html_to_text, preview

_MAX_DEPTH = 50
_ENVELOPE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From [^\r\n]*\d{4}[^\r\n]*\r?\n(?=[!-9;-~]+:|>From )")


class Unreadable(Exception):
    """There is no mail in it; the message says why."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What a message says of itself. `properties`: Graph's, without what the mailbox adds (ids, folder, times)."""

    properties: dict[str, Any]
    sent: datetime | None
    thread: headers.Thread


@dataclass(slots=True)
class _Content:
    """What the walk through the parts has found."""

    html: str | None = None
    text: str | None = None
    attachments: bool = False
    leaves: list[Message] = field(default_factory=list)

    @property
    def has_body(self) -> bool:
        return self.html is not None or self.text is not None


def split_mbox(raw: bytes) -> list[bytes]:
    """The messages of an mbox (mboxo, mboxrd), or the one message that `raw` is."""
    raw = raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if not raw.startswith(b"From "):
        return [raw]
    starts = sorted({0, *(match.start() for match in _ENVELOPE.finditer(raw))})
    parts = [raw[begin:end] for begin, end in zip(starts, [*starts[1:], len(raw)], strict=True)]
    return [re.sub(rb"(?m)^>(>*From )", rb"\1", part.partition(b"\n")[2]) for part in parts]


def read(raw: bytes) -> Mail:
    """One message. Raises Unreadable where there is nothing to read."""
    if not raw.strip(b"\0 \t\r\n"):
        raise Unreadable("it is empty")
    start = headers.find_start(raw)
    if start is None:
        raise Unreadable("it has no mail header")
    message = _parse(headers.repair(raw[start:]))
    content = _Content()
    _walk(message, content, 0)
    sent = headers.sent_at(message)
    return Mail(_properties(message, content), sent, headers.thread(message))


def _parse(raw: bytes) -> Message:
    try:
        return message_from_bytes(raw)
    except RecursionError:  # nested deeper than anybody reads: Exchange, too, shows such a body as text
        message = headers.header_only(raw)
        message.replace_header("Content-Type", "text/plain") if "Content-Type" in message else None
        return message


def _properties(message: Message, content: _Content) -> dict[str, Any]:
    """Graph's properties; `from` and `sender` are left out where nobody is named, as Graph does."""
    origin = headers.author(message, ("from", "sender", "return-path"))
    sender = headers.author(message, ("sender",)) or origin
    html, text = content.html, content.text or ""
    people = {"from": origin, "sender": sender}
    return {
        "subject": headers.first(message, "subject")[:255],
        "bodyPreview": preview(text if html is None else html_to_text(html)),
        "importance": headers.importance(message),
        "hasAttachments": content.attachments,
        "internetMessageId": headers.first(message, "message-id")[:998] or None,
        "body": {"contentType": "text" if html is None else "html", "content": text if html is None else html},
        **{name: person for name, person in people.items() if person},
        "toRecipients": headers.recipients(message, "to"),
        "ccRecipients": headers.recipients(message, "cc"),
        "bccRecipients": [],
        "replyTo": headers.recipients(message, "reply-to"),
        "internetMessageHeaders": headers.listed(message),
    }


def _walk(part: Message, content: _Content, depth: int) -> None:
    """Finds body and attachments. The first readable body counts, later texts are attachments (ATT00001.txt)."""
    kind = part.get_content_type()
    children = part.get_payload() if part.is_multipart() else None
    if kind == "message/rfc822" or depth > _MAX_DEPTH or not isinstance(children, list):
        _leaf(part, kind, content)
    elif kind == "multipart/alternative":
        _alternatives(children, content, depth)
    elif kind == "multipart/related":
        _related(part, children, content, depth)
    else:
        for child in children:
            if isinstance(child, Message):
                _walk(child, content, depth + 1)


def _alternatives(children: list[Any], content: _Content, depth: int) -> None:
    """The richest form that can be shown; no form is an attachment but what is marked as one."""
    if content.has_body:
        content.attachments = True
        return
    for child in children:
        branch = _Content()
        _walk(child, branch, depth + 1)
        content.html = branch.html if branch.html is not None else content.html
        content.text = branch.text if branch.text is not None else content.text
        marked = child.is_multipart() or child.get_content_disposition() == "attachment"
        content.attachments |= branch.attachments and marked


def _related(part: Message, children: list[Any], content: _Content, depth: int) -> None:
    """The root is the body, everything it refers to is inline."""
    start = str(part.get_param("start") or "")
    root = next((child for child in children if start and child.get("Content-ID") == start), children[0])
    _walk(root, content, depth + 1)
    others = [child for child in children if child is not root]
    content.attachments |= any(child.get_content_disposition() == "attachment" for child in others)


def _leaf(part: Message, kind: str, content: _Content) -> None:
    disposition = _disposition(part)
    named = part.get_filename() is not None
    wanted = kind in {"text/plain", "text/html", "text/enriched"} or (kind.startswith("multipart/") and not named)
    if disposition == "attachment" or not wanted or content.has_body:
        inline = disposition == "inline" and part.get("Content-ID") is not None
        content.attachments |= not inline
        return
    data = _payload(part)
    charset = _charset(part)
    if kind == "text/html":
        content.html = crlf(decode_html(data, charset))
    else:
        content.text = crlf(decode(data, charset))


def _disposition(part: Message) -> str:
    return (part.get_content_disposition() or "").strip().lower()


def _payload(part: Message) -> bytes:
    """The bytes of a leaf; what its transfer encoding cannot mean is taken as it stands."""
    data = part.get_payload(decode=True)
    if isinstance(data, bytes):
        return data
    return str(part.get_payload()).encode("utf-8", "surrogateescape")


def _charset(part: Message) -> str:
    try:
        charset = part.get_param("charset", "")
    except (ValueError, LookupError):
        return ""
    text = charset[2] if isinstance(charset, tuple) else charset
    return clean(str(text or "")).partition("'")[0]
