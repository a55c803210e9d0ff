"""The table `messages` as data: texts that do not fit into one property or one row.

Pure functions; `messages.py` does the remote calls. Limits are those of Table Storage:
https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mailsync.adapters.storage.message_columns import Value
from mailsync.sync.row_keys import digest

PROPERTY_UNITS = 32_000
"""UTF-16 units of one text property; Azure's limit is 32,768."""

ROW_BYTES = 1_000_000
"""Size of one row as Azure counts it; Azure's limit is 1 MiB."""

_MOST_OF_A_NAME = 600
"""Bytes that a property takes besides its value, at the most: a name has 255 characters."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTINUATION = re.compile(r"(.*\D)([1-9]\d*)")


def blob_name(mailbox_id: str, message_id: str, column: str) -> str:
    """The blob, in the container `message-bodies`, of a text that exceeds its row."""
    return f"{mailbox_id}/{digest(message_id)}-{column}.txt"


@dataclass(frozen=True, slots=True)
class Row:
    """A message as it is stored: properties of the row, and texts that go to blobs, by blob name."""

    properties: dict[str, Value]
    blobs: dict[str, str]


def split(columns: Mapping[str, Value], mailbox_id: str, message_id: str) -> Row:
    """Columns as properties.

    A long text goes on in <name>1, <name>2 …; where the row would be too large, its largest texts go to blobs
    of their own, and <name>Blob holds the blob's name.

    Column names must not end in a digit. Lone surrogates, which UTF-8 cannot carry, become U+FFFD.
    """
    values: dict[str, Value] = {}
    most = longest = 0
    for name, value in columns.items():
        if isinstance(value, str):
            values[name] = value if value.isascii() else _clean(value)
            longest = max(longest, len(value))
            most += 4 * len(value)  # a character takes two units of two bytes at the most
        else:
            values[name] = value
    if longest <= PROPERTY_UNITS // 2 and most + _MOST_OF_A_NAME * len(values) <= ROW_BYTES:
        return Row(values, {})  # so small that nothing need be measured
    blobs = _put_aside(values, mailbox_id, message_id)
    properties: dict[str, Value] = {}
    for name, value in values.items():
        if isinstance(value, str):
            properties |= _numbered(name, value)
        else:
            properties[name] = value
    return Row(properties, blobs)


def _put_aside(values: dict[str, Value], mailbox_id: str, message_id: str) -> dict[str, str]:
    """Takes the largest texts out of a row that is too large, until it fits; what was taken out, by blob name."""
    blobs: dict[str, str] = {}
    size = _row_size(values, mailbox_id)
    while size > ROW_BYTES:
        name = max((n for n, v in values.items() if isinstance(v, str)), key=lambda n: _size(n, values[n]))
        text = values.pop(name)
        blob = blob_name(mailbox_id, message_id, name)
        if not isinstance(text, str) or len(text) <= len(blob):
            raise ValueError("a row of this many columns cannot be stored")
        values[f"{name}Blob"] = blob
        blobs[blob] = text
        size += _size(f"{name}Blob", blob) - _size(name, text)
    return blobs


def join(properties: Mapping[str, Value], read_blob: Callable[[str], str | None]) -> dict[str, Value]:
    """The columns of a row: what `split` was given.

    `read_blob` fetches a blob's text by its name; where it gives None, the column is missing.
    """
    columns: dict[str, Value] = {}
    for name, value in properties.items():
        if _is_continuation(name, properties):
            continue
        if name.endswith("Blob") and isinstance(value, str):
            if (text := read_blob(value)) is not None:
                columns[name.removesuffix("Blob")] = text
        elif isinstance(value, str):
            columns[name] = value + "".join(_continuations(name, properties))
        else:
            columns[name] = value
    return columns


def _is_continuation(name: str, properties: Mapping[str, Value]) -> bool:
    match = _CONTINUATION.fullmatch(name)
    return match is not None and match[1] in properties


def _continuations(name: str, properties: Mapping[str, Value]) -> Iterator[str]:
    number = 1
    while isinstance(part := properties.get(f"{name}{number}"), str):
        yield part
        number += 1


def _clean(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _numbered(name: str, text: str) -> dict[str, Value]:
    """The text under `name`, and what is too long for it under numbered names."""
    parts = _parts(text)
    return {f"{name}{number or ''}": part for number, part in enumerate(parts)}


def _parts(text: str) -> list[str]:
    if _units(text) <= PROPERTY_UNITS:
        return [text]
    encoded = text.encode("utf-16-le")
    parts, start = [], 0
    while start < len(encoded):
        end = start + 2 * PROPERTY_UNITS
        # A unit of D800 to DBFF is the first half of a pair, which must not be torn.
        if end < len(encoded) and 0xD8 <= encoded[end - 1] <= 0xDB:
            end -= 2
        parts.append(encoded[start:end].decode("utf-16-le"))
        start = end
    return parts


def _units(text: str) -> int:
    """The length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _row_size(values: Mapping[str, Value], mailbox_id: str) -> int:
    """What a row takes as Azure counts it: the row itself, its keys, the timestamp, and each property."""
    fixed = 4 + 2 * (len(mailbox_id) + 49) + _size("Timestamp", _EPOCH)
    return fixed + sum(_size(name, value) for name, value in values.items())


def _size(name: str, value: Value) -> int:
    """What a property takes as Azure counts it; a split text counts once for each of its parts."""
    if not isinstance(value, str):
        return 8 + 2 * len(name) + 8
    units = _units(value)
    return (units // (PROPERTY_UNITS - 1) + 1) * (12 + 2 * (len(name) + 3)) + 2 * units
