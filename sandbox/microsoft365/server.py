"""Serves a world: Entra, Graph, Key Vault and the control API, each on its own HTTPS port of the loopback.

One process and one event loop, so that a request sees the world as the one before left it.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.control import app as control
from sandbox.entra import app as entra
from sandbox.graph import app as graph
from sandbox.key_vault import app as key_vault
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

    def __init__(self, ports: list[int], trust: ssl.SSLContext) -> None:
        self._ports = ports
        self._trust = trust
        self._apps: dict[int, ASGIApp] = {}
        self._world: World | None = None

    def show(self, world: World) -> Addresses:
        """Serves this world from now on, tells it its addresses and whom to trust."""
        if self._world:
            self._world.push.close_from_outside()
        self._world = world
        world.push.trust = self._trust
        entra_url, graph_url, vault_url, control_url = (f"https://localhost:{port}" for port in self._ports)
        world.addresses = Addresses(entra_url, f"{graph_url}/v1.0", vault_url, control_url)
        apps = (entra.app(world), graph.app(world), key_vault.app(world), control.app(world))
        self._apps = dict(zip(self._ports, apps, strict=True))
        return world.addresses

    async def close(self) -> None:
        """Ends what the world does of its own accord."""
        if self._world:
            await self._world.push.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps[scope["server"][1]](scope, receive, send)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, by_port: _ByPort, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._by_port = by_port
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._by_port.close()
        # A polite TLS close waits for the other side, and a client that keeps its connection pool never answers.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


def _listen(port: int) -> socket.socket:
    """A listening socket on the loopback.

    Without TCP_NODELAY, which accepted connections inherit, each answer waits 40 ms for a delayed acknowledgement:
    asyncio sets it only on sockets whose protocol number is given.
    """
    listener = socket.create_server(("127.0.0.1", port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _prepare(
    certificate: Path, key: Path, ca: Path, ports: Ports, on_ready: Callable[[], None]
) -> tuple[_ByPort, _Server, list[socket.socket]]:
    """Binds the ports and builds the server."""
    sockets = [_listen(port) for port in astuple(ports)]
    trust = ssl.create_default_context(cafile=ca)
    by_port = _ByPort([listener.getsockname()[1] for listener in sockets], trust)
    config = uvicorn.Config(
        by_port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
    )
    return by_port, _Server(config, by_port, on_ready), sockets


def serve(
    world: World, *, certificate: Path, key: Path, ca: Path, ports: Ports, on_ready: Callable[[Addresses], None]
) -> None:
    """Serves until SIGTERM or SIGINT. `on_ready` is called once every port answers.

    `ca`: the authority of the app's certificate, which notifications are sent to.
    """
    by_port, server, sockets = _prepare(certificate, key, ca, ports, lambda: on_ready(world.addresses))
    by_port.show(world)
    server.run(sockets)


@contextmanager
def running(*, certificate: Path, key: Path, ca: Path) -> Iterator[Callable[[World], Addresses]]:
    """Serves from a thread, on free ports, while the context lasts: for tests.

    Yields the function that puts a world on these ports, in place of the one before.
    """
    ready = threading.Event()
    by_port, server, sockets = _prepare(certificate, key, ca, Ports(), ready.set)
    thread = threading.Thread(target=server.run, args=(sockets,), name="microsoft365")
    thread.start()
    try:
        if not ready.wait(timeout=30):
            raise RuntimeError("the stand-in did not start")
        yield by_port.show
    finally:
        server.should_exit = True
        thread.join(timeout=30)
