"""`python -m bench.page_server`: answers Graph's reading operations with bytes that were made beforehand.

A mailbox of n messages is at `/<n>/v1.0`. It serves whoever asks, with no checks at all: its time must not count.
"""

import argparse
import asyncio
import json
import re
import socket
import ssl
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench import corpus

PAGE = 100
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ENDS = (datetime.now(UTC) + timedelta(days=6)).isoformat()
_BEFORE = re.compile(r"receivedDateTime lt (\S+?)(?:&|$)")


class Mailbox:
    """The pages of one mailbox, as they go over the wire."""

    def __init__(self, origin: str, size: int, first: datetime) -> None:
        self._root = f"{origin}/{size}/v1.0"
        self._size = size
        self._times = [corpus.received_at(number, first) for number in range(size)]
        self._messages = [json.dumps(corpus.message(number, first)).encode() for number in range(size)]
        self._answers: dict[str, bytes] = {}

    def answer(self, path: str, query: str) -> bytes:
        """The whole response; `path` is below the root."""
        known = self._answers.get(f"{path}?{query}")
        if known is None:
            known = _response(self._body(path, unquote(query)))
            self._answers[f"{path}?{query}"] = known
        return known

    def prepare(self) -> None:
        """Makes every page of the enumeration now."""
        for page in range(0, self._size, PAGE):
            self.answer("/me/mailFolders/inbox/messages/delta", f"$skiptoken={page}")

    def _body(self, path: str, query: str) -> bytes:
        if path == "/subscriptions":
            return b'{"id":"subscription","expirationDateTime":"%s"}' % _ENDS.encode()
        if not path.endswith(("/messages", "/delta")):
            return b'{"id":"AQMkAGInbox="}'
        if "$count=true" in query:
            return b'{"@odata.count":%d,"value":[]}' % self._size
        if path.endswith("/delta"):
            return self._delta(query)
        return self._history(query)

    def _delta(self, query: str) -> bytes:
        if "$deltatoken" in query:
            return self._page(self._size, self._size, "deltaLink", "$deltatoken=end")
        start = int(query.partition("$skiptoken=")[2] or 0)
        end = min(start + PAGE, self._size)
        if end == self._size:
            return self._page(start, end, "deltaLink", "$deltatoken=end")
        return self._page(start, end, "nextLink", f"$skiptoken={end}")

    def _history(self, query: str) -> bytes:
        match = _BEFORE.search(query)
        before = datetime.fromisoformat(match[1]) if match else None
        start = next((n for n, time in enumerate(self._times) if before is None or time < before), self._size)
        end = min(start + PAGE, self._size)
        return self._page(start, end, "nextLink" if end < self._size else "", f"$skip={end}")

    def _page(self, start: int, end: int, link: str, query: str) -> bytes:
        name = f'"@odata.{link}":"{self._root}/me/mailFolders/inbox/messages/delta?{query}",' if link else ""
        return b'{%s"value":[%s]}' % (name.encode(), b",".join(self._messages[start:end]))


class Connection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, mailboxes: dict[str, Mailbox]) -> None:
        self._mailboxes = mailboxes
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each request that has come whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            end += 4 + (int(length[1]) if length else 0)
            if len(self._received) < end:
                return
            self._received = self._received[end:]
            parts = urlsplit(head.split(b" ", 2)[1].decode())
            size, _, path = parts.path.removeprefix("/").partition("/v1.0")
            self._transport.write(self._mailboxes[size].answer(path, parts.query))


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def serve(certificate: Path, key: Path, ready_file: Path, sizes: Sequence[int]) -> None:
    """Serves until the process ends; the ready file holds the origin."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    origin = f"https://localhost:{listener.getsockname()[1]}"
    first = corpus.newest()
    mailboxes = {str(size): Mailbox(origin, size, first) for size in sizes}
    for mailbox in mailboxes.values():
        mailbox.prepare()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(mailboxes), sock=listener, ssl=context)
    draft = ready_file.with_suffix(".part")
    draft.write_text(origin, encoding="utf-8")
    draft.replace(ready_file)
    await server.serve_forever()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.page_server", description="Graph's pages, made beforehand.")
    for name in ("certificate", "key", "ready-file"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", required=True, help="messages in each mailbox")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.certificate, arguments.key, arguments.ready_file, arguments.sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
