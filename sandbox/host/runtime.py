"""The function app inside Microsoft's own Python runtime: indexing, and one invocation at a time.

The runtime takes its messages as protobuf classes that the host injects. Nothing crosses a wire here, so
plain objects with the same names do.
"""

import asyncio
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sandbox.host.config import HostError, resolve
from sandbox.host.telemetry import LogLevels, Telemetry

_log = logging.getLogger("host")
_TRIGGERS = {"httpTrigger", "timerTrigger", "queueTrigger"}


class FunctionTimeout(Exception):
    """An invocation ran longer than `functionTimeout`."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the app. `trigger` is its trigger's binding, in the words of function.json."""

    name: str
    id: str
    trigger: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The trigger's type, such as `queueTrigger`."""
        return str(self.trigger["type"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an invocation ended. `value` is the runtime's Datum of what was returned, where something was."""

    ok: bool
    value: Any = field(default=None, repr=False)


class _Bag(SimpleNamespace):
    """A protobuf message, as far as the runtime can tell."""


class _StatusResult(_Bag):
    Failure = 0
    Success = 1


class _BindingInfo(_Bag):
    out = 1
    inout = 2
    undefined = None


setattr(_BindingInfo, "in", 0)  # a keyword of Python, so it cannot be written above

_PROTOS = SimpleNamespace(
    WorkerInitResponse=_Bag,
    WorkerMetadata=_Bag,
    StatusResult=_StatusResult,
    BindingInfo=_BindingInfo,
    RpcFunctionMetadata=_Bag,
    RpcRetryOptions=_Bag,
    RpcException=_Bag,
)


class Runtime:
    """The worker: holds the app's functions and runs them, sync ones in the runtime's thread pool.

    `under_way` holds the invocations that have not ended. `timed_out` is set once one ran over: its thread cannot be
    stopped, so the worker has to be replaced, as the host does.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        time_limit: float | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.functions = tuple(functions)
        self._time_limit = time_limit
        self._telemetry = telemetry or Telemetry(LogLevels({}))
        self.under_way: set[asyncio.Task[Outcome]] = set()
        self.timed_out = asyncio.Event()

    @classmethod
    async def load(
        cls, directory: Path, time_limit: float | None = None, telemetry: Telemetry | None = None
    ) -> "Runtime":
        """Imports and indexes the app in `directory`. Raises HostError with what the runtime objects to."""
        import azure_functions_runtime
        from azure_functions_runtime import handle_event

        os.chdir(directory)
        sys.path.insert(0, str(directory))
        azure_functions_runtime.start_threadpool_executor()
        init = _Bag(capabilities={}, function_app_directory=str(directory))
        request = _Bag(request=_Bag(worker_init_request=init), properties={"host": "127.0.0.1", "protos": _PROTOS})
        answer = await azure_functions_runtime.worker_init_request(request)
        if answer.result.status != _StatusResult.Success:
            problem = answer.result.exception
            raise HostError(f"the app cannot be indexed: {problem.message}\n{problem.stack_trace}")
        functions = [_function(entry) for entry in handle_event._metadata_result or ()]  # noqa: SLF001 - its only door
        if not functions:
            raise HostError(f"no functions found in {directory}; function_app.py has to be there and register some")
        return cls(functions, time_limit, telemetry)

    def find(self, name: str) -> Function | None:
        """A function by its name, in any case, as the admin endpoint looks it up."""
        return next((entry for entry in self.functions if entry.name.lower() == name.lower()), None)

    async def invoke(self, function: Function, value: object, metadata: Mapping[str, object] | None = None) -> Outcome:
        """Runs a function on the Datum of its trigger and logs one line. Raises FunctionTimeout.

        Whoever waits for it may be cancelled; the invocation itself goes on.
        """
        call = asyncio.create_task(self._run(function, value, metadata or {}))
        self.under_way.add(call)
        call.add_done_callback(self.under_way.discard)
        try:
            return await asyncio.wait_for(asyncio.shield(call), self._time_limit)
        except TimeoutError as error:
            _log.error("function=%s ran longer than functionTimeout", function.name)
            self.timed_out.set()
            raise FunctionTimeout(function.name) from error

    async def _run(self, function: Function, value: object, metadata: Mapping[str, object]) -> Outcome:
        from azure_functions_runtime.bindings.datumdef import Datum
        from azure_functions_runtime.native_invocation import invocation_request_native

        invocation_id = str(uuid.uuid4())
        fields = {name: Datum(json.dumps(item), "json") for name, item in metadata.items()}
        started = time.monotonic()
        self._telemetry.begin(invocation_id, function.name)
        ok, returned, _, failure, _ = await invocation_request_native(
            invocation_id, function.id, [(function.trigger["name"], value)], fields
        )
        duration = (time.monotonic() - started) * 1000
        self._telemetry.end(invocation_id, duration, None if ok else str(failure))
        _log.log(
            logging.INFO if ok else logging.ERROR,
            "executed function=%s invocation=%s duration_ms=%d outcome=%s",
            function.name,
            invocation_id,
            duration,
            "succeeded" if ok else "failed",
        )
        return Outcome(ok, returned)


def _function(entry: Any) -> Function:
    bindings = [json.loads(raw) for raw in entry.raw_bindings]
    triggers = [binding for binding in bindings if binding["type"] in _TRIGGERS]
    others = [binding["type"] for binding in bindings if binding not in triggers and binding["type"] != "http"]
    if len(triggers) != 1 or others:
        raise HostError(
            f"function {entry.name}: this host runs HTTP, timer and queue triggers without further bindings;"
            f" found {[binding['type'] for binding in bindings]}"
        )
    trigger = {key: resolve(value) if isinstance(value, str) else value for key, value in triggers[0].items()}
    return Function(entry.name, entry.function_id, trigger)
