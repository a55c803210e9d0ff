"""`python -m bench.load`: posts to an address at a steady rate and prints how long the answers took.

Each POST has its time, whatever became of those before it; its latency counts from that time, so that a server that
falls behind cannot hide it.
"""

import argparse
import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from bench.measure import percentile

_WARM_CONNECTIONS = 8
_LONGEST_IDLE = 2.0
"""Seconds; the server closes a connection that has been idle for longer than it likes."""

type _Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Load:
    """Connections to one address, kept alive, as many as are needed at once."""

    def __init__(self, url: str, ca_file: str) -> None:
        self._parts = urlsplit(url)
        self._context = ssl.create_default_context(cafile=ca_file)
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.statuses: Counter[int] = Counter()

    async def open(self) -> None:
        """One more idle connection."""
        host, port = self._parts.hostname or "", self._parts.port
        reader, writer = await asyncio.open_connection(host, port, ssl=self._context)
        self._idle.append((time.perf_counter(), reader, writer))

    async def run(self, bodies: list[bytes], rate: float, seconds: float) -> list[float]:
        """Latencies in milliseconds."""
        requests = [self._request(body) for body in bodies]
        count = int(rate * seconds)
        begin = time.perf_counter() + 0.1
        tasks = []
        for number in range(count):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._post(requests[number % len(requests)], due)))
        return list(await asyncio.gather(*tasks))

    async def _post(self, request: bytes, due: float) -> float:
        reader, writer = await self._connection()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        await reader.readexactly(length)
        taken = (time.perf_counter() - due) * 1000
        self.statuses[int(head.split(b" ", 2)[1])] += 1
        self._idle.append((time.perf_counter(), reader, writer))
        return taken

    async def _connection(self) -> _Connection:
        """An idle connection that the server has not closed, or a new one."""
        now = time.perf_counter()
        while True:
            if not self._idle:
                await self.open()
            since, reader, writer = self._idle.pop()
            if now - since < _LONGEST_IDLE and not reader.at_eof():
                return reader, writer
            writer.close()

    def _request(self, body: bytes) -> bytes:
        head = f"POST {self._parts.path} HTTP/1.1\r\nHost: {self._parts.netloc}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _measure(options: argparse.Namespace) -> dict[str, float]:
    bodies = [text.encode() for text in json.loads(options.bodies.read_text(encoding="utf-8"))]
    load = Load(options.url, options.ca_file)
    for _ in range(_WARM_CONNECTIONS):
        await load.open()
    latencies = await load.run(bodies, options.rate, options.seconds)
    percentiles = {f"p{share}": percentile(latencies, share / 100) for share in (50, 90, 99)}
    return {"posts": len(latencies), "refused": len(latencies) - load.statuses[202], **percentiles}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="POSTs at a steady rate.")
    parser.add_argument("url")
    parser.add_argument("ca_file")
    parser.add_argument("bodies", type=Path, help="JSON: a list of bodies, sent in turn")
    parser.add_argument("--rate", type=float, default=200, help="POSTs a second")
    parser.add_argument("--seconds", type=float, default=10)
    print(json.dumps(asyncio.run(_measure(parser.parse_args()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
