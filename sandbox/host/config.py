"""What `host.json` and `local.settings.json` say, read as the Functions host reads them.

Reference: https://learn.microsoft.com/azure/azure-functions/functions-host-json and
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#hostjson-settings
"""

import json
import logging
import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.host.telemetry import LEVELS, LogLevels

_log = logging.getLogger("host")
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,7}))?")
_BODY_LIMIT = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"


class HostError(Exception):
    """The host cannot run this app; the message says what to change."""


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """`extensions.queues`. Times in seconds; the defaults are the extension's own."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    visibility_timeout: float = 0
    max_dequeue_count: int = 5
    max_polling_interval: float = 60
    base64: bool = True


@dataclass(frozen=True, slots=True)
class HostOptions:
    """All that the host obeys. `function_timeout` in seconds, None for no limit; `body_limit` in bytes."""

    route_prefix: str = "api"
    function_timeout: float | None = 1800
    queues: QueueOptions = field(default_factory=QueueOptions)
    body_limit: int = 104_857_600
    log_levels: LogLevels = field(default_factory=lambda: LogLevels({}))


def seconds(text: str) -> float:
    """A .NET time span such as `00:00:30` or `1.00:00:00` in seconds. Raises HostError for anything else."""
    match = _TIME_SPAN.fullmatch(text)
    if not match:
        raise HostError(f"host.json: {text!r} is not a time span; write hours:minutes:seconds, such as 00:00:30")
    days, hours, minutes, whole = (int(part or 0) for part in match.groups()[:4])
    return days * 86_400 + hours * 3600 + minutes * 60 + whole + float(f"0.{match[5] or 0}")


def load_options(directory: Path, environ: Mapping[str, str] = os.environ) -> HostOptions:
    """Reads `host.json` of an app. Raises HostError where it is missing or wrong."""
    try:
        document = json.loads((directory / "host.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise HostError(f"{directory} has no host.json, so it is not a function app") from error
    except ValueError as error:
        raise HostError(f"host.json is not JSON: {error}") from error
    if document.get("version") != "2.0":
        raise HostError('host.json: "version" has to be "2.0"')
    extensions = document.get("extensions", {})
    timeout = document.get("functionTimeout", "00:30:00")
    return HostOptions(
        route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
        function_timeout=None if timeout == "-1" else seconds(timeout),
        queues=_queue_options(extensions.get("queues", {})),
        body_limit=_body_limit(environ.get(_BODY_LIMIT)),
        log_levels=_log_levels(document.get("logging", {}).get("logLevel", {})),
    )


def _body_limit(text: str | None) -> int:
    """Bytes. Azure's host passes a value over that is no number, and with it the limit; here it is an error.

    https://learn.microsoft.com/azure/azure-functions/functions-app-settings#functions_request_body_size_limit
    """
    if text is None:
        return HostOptions().body_limit
    if not text.isdecimal() or not text.isascii():
        raise HostError(f"{_BODY_LIMIT} is {text!r}; it takes a number of bytes, such as 1048576")
    return int(text)


def _log_levels(section: Mapping[str, Any]) -> LogLevels:
    if unknown := [level for level in section.values() if level not in LEVELS]:
        raise HostError(f"host.json: logging.logLevel has {unknown[0]!r}; a level is one of {', '.join(LEVELS)}")
    return LogLevels(section)


def _queue_options(section: Mapping[str, Any]) -> QueueOptions:
    batch_size = int(section.get("batchSize", 16))
    if not 1 <= batch_size <= 32:
        raise HostError("host.json: extensions.queues.batchSize goes from 1 to 32")
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=int(section.get("newBatchThreshold", batch_size // 2)),
        visibility_timeout=seconds(section.get("visibilityTimeout", "00:00:00")),
        max_dequeue_count=int(section.get("maxDequeueCount", 5)),
        max_polling_interval=seconds(section.get("maxPollingInterval", "00:01:00")),
        base64=section.get("messageEncoding", "base64") == "base64",
    )


def load_local_settings(directory: Path, environ: MutableMapping[str, str] = os.environ) -> None:
    """Puts `Values` of local.settings.json into the environment; what is set there already stays."""
    path = directory / "local.settings.json"
    if not path.exists():
        return
    try:
        values = json.loads(path.read_text(encoding="utf-8")).get("Values", {})
    except ValueError as error:
        raise HostError(f"{path.name} is not JSON: {error}") from error
    for name, value in values.items():
        if name in environ:
            _log.info("%s is set in the environment, so local.settings.json is passed over for it", name)
        else:
            environ[name] = str(value)


def resolve(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Replaces each `%NAME%` of a binding by the app setting of that name, as the host does."""

    def setting(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise HostError(f"%{match[1]}% in a binding names a setting that is not there")
        return environ[match[1]]

    return re.sub(r"%([^%]+)%", setting, text)
