"""Rows of a table as plain data: what stores and `tables.py` pass to one another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

type Properties = dict[str, Any]
"""A row: `PartitionKey`, `RowKey`, and properties of type str, bool, int or aware UTC datetime."""

MOST_CHANGES = 100
"""Changes in one transaction."""


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
