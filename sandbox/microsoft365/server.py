"""Serves a world: Entra, Graph, Key Vault and the control API, each on its own HTTPS port of the loopback.

One process and one event loop, so that a request sees the world as the one before left it.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.microsoft365 import control, entra, graph, key_vault
from sandbox.microsoft365.world import Addresses, World


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports to listen on; 0 takes a free one."""

    entra: int = 0
    graph: int = 0
    key_vault: int = 0
    control: int = 0


class _ByPort:
    """Sends a request to the app of the port it came in by."""

    def __init__(self, apps: dict[int, ASGIApp]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps[scope["server"][1]](scope, receive, send)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def _prepare(
    world: World, certificate: Path, key: Path, ports: Ports, on_ready: Callable[[Addresses], None]
) -> tuple[_Server, list[socket.socket]]:
    """Binds the ports, tells the world its addresses, and builds the server."""
    sockets = [socket.create_server(("127.0.0.1", port)) for port in astuple(ports)]
    numbers = [listener.getsockname()[1] for listener in sockets]
    entra_url, graph_url, vault_url, control_url = (f"https://localhost:{number}" for number in numbers)
    world.addresses = Addresses(entra_url, f"{graph_url}/v1.0", vault_url, control_url)
    apps = (entra.app(world), graph.app(world), key_vault.app(world), control.app(world))
    config = uvicorn.Config(
        _ByPort(dict(zip(numbers, apps, strict=True))),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
    )
    return _Server(config, lambda: on_ready(world.addresses)), sockets


def serve(world: World, *, certificate: Path, key: Path, ports: Ports, on_ready: Callable[[Addresses], None]) -> None:
    """Serves until SIGTERM or SIGINT. `on_ready` is called once every port answers."""
    server, sockets = _prepare(world, certificate, key, ports, on_ready)
    server.run(sockets)


@contextmanager
def running(world: World, *, certificate: Path, key: Path) -> Iterator[Addresses]:
    """Serves from a thread, on free ports, while the context lasts: for tests."""
    ready = threading.Event()
    server, sockets = _prepare(world, certificate, key, Ports(), lambda _: ready.set())
    thread = threading.Thread(target=server.run, args=(sockets,), name="microsoft365")
    thread.start()
    try:
        if not ready.wait(timeout=30):
            raise RuntimeError("the stand-in did not start")
        yield world.addresses
    finally:
        server.should_exit = True
        thread.join(timeout=30)
