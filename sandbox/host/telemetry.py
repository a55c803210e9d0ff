"""What the Functions host passes on to Application Insights, and what it loses on the way.

A line that the worker logs carries the id of the invocation it was logged in. The host looks that invocation up among
those under way, and drops a line that it finds none for: one from a thread that did not inherit the invocation's
context, or one that comes after the end. Of the rest `host.json` decides by category and level, and Application
Insights trims messages.

https://github.com/Azure/azure-functions-host, GrpcWorkerChannel.Log
https://github.com/Azure/azure-functions-python-worker, workers/proxy_worker/dispatcher.py, on_logging
https://learn.microsoft.com/azure/azure-functions/configure-monitoring#configure-log-levels
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

LEVELS = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")
"""Levels of .NET, in their order."""

LONGEST_MESSAGE = 32_768
"""Characters of a message that Application Insights keeps."""

_OF_THE_HOST = ("host", "azure.functions", "azure_functions_runtime", "uvicorn")
_SEVERITY = {"Trace": 0, "Debug": 0, "Information": 1, "Warning": 2, "Error": 3, "Critical": 4}


class LogLevels:
    """`logging.logLevel` of host.json: of the entries that a category begins with, the longest decides."""

    def __init__(self, levels: Mapping[str, str]) -> None:
        self._levels = {name.lower(): LEVELS.index(level) for name, level in levels.items() if name != "default"}
        self._default = LEVELS.index(levels.get("default", "Information"))

    def let_through(self, category: str, level: str) -> bool:
        """Whether a line of that category and level is kept."""
        matching = [name for name in self._levels if category.lower().startswith(name)]
        threshold = self._levels[max(matching, key=len)] if matching else self._default
        return LEVELS.index(level) >= threshold


class Telemetry:
    """The tables `traces`, `requests` and `exceptions`, one JSON line a row, each naming its table."""

    def __init__(self, levels: LogLevels, path: Path | None = None) -> None:
        self._levels = levels
        self._path = path
        self._file: TextIO | None = None
        self._under_way: dict[str, str] = {}

    def begin(self, invocation_id: str, function: str) -> None:
        """An invocation begins: lines that carry its id are of `function` from now on."""
        self._under_way[invocation_id] = function

    def end(self, invocation_id: str, milliseconds: float, failure: str | None) -> None:
        """It ends. `failure`: what was raised, None where nothing was."""
        function = self._under_way.pop(invocation_id)
        place = {"operation_Name": function, "operation_Id": invocation_id}
        if failure is not None:
            self._write("exceptions", severityLevel=3, outerMessage=failure, **place)
        if self._levels.let_through("Host.Results", "Information" if failure is None else "Error"):
            self._write("requests", name=function, duration=milliseconds, success=failure is None, **place)

    def keep(self, record: logging.LogRecord, text: str, invocation_id: str | None) -> str | None:
        """Writes a line of the worker; returns it as it is kept, None where it is dropped."""
        function = self._under_way.get(invocation_id or "")
        level = _level(record.levelno)
        message = text.strip()[:LONGEST_MESSAGE]
        if function is None or not message or not self._levels.let_through(f"Function.{function}.User", level):
            return None
        self._write(
            "traces",
            message=message,
            severityLevel=_SEVERITY[level],
            operation_Name=function,
            operation_Id=invocation_id,
        )
        return message

    def _write(self, table: str, **columns: object) -> None:
        if self._path is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
        row = {"table": table, "timestamp": datetime.now(UTC).isoformat(), "itemCount": 1, **columns}
        self._file.write(json.dumps(row) + "\n")


class WorkerLines(logging.Filter):
    """Lets a handler show the host's own lines, and of the worker's those that are kept."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__()
        self._telemetry = telemetry
        self._plain = logging.Formatter("%(message)s")

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        """False drops the line; a record replaces it."""
        if record.name.startswith(_OF_THE_HOST):
            return True
        from azure_functions_runtime import invocation_id_cv

        message = self._telemetry.keep(record, self._plain.format(record), invocation_id_cv.get())
        if message is None:
            return False
        return logging.makeLogRecord(record.__dict__ | {"msg": message, "args": (), "exc_info": None, "exc_text": None})


def _level(number: int) -> str:
    """The host's name for a level of Python's."""
    if number >= logging.CRITICAL:
        return "Critical"
    if number >= logging.ERROR:
        return "Error"
    if number >= logging.WARNING:
        return "Warning"
    return "Information" if number >= logging.INFO else "Debug"
