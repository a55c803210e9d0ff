"""Reads rows by their keys in as few calls as there can be: what lies close together by one query over its range.

A query by range costs what it brings, wanted or not. So a range that brings few wanted rows is given up, and those that
are still missing are read by point reads, one call each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from mailsync.adapters.storage.entities import Entity, text
from mailsync.adapters.storage.tables import Table

FEW = 3
"""Keys that are read one by one, at the most."""
_SPARE = 50
"""Rows that one call for a range may bring, beside two for each wanted one."""
_POOR = 8
"""Rows for one wanted row at which a range is given up."""
_PARTS = 4
"""Ranges that the keys of one request are parted into, at the most."""

Each = Callable[[Callable[[Iterable[str]], list[Entity]], list[list[str]]], list[list[Entity]]]
"""Does work for each item, perhaps side by side."""


def read_rows(
    table: Table, partition: str, keys: Iterable[str], names: list[str] | None, each: Each
) -> Iterator[Entity]:
    """The rows of these keys that are there; `names`: the only properties wanted. Raises what the table raises.

    Message keys are expected: `m`, the time as 15 digits, and what tells those of one time apart.
    """

    def read(part: Iterable[str]) -> list[Entity]:
        keys = list(part)
        if len(keys) > 1:
            return list(_by_range(table, partition, keys, names, one_by_one))
        found = table.get(partition, keys[0], names)
        return [found] if found else []

    def one_by_one(keys: Sequence[str]) -> Iterator[Entity]:
        for found in each(read, [[key] for key in keys]):
            yield from found

    singles: list[list[str]] = []
    ranges: list[list[str]] = []
    for part in parted(sorted(set(keys))):
        if len(part) > FEW:
            ranges.append(part)
        else:
            singles += [[key] for key in part]
    for part in ranges:
        yield from read(part)
    for found in each(read, singles):
        yield from found


def parted(keys: list[str]) -> list[list[str]]:
    """Keys in order, parted between two neighbours that are more than half of the whole time apart."""
    parts = [keys] if keys else []
    while len(parts) < _PARTS:
        cuts = [(place, cut) for place, part in enumerate(parts) if (cut := _widest(part))]
        if not cuts:
            break
        place, cut = cuts[0]
        parts[place : place + 1] = [parts[place][:cut], parts[place][cut:]]
    return parts


def _widest(keys: Sequence[str]) -> int:
    """The place behind the gap that is more than half of the whole time; 0 where there is none, or few keys."""
    if len(keys) <= FEW:
        return 0
    times = [int(key[1:16]) for key in keys]
    gap, place = max((times[place] - times[place - 1], place) for place in range(1, len(times)))
    return place if 2 * gap > times[-1] - times[0] else 0


def _by_range(
    table: Table,
    partition: str,
    keys: list[str],
    names: list[str] | None,
    one_by_one: Callable[[Sequence[str]], Iterable[Entity]],
) -> Iterator[Entity]:
    """Reads on from wanted key to wanted key, until the range is at its end or given up."""
    while len(keys) > FEW:
        condition = f"PartitionKey eq {text(partition)} and RowKey ge {text(keys[0])} and RowKey le {text(keys[-1])}"
        rows, more = table.first_page(condition, names, 2 * len(keys) + _SPARE)
        wanted = set(keys)
        found = [row for row in rows if row.properties["RowKey"] in wanted]
        yield from found
        if not more:
            return
        last = rows[-1].properties["RowKey"] if rows else ""
        keys = [key for key in keys if key > last]
        if len(found) * _POOR < len(rows) or not rows:
            break
    yield from one_by_one(keys)
