"""A server on loopback that gives its answer byte by byte: what no timeout between two bytes ever ends."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

PAUSE = 0.01
"""Seconds between two bytes."""
BYTES = 150
"""After so many the answer is whole, so that a client without a limit is seen to wait for it instead of hanging."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def slow_headers(body: bytes = b"{}") -> tuple[bytes, bytes, bytes]:
    """What comes at once, what trickles, and what comes at once after that."""
    return HEAD, b"X-Slow: " + b"x" * BYTES, b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def slow_body(body: bytes = b"{}") -> tuple[bytes, bytes, bytes]:
    """As `slow_headers`, with blanks before the body."""
    return HEAD + b"Content-Length: %d\r\n\r\n" % (BYTES + len(body)), b" " * BYTES, body


@contextlib.contextmanager
def trickling(answer: tuple[bytes, bytes, bytes], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serves the answer to every request; yields the address."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, answer, context, over))
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://localhost:{listener.getsockname()[1]}"
        finally:
            over.set()
            with contextlib.suppress(OSError):  # wakes the thread that accepts
                socket.create_connection(listener.getsockname()).close()
            thread.join(20)


def _accept(listener, answer, context, over) -> None:
    threads = []
    while not over.is_set():
        wire, _ = listener.accept()
        threads.append(threading.Thread(target=_serve, args=(wire, answer, context, over)))
        threads[-1].start()
    for thread in threads:
        thread.join(20)


def _serve(wire, answer, context, over) -> None:
    at_once, slowly, rest = answer
    with contextlib.suppress(OSError), wire:
        wire.settimeout(5)
        with context.wrap_socket(wire, server_side=True) if context else wire as secured:
            request = b""
            while b"\r\n\r\n" not in request:
                request += secured.recv(4096)
                if not request:
                    return
            secured.sendall(at_once)
            for place in range(len(slowly)):
                secured.sendall(slowly[place : place + 1])
                if over.wait(PAUSE):
                    return
            secured.sendall(rest)
