"""Tells every event once, each with the fields that the test names, half of them from a thread of a pool."""

import azure.functions as func

from mailsync.telemetry import Event, emit
from mailsync.threads import Threads

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("tell", methods=["POST"])
def sync_mailbox(req: func.HttpRequest) -> str:
    with Threads(1) as pool:
        for place, (name, fields) in enumerate(req.get_json().items()):
            if place % 2:
                pool.submit(emit, Event(name), **fields).result()
            else:
                emit(Event(name), **fields)
    return "told"


@app.route("fail", methods=["POST"])
def poll_due_mailboxes(req: func.HttpRequest) -> str:
    raise RuntimeError("failed on purpose")
