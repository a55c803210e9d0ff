"""`python -m sandbox host`: puts listener, clock and queues around the runtime and runs until told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from sandbox.host.config import HostError, HostOptions, load_local_settings, load_options
from sandbox.host.connections import queue_service
from sandbox.host.http import create_application
from sandbox.host.keys import load_keys
from sandbox.host.queues import QueueListener
from sandbox.host.runtime import Function, Runtime
from sandbox.host.telemetry import Telemetry, WorkerLines
from sandbox.host.timers import ScheduleMonitor, Timer, utc_now

_log = logging.getLogger("host")
_DRAIN_SECONDS = 10
_WHERE = ("route", "schedule", "queueName")
_VISIBILITY = "SANDBOX_QUEUE_VISIBILITY_SECONDS"


@dataclass(frozen=True, slots=True)
class Arguments:
    """How to run the host. `home` keeps its keys and timer state; TLS where `certificate` is given.

    `descriptor`: an inherited socket that listens already, in place of `port`.
    """

    directory: Path
    home: Path
    port: int
    certificate: Path | None = None
    key: Path | None = None
    descriptor: int | None = None


def run(arguments: Arguments) -> int:
    """Runs the host until SIGINT or SIGTERM; returns the process's exit code."""
    _configure_logging()
    started_in = Path.cwd()  # the app moves to its own directory
    try:
        restart = asyncio.run(_Host(arguments).serve())
    except HostError as error:
        _log.critical("%s", error)
        return 1
    if restart:
        _log.error("the worker is replaced after a function timeout")
        os.chdir(started_in)
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - the same program again
    return 0


class _Server(uvicorn.Server):
    """Uvicorn without its signal handling: the host stops its parts in an order of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A polite TLS close waits for the other side, and a client that keeps its connection pool never answers.
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is None or cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)


class _Host:
    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._fire: dict[str, Callable[[str], Awaitable[None]]] = {}
        self._queues: list[QueueListener] = []
        self._parts: list[Coroutine[Any, Any, None]] = []

    async def serve(self) -> bool:
        """Returns whether the process should be started anew."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(24, thread_name_prefix="host"))
        load_local_settings(self._arguments.directory)
        options = load_options(self._arguments.directory)
        telemetry = Telemetry(options.log_levels, self._arguments.home / "logs/telemetry.jsonl")
        for handler in logging.getLogger().handlers:
            handler.addFilter(WorkerLines(telemetry))
        runtime = await Runtime.load(self._arguments.directory, options.function_timeout, telemetry)
        for function in runtime.functions:
            self._add(runtime, function, options)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        server = self._server(runtime, options)
        listener = _listener(self._arguments)
        tasks = [asyncio.create_task(part) for part in (server.serve([listener]), *self._parts)]
        events = [asyncio.create_task(event.wait()) for event in (stop, runtime.timed_out)]
        self._announce(runtime, listener.getsockname()[1])
        done, _ = await asyncio.wait([*tasks, *events], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        for task in [*tasks[1:], *events]:
            task.cancel()
        await asyncio.gather(*tasks, *events, return_exceptions=True)
        if not runtime.timed_out.is_set():
            await self._drain(runtime)
            for task in done:
                task.result()
        return runtime.timed_out.is_set()

    def _add(self, runtime: Runtime, function: Function, options: HostOptions) -> None:
        if function.kind == "timerTrigger":
            timer = Timer(runtime, function, ScheduleMonitor(self._arguments.home / "timers.json"), utc_now)
            self._fire[function.name] = lambda _text: timer.fire()
            self._parts.append(timer.run())
        elif function.kind == "queueTrigger":
            service = queue_service(str(function.trigger.get("connection") or ""))
            visibility = int(os.environ.get(_VISIBILITY, "600"))
            queue = QueueListener(runtime, function, service, options.queues, visibility)
            self._queues.append(queue)
            self._fire[function.name] = queue.run_now
            self._parts.append(queue.run())

    def _server(self, runtime: Runtime, options: HostOptions) -> _Server:
        async def fire(function: Function, text: str) -> None:
            await self._fire[function.name](text)

        keys = load_keys(self._arguments.home / "keys.json")
        config = uvicorn.Config(
            create_application(runtime, keys, options, fire),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            ssl_certfile=self._arguments.certificate,
            ssl_keyfile=self._arguments.key,
        )
        return _Server(config)

    async def _drain(self, runtime: Runtime) -> None:
        """Lets what is under way end. What does not is left behind as a crash would leave it."""
        messages = [task for queue in self._queues for task in queue.tasks]
        under_way: list[asyncio.Task[Any]] = [*runtime.under_way, *messages]
        if under_way and (await asyncio.wait(under_way, timeout=_DRAIN_SECONDS))[1]:
            _log.warning("invocations that did not end in %d s are cut off", _DRAIN_SECONDS)
            logging.shutdown()
            os._exit(0)

    def _announce(self, runtime: Runtime, port: int) -> None:
        scheme = "https" if self._arguments.certificate else "http"
        _log.info("listening on %s://localhost:%d", scheme, port)
        for function in runtime.functions:
            details = {
                key: function.trigger[key] for key in ("route", "schedule", "queueName") if key in function.trigger
            }
            _log.info("function %s: %s %s", function.name, function.kind, " ".join(map(str, details.values())))


def _listener(arguments: Arguments) -> socket.socket:
    if arguments.descriptor is not None:
        # A copy, because the server closes what it is given, and a worker that is replaced needs the original.
        return socket.socket(fileno=os.dup(arguments.descriptor))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", arguments.port))
        listener.listen(1024)
    except OSError as error:
        raise HostError(f"port {arguments.port} is in use; choose another with --port") from error
    return listener


def _configure_logging() -> None:
    """The worker lets everything from INFO on through, so the same lines show here as in the cloud."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("uvicorn", "azure.functions"):
        logging.getLogger(name).setLevel(logging.WARNING)
