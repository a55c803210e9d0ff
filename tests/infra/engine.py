"""Runs Kusto queries over rows, by DuckDB. What its translation does not know is an error, so nothing passes unread."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import duckdb_kql

from infra.queries import tables

_TYPES = {
    "datetime": "TIMESTAMP",
    "string": "VARCHAR",
    "int": "INTEGER",
    "real": "DOUBLE",
    "bool": "BOOLEAN",
    "dynamic": "VARCHAR",
}
_WINDOW = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


def window(text: str) -> timedelta:
    """An alert's window, such as PT15M."""
    days, hours, minutes = (int(part or 0) for part in _WINDOW.fullmatch(text).groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def _columns(table: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+): (\w+)", tables()[table]))


def _time(table: str) -> str:
    return next(iter(_columns(table)))


class Logs:
    """The declared tables with rows that are some time old; rows are dicts by column, a missing one is null."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict]] = {table: [] for table in tables()}

    def add(self, table: str, rows: Iterable[Mapping], age: timedelta = timedelta(0)) -> None:
        at = datetime.now(UTC).replace(tzinfo=None) - age
        for row in rows:
            assert row.keys() <= _columns(table).keys() | {"table"}, row
            values = {name: row.get(name) for name in _columns(table)} | {_time(table): at}
            if isinstance(values.get("success"), bool):
                values["success"] = str(values["success"])
            self._rows[table].append(values)

    def ask(self, query: str, seen: timedelta = timedelta(days=30)) -> list[tuple]:
        """The rows that a query gives of what came within the window."""
        since = datetime.now(UTC).replace(tzinfo=None) - seen
        with duckdb_kql.connect() as connection:
            for table, rows in self._rows.items():
                columns = _columns(table)
                declared = ", ".join(f'"{name}" {_TYPES[kind]}' for name, kind in columns.items())
                connection.execute(f'CREATE TABLE "{table}" ({declared})')
                marks = ", ".join("?" * len(columns))
                visible = [list(row.values()) for row in rows if row[_time(table)] > since]
                if visible:
                    connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', visible)  # noqa: S608 - names of our own
            return duckdb_kql.query(connection, query).fetchall()


def read_rows(lines: Iterable[str]) -> dict[str, list[dict]]:
    """What the sandbox's host kept, by table; times are left to whoever adds the rows."""
    found: dict[str, list[dict]] = {}
    for row in map(json.loads, lines):
        found.setdefault(row["table"], []).append({key: value for key, value in row.items() if key != "timestamp"})
    return found
