"""The hand-tuned script: aiohttp, orjson, transactions made by hand, all of it overlapped; the program's very rows.

It knows beforehand whether delta brings the headers. Where it does not, it reads list pages, three at once, beside a
delta of ids for the link to go on from: four requests at once, as Graph allows.
"""

import asyncio
import json
import os
import re
import ssl
import sys
import time
import uuid
from urllib.parse import quote

import aiohttp
import orjson
from rows import SELECT, encoded, rows
from yarl import URL

_MESSAGES = 50
_AT_ONCE = 4
_COUNT = re.compile(rb'"@odata.count":(\d+)')
_LINK = re.compile(rb'"@odata.(next|delta)Link":"([^"]+)"')


class Script:
    """One reading."""

    def __init__(self, session: aiohttp.ClientSession, *, bare: bool) -> None:
        self._session = session
        self._bare = bare
        self._graph = f"{os.environ['GRAPH_ENDPOINT']}/me/mailFolders/inbox/messages"
        self._table = os.environ["TABLES"]
        account = self._table.rpartition("/")[0]
        self._batch = URL(f"{account}/$batch?{os.environ['SIGNATURE']}", encoded=True)
        self._writing: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.messages = 0

    async def run(self) -> str:
        """Reads and writes everything; returns the delta link."""
        if self._bare:
            link, _ = await asyncio.gather(self._delta("id", whole=False), self._lists())
        else:
            link = await self._delta(SELECT, whole=True)
        await asyncio.gather(*self._writing)
        return link

    async def _delta(self, select: str, *, whole: bool) -> str:
        kind, link = "next", f"{self._graph}/delta?$select={select}"
        while kind == "next":
            raw = await self._get(link)
            match = _LINK.search(raw, 0, 2_000)
            assert match
            kind, link = match[1].decode(), match[2].decode()
            if whole:
                self._store(raw)
        return link

    async def _lists(self) -> None:
        counted = _COUNT.search(await self._get(f"{self._graph}?$select=id&$top=1&$count=true"))
        assert counted
        starts = iter(range(0, int(counted[1]), 100))

        async def read() -> None:
            for start in starts:
                order = "$orderby=receivedDateTime%20desc"
                self._store(await self._get(f"{self._graph}?$select={SELECT}&{order}&$top=100&$skip={start}"))

        await asyncio.gather(*(read() for _ in range(_AT_ONCE - 1)))

    async def _get(self, url: str) -> bytes:
        headers = {"Prefer": 'odata.maxpagesize=100, IdType="ImmutableId"', "Authorization": "Bearer token"}
        async with self._session.get(URL(url, encoded=True), headers=headers) as answer:
            answer.raise_for_status()
            return await answer.read()

    def _store(self, raw: bytes) -> None:
        """Sends the page's transactions on their way, while the next page is fetched."""
        messages = orjson.loads(raw)["value"]
        self.messages += len(messages)
        for start in range(0, len(messages), _MESSAGES):
            body, content_type = self._transaction(messages[start : start + _MESSAGES])
            task = asyncio.create_task(self._write(body, content_type))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    def _transaction(self, messages: list[dict[str, object]]) -> tuple[bytes, str]:
        batch, changes = f"batch_{uuid.uuid4()}", f"changeset_{uuid.uuid4()}"
        parts = [f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changes}\r\n\r\n".encode()]
        for message in messages:
            for row in rows(message):
                content = encoded(row)
                key = f"(PartitionKey='{row['PartitionKey']}',RowKey='{quote(row['RowKey'])}')"
                head = (
                    f"--{changes}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
                    f"PUT {self._table}{key} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\n"
                    f"DataServiceVersion: 3.0\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(content)}\r\n\r\n"
                )
                parts += [head.encode(), content, b"\r\n"]
        parts.append(f"--{changes}--\r\n--{batch}--\r\n".encode())
        return b"".join(parts), f"multipart/mixed; boundary={batch}"

    async def _write(self, body: bytes, content_type: str) -> None:
        headers = {"Content-Type": content_type, "x-ms-version": "2019-02-02", "DataServiceVersion": "3.0"}
        async with self._slots, self._session.post(self._batch, data=body, headers=headers) as answer:
            text = await answer.read()
            if answer.status != 202 or text.count(b"HTTP/1.1 204") != text.count(b"HTTP/1.1 "):
                raise RuntimeError(f"the transaction failed: {answer.status} {text[:2000]!r}")


async def main() -> None:
    """Prints what it took."""
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        script = Script(session, bare="bare" in sys.argv)
        started, processor = time.perf_counter(), time.process_time()
        await script.run()
        seconds, cpu = time.perf_counter() - started, time.process_time() - processor
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "messages": script.messages}))


asyncio.run(main())
