"""`python -m bench.connect_child ADDRESS…`: connects each and reads its mail for the first time; prints the calls.

What the program does is called here, by the routes' own doors, while a person's browser walks Microsoft's pages. The
app's Functions host must have ended: in its place something answers Graph's validation of a subscription.
"""

import base64
import json
import os
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.calls_child import services
from bench.counting import Calls, counted
from mailsync.adapters.storage.services import QUEUE, queue_service
from mailsync.bootstrap import app
from mailsync.schedule.hints import decode_hint
from sandbox.browser import Browser, needs_more

_MOST_PAGES = 10


class _Validation(BaseHTTPRequestHandler):
    """https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation."""

    def do_POST(self) -> None:
        token = parse_qs(urlsplit(self.path).query)["validationToken"][0].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(token)))
        self.end_headers()
        self.wfile.write(token)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def validating(certificates: Path) -> Iterator[str]:
    """An address at which Graph's validation is answered."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Validation)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def connect(address: str, ca_file: str) -> Calls:
    """The calls from the consent button to the end of the first reading."""
    queue = queue_service(app().settings.storage).get_queue_client(QUEUE)
    queue.clear_messages()
    with counted(services()) as calls:
        started = app().connector.start()
        answer = _answer(started.url, address, ca_file)
        mailbox_id = app().connector.finish(answer, started.cookie).mailbox_id
    while message := queue.receive_message():
        with counted(services()) as run:
            app().synchronizer.run(decode_hint(base64.b64decode(message.content)))
        queue.delete_message(message)
        calls.made += run.made
    mailbox = app().mailboxes.get(mailbox_id)
    if mailbox is None or not mailbox.messages or not all(folder.subscription for folder in mailbox.folders):
        raise RuntimeError("the mailbox was not read, or has no subscription")
    return calls


def _answer(url: str, address: str, ca_file: str) -> dict[str, str]:
    """What Microsoft's last page posts back, as the person of that address; not by the program's session."""
    with Browser(ca_file) as browser:
        page = browser.open(url)
        for _ in range(_MOST_PAGES):
            form = next(form for form in page.forms if not needs_more(form))
            if form.action.startswith(os.environ["PUBLIC_BASE_URL"]):
                return form.fields
            answers = {"address": address} if "address" in form.asks_for else {}
            page = browser.submit(
                page, form, **answers | ({"decision": "accept"} if "decision" in form.buttons else {})
            )
    raise RuntimeError("Microsoft's pages do not end")


def main() -> int:
    """The command."""
    ca_file = os.environ["SSL_CERT_FILE"]
    with validating(Path(ca_file).parent) as address:
        assert app().connector  # made with the address that Entra knows
        app().settings = replace(app().settings, public_base_url=address)
        every = [connect(address, ca_file) for address in sys.argv[1:]]
    print(
        json.dumps([{"calls": calls.by_service(), "each": [" ".join(call) for call in calls.made]} for calls in every])
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
