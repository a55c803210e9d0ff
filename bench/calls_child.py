"""`python -m bench.calls_child idle|push MAILBOX [MESSAGE…]`: prints the remote calls of a cold and of a warm instance.

`idle`: two polls. `push`: each message's notification, from the POST to its row; the first one's is not there yet.
The Functions host's own calls, which take the hint off the queue, are not among them.
"""

import asyncio
import base64
import json
import os
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import azure.functions as func

from bench.connected import current_nonce, notification
from bench.counting import counted
from mailsync.adapters.storage.services import QUEUE, queue_service
from mailsync.bootstrap import app
from mailsync.clock import utc_now
from mailsync.schedule.hints import decode_hint
from mailsync.schedule.records import Hint
from webhook_receiver.blueprint import graph_notifications

_SERVICES = {
    "GRAPH_ENDPOINT": "graph",
    "KEY_VAULT_URL": "keyVault",
    "ENTRA_AUTHORITY_HOST": "entra",
    "MAIL_STORAGE__tableServiceUri": "tables",
    "MAIL_STORAGE__queueServiceUri": "queues",
    "MAIL_STORAGE__blobServiceUri": "blobs",
}


def services() -> dict[str, str]:
    """The name of each service by its `host:port`. The managed identity's endpoint is Entra's here."""
    return {urlsplit(os.environ[setting]).netloc: name for setting, name in _SERVICES.items()}


def idle(mailbox_id: str) -> Iterator[dict[str, int]]:
    """The calls of each poll."""
    for _ in range(2):
        with counted(services()) as calls:
            app().synchronizer.run(Hint(mailbox_id=mailbox_id, at=utc_now()))
        yield calls.by_service()


def push(mailbox_id: str, message_ids: list[str]) -> Iterator[dict[str, int]]:
    """The calls of each POST and of the run that it wakes. Raises where the last message has no row then."""
    queue = queue_service(app().settings.storage).get_queue_client(QUEUE)
    function = graph_notifications.build().get_user_function()
    nonce = current_nonce(app().mailboxes, mailbox_id)
    for message_id in message_ids:
        queue.clear_messages()
        body = notification(app().signing_keys, mailbox_id, message_id, nonce)
        with counted(services()) as posted:
            answer = asyncio.run(function(func.HttpRequest("POST", "/", body=body)))
        [message] = queue.receive_messages()
        with counted(services()) as run:
            app().synchronizer.run(decode_hint(base64.b64decode(message.content)))
        if answer.status_code != 202:
            raise RuntimeError(f"the webhook answered {answer.status_code}")
        posted.made += run.made
        yield posted.by_service()
    if message_ids[-1] not in app().messages.find(mailbox_id, dict.fromkeys(message_ids)):
        raise RuntimeError("the message has no row")


def main() -> int:
    """The command."""
    what, mailbox_id, *message_ids = sys.argv[1:]
    cold, warm = idle(mailbox_id) if what == "idle" else push(mailbox_id, message_ids)
    print(json.dumps({"cold": cold, "warm": warm}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
