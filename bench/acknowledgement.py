"""Row `acknowledgement`: how soon the webhook answers under load.

Against a function that only answers, and against one that queues one message first, as every answer here must.
All run on the sandbox's Functions host, each in one with nothing but HTTP functions, since Azure runs those on
instances of their own (https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan#per-function-scaling).
"""

import json
import os
import shutil
import socket
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from azure.storage.queue import QueueClient, QueueSasPermissions, generate_queue_sas

from bench.connected import connected, notification
from bench.measure import Bound, Figure, Say, rounds
from bench.services import PROJECT, Services, measured
from mailsync.adapters.storage.services import QUEUE
from mailsync.mailboxes.ids import mailbox_id
from sandbox.azurite import ACCOUNT, ACCOUNT_KEY
from sandbox.client import connection_string, mailsync_app
from sandbox.processes import Child, spawn, wait_for
from sandbox.state import State

RATE = 200
SECONDS = 4
WARM_UP = 20
"""Seconds each: Azurite gets faster for about a minute."""
MAILBOXES = 50
_WEBHOOK = """
import azure.functions as func
from webhook_receiver.blueprint import blueprint

app = func.FunctionApp()
app.register_functions(blueprint)
"""
_BARE = """
import azure.functions as func

app = func.FunctionApp()


@app.route("graph/notifications", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def graph_notifications(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=202)
"""
_QUEUEING = """
import os
import ssl

import aiohttp
import azure.functions as func
from yarl import URL

app = func.FunctionApp()
address = URL(os.environ["MESSAGES"], encoded=True)
headers = {"x-ms-version": "2024-08-04", "Content-Type": "application/xml"}
content = b"<QueueMessage><MessageText>" + b"Zm9vYmFy" * 40 + b"</MessageText></QueueMessage>"
session = None


@app.route("graph/notifications", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def graph_notifications(req: func.HttpRequest) -> func.HttpResponse:
    global session
    if session is None:
        context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
    async with session.post(address, data=content, headers=headers) as answer:
        await answer.read()
        return func.HttpResponse(status_code=202 if answer.status == 201 else 503)
"""


def acknowledgement(services: Services, number: int, say: Say) -> list[Figure]:
    """The 99th percentile of the answer's latency, ours divided by the other functions'; and the hints queued.

    Twice as many rounds as elsewhere, and short ones: a pause of Azurite's spoils one of them only.
    """
    with connected(services) as (state, _):
        sides = {"webhook": _WEBHOOK, "bare": _BARE, "queueing": _QUEUEING}
        hosts = [_Host(services, state, name, code) for name, code in sides.items()]
        webhook, _bare, queueing = hosts
        try:
            for host in hosts:
                host.latency(WARM_UP)
                host.refused = 0
            queued = _queued(state)
            say(f"  milliseconds of {', '.join(sides)}:")
            measured = rounds(2 * number, say, *(partial(host.latency, SECONDS) for host in hosts))
            answered = 2 * RATE * SECONDS * 2 * number - webhook.refused - queueing.refused
            hints = (_queued(state) - queued) / max(answered, 1)
        finally:
            for host in hosts:
                host.child.stop()
                say(f"  {host.child.name}: {_complaints(host.child)}")
    name = f"acknowledgement at {RATE} POSTs/s, p99:"
    details = {"milliseconds": [dict(zip(sides, each, strict=True)) for each in measured]}
    return [
        Figure(f"{name} ours / queueing", tuple(ours / other for ours, _, other in measured), Bound(most=1.5), details),
        Figure(f"{name} ours / bare", tuple(ours / other for ours, other, _ in measured), Bound()),
        Figure(f"{name} queueing / bare", tuple(other / bare for _, bare, other in measured), Bound()),
        Figure("POSTs not answered 202", (float(webhook.refused),), Bound(most=0)),
        Figure("queue messages for a POST of one mailbox", (hints,), Bound(least=1, most=1)),
    ]


class _Host:
    """A Functions host with one app."""

    def __init__(self, services: Services, state: State, name: str, code: str) -> None:
        directory = services.home / name
        directory.mkdir(exist_ok=True)
        (directory / "function_app.py").write_text(code, encoding="utf-8")
        shutil.copy(PROJECT / "host.json", directory)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        files = services.home / "sandbox/certificates"
        command = ["sandbox", "host", "--port", str(port), "--app-directory", str(directory)]
        command += ["--certificate", str(files / "server.pem"), "--key", str(files / "server.key")]
        environment = {**state.environment, "MESSAGES": _messages(state)}
        self.child: Child = spawn(name, command, environment, directory / "host.log")
        wait_for(self.child, lambda: "listening" in self.child.log.read_text(encoding="utf-8"), 60)
        self.refused = 0
        self._arguments = [
            f"https://localhost:{port}/graph/notifications",
            state.ca_file,
            str(_bodies(services, state)),
        ]

    def latency(self, seconds: float) -> float:
        """The 99th percentile in milliseconds."""
        options = ["--rate", str(RATE), "--seconds", str(seconds)]
        result = measured("bench.load", *self._arguments, *options)
        self.refused += int(result["refused"])
        return round(float(result["p99"]), 2)


def _bodies(services: Services, state: State) -> Path:
    """One POST for each of some mailboxes, signed by the app's own key."""
    file = services.home / "bodies.json"
    if not file.exists():
        os.environ |= state.environment
        keys = mailsync_app(state).signing_keys
        tenant = "aaaaaaaa-0000-4000-8000-00000000000a"
        boxes = [mailbox_id(tenant, f"bbbbbbbb-0000-4000-8000-{number:012x}") for number in range(MAILBOXES)]
        posts = [
            notification(keys, box, f"AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A{number}") for number, box in enumerate(boxes)
        ]
        file.write_text(json.dumps([post.decode() for post in posts]), encoding="utf-8")
    return file


def _messages(state: State) -> str:
    """The address of the queue's messages, with a signature that allows adding one."""
    expiry = datetime.now(UTC) + timedelta(hours=1)
    permission = QueueSasPermissions(add=True)
    signature = generate_queue_sas(ACCOUNT, QUEUE, ACCOUNT_KEY, permission=permission, expiry=expiry)
    return f"{state.queues}/{QUEUE}/messages?{signature}"


def _queued(state: State) -> int:
    """How many hints are in the queue. They stay: Azurite stops for a minute once thousands have gone at once."""
    with QueueClient.from_connection_string(connection_string(state), QUEUE, connection_verify=state.ca_file) as queue:
        return int(queue.get_queue_properties().approximate_message_count or 0)


def _complaints(child: Child) -> str:
    """What the app's log holds besides the lines of every invocation."""
    lines = child.log.read_text(encoding="utf-8", errors="replace").splitlines()
    kinds = Counter(line.split(" ", 2)[-1][:160] for line in lines if " WARNING " in line or " ERROR " in line)
    return "; ".join(f"{count} x {text}" for text, count in kinds.most_common(3)) or "nothing to complain of"
