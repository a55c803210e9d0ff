"""HTTP answers of `requests` that end in time and are never redirects to follow: a slow peer holds nobody.

The timeout that `requests` takes is between two bytes, of headers and body alike, so that one byte in time keeps an
answer going for ever. Here the whole of it, from the status line on, has PATIENCE times as long.

Imports `requests`, which is heavy: this module is imported where a session is made.
"""

import http.client
import io
import socket
import time
from typing import Any

import requests.adapters
import urllib3.connection
import urllib3.connectionpool

PATIENCE = 4
"""The time of a whole answer, as a multiple of the longest wait between two of its bytes."""


class Session(requests.Session):
    """A session for which a redirect is an answer like any other.

    `requests` itself, told not to follow one, still reads its body to the end, whatever size it has, and takes its
    Location apart, which may raise what nobody expects.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the name is given
        """None: no answer leads anywhere."""
        return None


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Mounted on a session, it gives each answer a deadline; one that is over it ends as a read timeout does."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Makes the pools of connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Makes the pools of connections by way of a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Bytes(io.RawIOBase):
    """What a socket receives, until the deadline; after it, TimeoutError."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._between = wire.gettimeout()
        self._deadline = time.monotonic() + PATIENCE * (self._between or 0)
        self._received = wire.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._between is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer takes too long")
            self._wire.settimeout(min(self._between, left))
        return self._received.readinto(buffer)

    def close(self) -> None:
        self._received.close()
        super().close()


class _Wire:
    """As much of a socket as `http.client` wants for an answer."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Bytes(self._wire))


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Wire(sock), *args, **kwargs)  # type: ignore[arg-type]


class _HttpConnection(urllib3.connection.HTTPConnection):
    response_class = _Answer


class _HttpsConnection(urllib3.connection.HTTPSConnection):
    response_class = _Answer


class _HttpPool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}
