"""The timer clock: runs each timer function when its schedule says so, one invocation at a time.

Reference: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer
"""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.host.runtime import Function, Runtime
from sandbox.host.schedule import Schedule

_log = logging.getLogger("host")


class ScheduleMonitor:
    """When each monitored timer ran last and is due next; a file stands in for the host's blob."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, name: str) -> dict[str, str] | None:
        """`Last`, `Next` and `LastUpdated` of a timer, or None where it never ran."""
        status = self._read().get(name)
        return dict(status) if status else None

    def save(self, name: str, last: datetime, upcoming: datetime) -> dict[str, str]:
        """Notes one run; returns the status as the host would hand it to the function."""
        status = {"Last": _iso(last), "Next": _iso(upcoming), "LastUpdated": _iso(last)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({**self._read(), name: status}), encoding="utf-8")
        draft.replace(self._path)
        return status

    def _read(self) -> dict[str, dict[str, str]]:
        if not self._path.exists():
            return {}
        content: dict[str, dict[str, str]] = json.loads(self._path.read_text(encoding="utf-8"))
        return content


class Timer:
    """One timer function. `now` gives aware UTC datetimes."""

    def __init__(
        self, runtime: Runtime, function: Function, monitor: ScheduleMonitor, now: Callable[[], datetime]
    ) -> None:
        self._runtime = runtime
        self._function = function
        self._now = now
        self.schedule = Schedule(str(function.trigger["schedule"]))
        wanted = function.trigger.get("useMonitor")
        self._monitor = monitor if wanted in (None, True) and self._minutely() else None
        self._running = asyncio.Lock()
        self._status: dict[str, str] | None = self._monitor.load(function.name) if self._monitor else None

    def starts_at_once(self) -> tuple[bool, bool]:
        """Whether to run at host start, and whether that run is past due."""
        past_due = bool(self._status) and datetime.fromisoformat((self._status or {})["Next"]) < self._now()
        return past_due or self._function.trigger.get("runOnStartup") is True, past_due

    async def run(self) -> None:
        """Runs the function for ever at its times; a time that passes during an invocation is not made up for."""
        at_once, past_due = self.starts_at_once()
        if at_once:
            await self.fire(past_due=past_due)
        while True:
            upcoming = self.schedule.next_after(self._now())
            await asyncio.sleep(max(0.0, (upcoming - self._now()).total_seconds()))
            await self.fire()

    async def fire(self, *, past_due: bool = False) -> None:
        """Runs the function now, after a run that is still under way."""
        async with self._running:
            moment = self._now()
            await self._runtime.invoke(self._function, self._datum(past_due))
            upcoming = self.schedule.next_after(self._now())
            if self._monitor:
                self._status = self._monitor.save(self._function.name, moment, upcoming)

    def _datum(self, past_due: bool) -> Any:
        from azure_functions_runtime.bindings.datumdef import Datum

        info = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": self._status, "IsPastDue": past_due}
        return Datum(json.dumps(info), "json")

    def _minutely(self) -> bool:
        """The host monitors no timer that runs more often than once a minute."""
        first = self.schedule.next_after(self._now())
        return (self.schedule.next_after(first) - first).total_seconds() >= 60


def utc_now() -> datetime:
    """The present."""
    return datetime.now(UTC)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
