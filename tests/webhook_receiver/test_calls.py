"""What a POST costs on real adapters: Azurite's queue, the stand-in's Key Vault."""

import asyncio
import base64
import json
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import azure.functions as func
import pytest

from mailsync.adapters import azure_sdk
from mailsync.adapters.storage.services import QUEUE, queue_service
from mailsync.bootstrap import App
from mailsync.push import client_state
from mailsync.schedule.hints import decode_hint
from mailsync.settings import Settings, Storage
from sandbox import constants
from tests.mailsync.push.test_notifications import BOX, OTHER_BOX, Webhook
from webhook_receiver import blueprint


class Program:
    """Two instances of the program: one that subscribes and the one that Graph posts to; and what they call."""

    def __init__(self, environ, calls):
        settings = Settings.load(environ)
        self._subscriber, self.receiver = App(settings), App(settings)
        self._items = Webhook()
        self.calls = calls
        self.storage = Storage(connection_string=environ["MAIL_STORAGE"])

    def item(self, box=BOX, **changes):
        text, _ = client_state.make(self._subscriber.signing_keys, box, "nonce")
        return self._items.item(box, **{"clientState": text} | changes)

    def post(self, *items):
        """The status of one POST, and the services that were called for it."""
        self.calls.clear()
        request = func.HttpRequest("POST", "https://connect.example/", body=json.dumps({"value": items}).encode())
        response = asyncio.run(blueprint.graph_notifications.build().get_user_function()(request))
        return response.status_code, list(self.calls)

    def hints(self):
        messages = queue_service(self.storage).get_queue_client(QUEUE).receive_messages()
        return [decode_hint(base64.b64decode(message.content)) for message in messages]


@pytest.fixture
def program(storage, microsoft365, certificates, tmp_path, monkeypatch):
    authorities = tmp_path / "ca.pem"
    authorities.write_text(Path(certificates.ca).read_text() + Path(microsoft365.ca_file).read_text())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authorities))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{microsoft365.entra}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", constants.IDENTITY_HEADER)
    azure_sdk.credential.cache_clear()
    calls = []
    send, post = azure_sdk.Transport.send, aiohttp.ClientSession.post

    def noted_send(self, request, **kwargs):
        url = urlsplit(request.url)
        calls.append("vault" if request.url.startswith(microsoft365.key_vault) else f"{request.method} {url.path}")
        return send(self, request, **kwargs)

    def noted_post(self, url, **kwargs):
        calls.append(f"POST {url.path}")
        return post(self, url, **kwargs)

    monkeypatch.setattr(azure_sdk.Transport, "send", noted_send)
    monkeypatch.setattr(aiohttp.ClientSession, "post", noted_post)
    environ = {
        "PUBLIC_BASE_URL": "https://localhost:7071",
        "ENTRA_CLIENT_ID": constants.APP_CLIENT_ID,
        "AZURE_CLIENT_ID": constants.MANAGED_IDENTITY_CLIENT_ID,
        "KEY_VAULT_URL": microsoft365.key_vault,
        "MAIL_STORAGE": storage.connection_string,
    }
    program = Program(environ, calls)
    monkeypatch.setattr(blueprint, "app", lambda: program.receiver)
    yield program
    azure_sdk.credential.cache_clear()


def test_one_send_a_mailbox_and_no_other_call_once_the_keys_are_read(program):
    item, other = program.item(), program.item(OTHER_BOX)
    status, calls = program.post(item)
    assert status == 202
    assert set(calls[:-1]) == {"vault"}
    send = calls[-1]
    assert send.startswith("POST /")
    assert send.endswith(f"/{QUEUE}/messages")
    assert program.post(item, item, other) == (202, [send, send])
    assert sorted((hint.mailbox_id, hint.created) for hint in program.hints()) == [
        (BOX, ("m1",)),
        (BOX, ("m1",)),
        (OTHER_BOX, ("m1",)),
    ]


def test_forgeries_cost_no_call(program):
    item = program.item()
    program.post(item)
    program.hints()
    key_id, rest = item["clientState"].split(".", 1)
    guesses = [f"{key_id}.{rest[:-1]}~", f"{key_id}.{rest[:-43]}{'A' * 43}", f"unknown.{rest}", "guess", ""]
    for guess in guesses * 10:
        assert program.post(item | {"clientState": guess}) == (202, [])
    assert program.hints() == []


def test_a_queue_that_is_missing_is_an_error_of_ours(program):
    item = program.item()
    queue_service(program.storage).delete_queue(QUEUE)
    status, _ = program.post(item)
    assert status == 503
