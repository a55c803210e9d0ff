"""Rows of a table: as plain data, which stores and `tables.py` pass to one another, and as the service's JSON.

https://learn.microsoft.com/rest/api/storageservices/payload-format-for-table-service-operations
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec

type Properties = dict[str, Any]
"""A row: `PartitionKey`, `RowKey`, and properties of type str, bool, int or aware UTC datetime."""

MOST_CHANGES = 100
"""Changes in one transaction, at the most."""

_TYPE = "@odata.type"
_encoder = msgspec.json.Encoder()


class Entity(NamedTuple):
    """A row as it was read."""

    properties: Properties
    etag: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a transaction. `create` and `upsert` take no ETag; `replace` needs one; the others may have one.

    `merge` sets the properties that it names, of a row that is there.
    """

    kind: Literal["create", "replace", "upsert", "merge", "delete"]
    row: Mapping[str, Any]
    etag: str | None = None


def text(value: str) -> str:
    """A string literal of a filter."""
    return "'" + value.replace("'", "''") + "'"


def path(table: str, partition: str, row: str) -> str:
    """Where a row is, below the service's address."""
    return f"{table}(PartitionKey='{_quoted(partition)}',RowKey='{_quoted(row)}')"


def encode(row: Mapping[str, Any]) -> bytes:
    """The row as JSON in ASCII. Texts, flags and numbers of 32 bits need no type beside them.

    In ASCII because no part of a transaction says its charset, and a service that guessed another would spoil texts:
    https://github.com/Azure/azure-sdk-for-node/issues/851
    """
    properties: dict[str, Any] = {}
    is_ascii = True
    for name, value in row.items():
        if isinstance(value, datetime):
            properties[f"{name}{_TYPE}"] = "Edm.DateTime"
            properties[name] = value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        else:
            properties[name] = value
            is_ascii = is_ascii and (not isinstance(value, str) or value.isascii())
    # msgspec is several times faster, but has no escapes for what is not ASCII.
    return _encoder.encode(properties) if is_ascii else json.dumps(properties, separators=(",", ":")).encode()


def decode(row: Mapping[str, Any]) -> Entity:
    """A row of the service's JSON. Its metadata and its timestamp are left out. Raises ValueError, KeyError."""
    properties: Properties = {}
    for name, value in row.items():
        if name.startswith("odata.") or name.endswith(_TYPE) or name == "Timestamp":
            continue
        kind = row.get(f"{name}{_TYPE}") if isinstance(value, str) else None
        if kind == "Edm.DateTime":
            properties[name] = datetime.fromisoformat(value)
        else:
            properties[name] = int(value) if kind == "Edm.Int64" else value
    return Entity(properties, row["odata.etag"])


def _quoted(key: str) -> str:
    return quote(key.replace("'", "''"), safe="")
