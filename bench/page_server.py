"""`python -m bench.page_server`: answers Graph's reading operations with bytes that were made beforehand.

The mailbox of a kind, such as `1000-bare-100ms`, is at `/1000-bare-100ms/v1.0`; `bench/pages.py` says what kinds are.
"""

import argparse
import asyncio
import re
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bench import corpus
from bench.pages import Kind, Mailbox

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PREFER = re.compile(rb"\r\nprefer: *([^\r]*)", re.IGNORECASE)


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
        """Answers each request that has come whole, when its time has come."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, body = self._received[:end], end + 4
            length = _LENGTH.search(head)
            end = body + (int(length[1]) if length else 0)
            if len(self._received) < end:
                return
            content, self._received = self._received[body:end], self._received[end:]
            self._answer(head, content)

    def _answer(self, head: bytes, content: bytes) -> None:
        parts = urlsplit(head.split(b" ", 2)[1].decode())
        kind, _, path = parts.path.removeprefix("/").partition("/v1.0")
        mailbox = self._mailboxes[kind]
        preferred = _PREFER.search(head)
        answer = mailbox.answer(path, parts.query, preferred[1].decode() if preferred else "", content)
        delay = mailbox.kind.milliseconds / 1000
        if delay:
            asyncio.get_running_loop().call_later(delay, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve(certificate: Path, key: Path, ready_file: Path, kinds: Sequence[Kind]) -> None:
    """Serves until the process ends; the ready file holds the origin."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    origin = f"https://localhost:{listener.getsockname()[1]}"
    first = corpus.newest()
    mailboxes = {str(kind): Mailbox(origin, kind, first) for kind in kinds}
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
    parser.add_argument(
        "--kinds", type=Kind.read, nargs="+", required=True, help="of the mailboxes, as 1000-bare-100ms"
    )
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.certificate, arguments.key, arguments.ready_file, arguments.kinds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
