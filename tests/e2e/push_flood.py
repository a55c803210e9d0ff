"""`python -m tests.e2e.push_flood`: forged notifications at a rate, and what they cost.

First they come alone: no message may be queued, and neither table nor vault be called, but for the poll timer's
own look at its schedule. Then genuine notifications come between them, and each must be acknowledged within the
three seconds that Graph waits. Exit code 0 only then. Everything stays on this machine's loopback.
"""

import argparse
import asyncio
import base64
import json
import os
import re
import secrets
import ssl
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e import push

DEADLINE = 3
CONNECTIONS = 32
_REQUEST = re.compile(r'"(\w+) /devstoreaccount1/([\w-]+)([^ ]*) HTTP')


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.push_flood", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="that each part lasts (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=2000, help="forged notifications a second (default: %(default)s)")
    parser.add_argument("--items", type=int, default=10, help="in each POST, as Graph batches them")
    parser.add_argument("--genuine", type=int, default=10, help="genuine POSTs a second, each of another mailbox")
    options = parser.parse_args()
    with push.sandbox(log_storage=True, POLL_INTERVAL_SECONDS="3600") as (_, product):
        return asyncio.run(Flood(product, options).run())


class Flood:
    """The two parts, and what is seen of them."""

    def __init__(self, product, options):
        self._product = product
        self._options = options
        self._log = Path(os.environ["SANDBOX_HOME"]) / "logs/azurite.log"
        # The program queues a message a second for a mailbox, and gathers what is more.
        self._addresses = [f"owner{number}@flood.example" for number in range(options.genuine)]
        self._wrong = []

    async def run(self):
        ids = push.connect(self._product, self._addresses)
        # News of a message that is there already: one of a new one would be looked for again and again.
        self._genuine = [push.genuine(self._product, identity, changeType="updated") for identity in ids.values()]
        async with self._poster(1) as poster:
            await poster.post_all([self._body(self._genuine[:1])], 1, 1)  # the key is in memory from here on
        push.settle(self._product)
        await self._alone()
        await self._with_genuine()
        for problem in self._wrong:
            print(f"  {problem}")
        return 1 if self._wrong else 0

    def _poster(self, connections):
        return Poster(self._product.state, "/graph/notifications", connections)

    async def _alone(self):
        before = self._log.stat().st_size
        with push.counted(self._product, "vault-outage") as vault_calls:
            answers = await self._forge()
            met = vault_calls()
        calls = self._storage_calls(before)
        messages = calls["POST", "queue"]
        tables = sum(number for (_, what), number in calls.items() if what == "table")
        self._show("forged alone", answers)
        print(f"  {messages} messages queued, {tables} table calls, {met} vault calls; storage saw {dict(calls)}")
        if messages or tables or met:
            self._wrong.append("forged notifications cost calls")

    async def _with_genuine(self):
        before = self._log.stat().st_size
        flood = asyncio.create_task(self._forge())
        async with self._poster(4) as poster:
            bodies = [self._body([item]) for item in self._genuine]
            answers = await poster.post_all(bodies, self._options.genuine, self._options.seconds)
        self._show("forged between genuine", await flood)
        self._show("genuine", answers)
        messages = self._storage_calls(before)["POST", "queue"]
        print(f"  {messages} messages queued")
        if messages < len(answers):
            self._wrong.append(f"{len(answers)} genuine POSTs, and {messages} messages were queued")
        refused = [status for status, _ in answers if status != 202]
        late = [seconds for _, seconds in answers if seconds > DEADLINE]
        if refused or late:
            self._wrong.append(f"of the genuine ones {len(refused)} were refused and {len(late)} acknowledged too late")

    async def _forge(self):
        """(status, seconds) of each POST."""
        items = self._options.items
        bodies = [self._body([self._forged(number + offset) for offset in range(items)]) for number in range(200)]
        async with self._poster(CONNECTIONS) as poster:
            return await poster.post_all(bodies, self._options.rate / items, self._options.seconds)

    def _forged(self, number):
        """One of the ways to be wrong, all as near to the genuine item as somebody might come."""
        item = self._genuine[0]
        key_id, owner, nonce, signature = item["clientState"].split(".")
        forged = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        return (
            item | {"clientState": f"{key_id}.{owner}.{nonce}.{forged}"},
            item | {"clientState": f"{secrets.token_hex(4)}.{owner}.{nonce}.{signature}"},
            item | {"tenantId": "99999999-9999-4999-8999-999999999999"},
            item | {"clientState": secrets.token_urlsafe(90)[:128]},
            item | {"clientState": None},
        )[number % 5]

    def _storage_calls(self, since):
        """How often (method, queue, table or other) was called, but for the timer's look and the host's own."""
        calls = Counter()
        with self._log.open(encoding="utf-8") as log:
            log.seek(since)
            for method, name, rest in _REQUEST.findall(log.read()):
                listening = method == "GET" and name.startswith("mailbox-sync")
                schedule = method == "GET" and name == "mailboxes" and "due-" in rest
                kind = (
                    "queue" if name.startswith("mailbox-sync") else "blob" if name.startswith("message-") else "table"
                )
                what = "listener" if listening else "schedule" if schedule else kind
                calls[method, what] += 1
        return calls

    @staticmethod
    def _body(items):
        return json.dumps({"value": items}).encode()

    def _show(self, what, answers):
        seconds = sorted(taken for _, taken in answers)
        statuses = dict(Counter(status for status, _ in answers))
        rate = len(answers) / self._options.seconds
        print(
            f"{what}: {len(answers)} POSTs, {rate:.0f} a second, answers {statuses}: {push.spread(seconds)}", flush=True
        )


class Poster:
    """Sends ready-made POSTs over connections that are kept open, with as little work as can be."""

    def __init__(self, state, path, connections):
        self._url = urlsplit(state.app + path)
        self._context = ssl.create_default_context(cafile=state.ca_file)
        self._count = connections
        self._free = asyncio.Queue()

    async def __aenter__(self):
        for _ in range(self._count):
            host, port = self._url.hostname, self._url.port
            self._free.put_nowait(await asyncio.open_connection(host, port, ssl=self._context))
        return self

    async def __aexit__(self, *_):
        while not self._free.empty():
            self._free.get_nowait()[1].transport.abort()

    async def post_all(self, bodies, rate, seconds):
        """(status, seconds) of each POST; they set out at their times, as far as connections are free."""
        begun, sent = time.monotonic(), []
        while (due := len(sent) / rate) < seconds and time.monotonic() < begun + seconds:
            await asyncio.sleep(max(0.0, begun + due - time.monotonic()))
            connection = await self._free.get()
            sent.append(asyncio.create_task(self._post(connection, bodies[len(sent) % len(bodies)])))
        return await asyncio.gather(*sent)

    async def _post(self, connection, body):
        reader, writer = connection
        head = f"POST {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\nContent-Type: application/json\r\n"
        begun = time.monotonic()
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if length := re.search(r"content-length: (\d+)", answer):
            await reader.readexactly(int(length[1]))
        self._free.put_nowait(connection)
        return int(answer.split()[1]), time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
