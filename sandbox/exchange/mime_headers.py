"""The header of an RFC 822 message, repaired where mail systems break it, as Graph properties show it."""

import email.errors
import email.header
import email.utils
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesHeaderParser

from sandbox.exchange.mime_text import clean, decode

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_PART = re.compile(rb"^(--[^\r\n]+\r?\n)(Content-[A-Za-z-]+:[^\n]*\n(?:[^\r\n]+\r?\n)*)", re.IGNORECASE | re.MULTILINE)
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?]*\?=")
_FOLD = re.compile(r"[\r\n]+[ \t]*")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
_PREFIX = re.compile(r"^\s*((re|fwd?|aw|wg|sv|vs|tr|rif|odp|antw)(\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_ZONE_NAMES = re.compile(r"\s*\(.*$")
_STANDARD = frozenset(
    b"from sender to cc bcc subject date message-id reply-to received return-path mime-version content-type "
    b"content-transfer-encoding delivered-to in-reply-to references x-original-to envelope-to x-mailer".split()
)


@dataclass(frozen=True, slots=True)
class Thread:
    """What places a message in a conversation: ids it refers to, Outlook's thread index, its topic."""

    references: tuple[str, ...]
    index: str
    topic: str


def find_start(raw: bytes) -> int | None:
    """Where the header begins: junk before it is passed over. None where there is none."""
    offset = 0
    for line in raw[:65536].splitlines(keepends=True)[:20]:
        if _FIELD.match(line) and any(map(_is_standard, _block(raw, offset))):
            return offset
        offset += len(line)
    return None


def _is_standard(line: bytes) -> bool:
    found = _FIELD.match(line)
    return found is not None and found[1].lower() in _STANDARD


def _block(raw: bytes, offset: int) -> Iterator[bytes]:
    """The lines from `offset` to the first blank one."""
    for line in raw[offset : offset + 262_144].splitlines():
        if not line.strip():
            return
        yield line


def repair(raw: bytes) -> bytes:
    """Makes headers readable, the message's and its parts': no space before a colon, lost indents restored."""
    lines = _LINE.findall(raw)
    end = next((i for i, line in enumerate(lines) if not line.strip()), len(lines))
    body = b"".join(lines[end:])
    return _refolded(lines[:end]) + _PART.sub(lambda part: part[1] + _refolded(_LINE.findall(part[2])), body)


def _refolded(lines: list[bytes]) -> bytes:
    """The lines of one header. Where a line is no part of it, the body has begun without a blank line before it."""
    last = max((i for i, line in enumerate(lines) if _is_standard(line)), default=0)
    fixed = []
    for i, line in enumerate(lines):
        if line[:1] in b" \t" or _FIELD.match(line):
            fixed.append(re.sub(rb"^([!-9;-~]+)[ \t]+:", rb"\1:", line))
        elif i < last or lines[i - 1].rstrip().endswith((b";", b":")):
            fixed.append(b" " + line)
        else:
            return b"".join([*fixed, b"\n", *lines[i:]])
    return b"".join(fixed)


def header_only(raw: bytes) -> Message:
    """The header with everything after it as one text: for what is nested too deep to parse."""
    return BytesHeaderParser().parsebytes(raw)


def unfolded(value: str) -> str:
    """One line, valid Unicode, encoded words as they are; raw 8-bit text decoded by its looks."""
    if any("\udc80" <= char <= "\udcff" for char in value):
        value = decode(value.encode("utf-8", "surrogateescape"))
    return clean(_FOLD.sub(" ", value).strip())


def decoded(value: str) -> str:
    """As `unfolded`, encoded words (RFC 2047) decoded; what is malformed stays as it is."""
    text = unfolded(value)
    if "=?" not in text:
        return text
    return clean(_ENCODED_RUN.sub(lambda run: _decode_run(run[0]), text))


_ENCODED_RUN = re.compile(rf"{_ENCODED_WORD.pattern}(?:\s*{_ENCODED_WORD.pattern})*")


def _decode_run(run: str) -> str:
    """Adjacent encoded words together, since many a mailer cuts a character in two between them."""
    try:
        parts = email.header.decode_header(run)
    except (email.errors.HeaderParseError, ValueError):
        return run
    return "".join(p if isinstance(p, str) else decode(p, (charset or "").partition("*")[0]) for p, charset in parts)


def listed(message: Message) -> list[dict[str, str]]:
    """`internetMessageHeaders`: every field in order, unfolded and decoded."""
    return [{"name": clean(name), "value": decoded(str(value))} for name, value in message.raw_items()]


def all_of(message: Message, name: str) -> list[str]:
    """The raw values of a field, in order."""
    return [str(value) for key, value in message.raw_items() if key.lower() == name]


def first(message: Message, name: str) -> str:
    """The decoded first value of a field, "" where it is missing."""
    values = all_of(message, name)
    return decoded(values[0]) if values else ""


Recipient = dict[str, dict[str, str]]


def recipients(message: Message, name: str) -> list[Recipient]:
    """The addresses of a field as Graph's recipients; empty groups such as undisclosed-recipients give none."""
    values = [unfolded(value) for value in all_of(message, name)]
    found: list[Recipient] = []
    for value in values:
        for raw_name, raw_address in _addresses(value):
            name, address = decoded(raw_name).strip("\"' \t"), decoded(raw_address).strip("<> \t")
            if address:
                found.append({"emailAddress": {"name": name or address, "address": address}})
            elif name:  # `MAILER-DAEMON <>`: somebody without an address
                found.append({"emailAddress": {"name": name}})
    return found


def _addresses(value: str) -> list[tuple[str, str]]:
    try:
        return email.utils.getaddresses([value], strict=False)
    except (IndexError, ValueError, RecursionError):  # the parser's own limits on malformed or nested comments
        return [("", address) for address in re.findall(r"[^\s<>,;:\"()]+@[^\s<>,;:\"()]+", value)]


def author(message: Message, names: Iterable[str]) -> Recipient | None:
    """The first of these fields that names anybody; an entry with an @ goes before one without."""
    for name in names:
        if people := recipients(message, name):
            return next((person for person in people if "@" in person["emailAddress"].get("address", "")), people[0])
    return None


def sent_at(message: Message) -> datetime | None:
    """The `Date` field, aware UTC, whole seconds; None where it is missing or cannot be meant."""
    for value in all_of(message, "date"):
        text = unfolded(value)
        for candidate in (text, _ZONE_NAMES.sub("", text), text.replace(".", ":")):
            if when := _parse_date(candidate):
                return when
    return None


def _parse_date(text: str) -> datetime | None:
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            return None
    try:
        when = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    except (OverflowError, ValueError):
        return None
    return when if when.year >= 1601 else None  # Exchange keeps FILETIMEs, which begin there


def importance(message: Message) -> str:
    """`low`, `normal` or `high`, by whichever field says it."""
    words = {"high": "high", "urgent": "high", "low": "low", "non-urgent": "low"}
    for name in ("importance", "x-msmail-priority", "x-priority", "priority"):
        value = first(message, name).lower()
        if value.split(" ")[0] in words:
            return words[value.split(" ")[0]]
        if name == "x-priority" and value[:1] in {"1", "2", "4", "5"}:
            return "high" if value[0] in "12" else "low"
    return "normal"


def thread(message: Message) -> Thread:
    """What places the message in a conversation."""
    fields = " ".join(unfolded(v) for name in ("references", "in-reply-to") for v in all_of(message, name))
    references = tuple(dict.fromkeys(_MESSAGE_ID.findall(fields)))
    index = re.sub(r"\s", "", first(message, "thread-index"))[:28]  # 22 bytes name the thread, the rest the reply
    topic = first(message, "thread-topic") or first(message, "subject")
    return Thread(references, index, _PREFIX.sub("", topic).strip().casefold())
