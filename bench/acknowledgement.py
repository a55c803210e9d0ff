"""Row `acknowledgement`: how soon the webhook answers under load, against a function that only answers.

Both run on the sandbox's Functions host, each in one with nothing but HTTP functions, since Azure runs those on
instances of their own (https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan#per-function-scaling).
"""

import json
import os
import shutil
import socket
from collections import Counter
from pathlib import Path

from bench.connected import connected, notification
from bench.measure import Bound, Figure, Say, pairs
from bench.services import PROJECT, Services, measured
from mailsync.models import mailbox_id
from sandbox.client import connection_string, mailsync_app
from sandbox.processes import Child, spawn, wait_for
from sandbox.state import State

RATE = 200
SECONDS = 10
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


def acknowledgement(services: Services, number: int, say: Say) -> list[Figure]:
    """The 99th percentile of the answer's latency, ours divided by the bare function's; and the hints queued."""
    with connected(services) as (state, _):
        hosts = [_Host(services, state, name, code) for name, code in (("webhook", _WEBHOOK), ("bare", _BARE))]
        try:
            webhook, bare = hosts
            for host in hosts:
                host.latency(2)
            _queued(state)
            webhook.refused = 0
            both = pairs(number, lambda: webhook.latency(SECONDS), lambda: bare.latency(SECONDS), say)
            accepted = RATE * SECONDS * number - webhook.refused
            hints = _queued(state) / max(accepted, 1)
        finally:
            for host in hosts:
                host.child.stop()
                say(f"  {host.child.name}: {_complaints(host.child)}")
    ratios = tuple(ours / other for ours, other in both)
    details = {"milliseconds": [list(pair) for pair in both]}
    name = f"acknowledgement at {RATE} POSTs/s: p99 / a bare function's"
    return [
        Figure(name, ratios, Bound(most=1.5), details),
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
        self.child: Child = spawn(name, command, state.environment, directory / "host.log")
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


def _queued(state: State) -> int:
    """How many hints are in the queue; empties it."""
    from azure.storage.queue import QueueClient

    with QueueClient.from_connection_string(
        connection_string(state), "mailbox-sync", connection_verify=state.ca_file
    ) as queue:
        count = queue.get_queue_properties().approximate_message_count
        queue.clear_messages()
    return int(count or 0)


def _complaints(child: Child) -> str:
    """What the app's log holds besides the lines of every invocation."""
    lines = child.log.read_text(encoding="utf-8", errors="replace").splitlines()
    kinds = Counter(line.split(" ", 2)[-1][:160] for line in lines if " WARNING " in line or " ERROR " in line)
    return "; ".join(f"{count} x {text}" for text, count in kinds.most_common(3)) or "nothing to complain of"
