"""NCRONTAB: six fields (second, minute, hour, day, month, day of week), in UTC.

Reference: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions.
A day has to satisfy both the day-of-month and the day-of-week field, as in the NCrontab library.
"""

import re
from datetime import UTC, datetime, timedelta

from sandbox.host.config import HostError

_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_HORIZON_DAYS = 366 * 8


class Schedule:
    """The times that an expression names. A five-field expression runs at second 0, as in the host."""

    def __init__(self, expression: str) -> None:
        """Raises HostError where the expression is not valid."""
        fields = expression.split()
        if len(fields) == 5:
            fields.insert(0, "0")
        if len(fields) != 6:
            raise HostError(f"{expression!r} is not an NCRONTAB expression: it takes six fields")
        try:
            parsed = [_values(text, index) for index, text in enumerate(fields)]
        except ValueError as error:
            raise HostError(f"{expression!r} is not an NCRONTAB expression: {error}") from error
        self._seconds, self._minutes, self._hours, self._days, self._months, self._weekdays = parsed

    def next_after(self, moment: datetime) -> datetime:
        """The first time later than `moment`. Raises HostError where none comes within eight years."""
        start = (moment.astimezone(UTC) + timedelta(seconds=1)).replace(microsecond=0)
        for offset in range(_HORIZON_DAYS):
            day = (start + timedelta(days=offset)).date()
            if day.month in self._months and day.day in self._days and day.isoweekday() % 7 in self._weekdays:
                floor = (start.hour, start.minute, start.second) if offset == 0 else (0, 0, 0)
                if found := self._first_from(floor):
                    return datetime(day.year, day.month, day.day, *found, tzinfo=UTC)
        raise HostError("a timer's schedule names no time in the next eight years")

    def _first_from(self, floor: tuple[int, int, int]) -> tuple[int, int, int] | None:
        times = (
            (hour, minute, second)
            for hour in self._hours
            if hour >= floor[0]
            for minute in self._minutes
            if (hour, minute) >= floor[:2]
            for second in self._seconds
            if (hour, minute, second) >= floor
        )
        return next(times, None)


def _values(text: str, index: int) -> tuple[int, ...]:
    low, high = _RANGES[index]
    chosen: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise ValueError(f"{part!r} is not understood")
        first, last, step = match.groups()
        begin = low if first is None else _number(first, index)
        end = high if first is None or (step and not last) else _number(last or first, index)
        if not low <= begin <= end <= high:
            raise ValueError(f"{part!r} is outside {low}-{high}")
        chosen.update(range(begin, end + 1, max(1, int(step or 1))))
    return tuple(sorted(chosen))


def _number(text: str, index: int) -> int:
    if text.isdecimal():
        return int(text)
    names = {4: _MONTHS, 5: _DAYS}.get(index, ())
    return names.index(text[:3].lower()) + (1 if index == 4 else 0)
