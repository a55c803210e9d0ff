"""A peer that trickles its answer holds nobody: headers or body, plain or TLS, whoever the client is."""

import contextlib
import json
import socket
import ssl
import threading

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError
from azure.core.pipeline import Pipeline
from azure.core.rest import HttpRequest

from mailsync.adapters import azure_identity, azure_sdk, deadlines, http
from mailsync.adapters.entra.http import MsalHttp
from mailsync.adapters.graph.mail import GraphClient
from mailsync.adapters.graph.transport import GraphTransport
from mailsync.adapters.key_vault.secrets import VaultSecrets
from mailsync.clock import utc_now
from mailsync.errors import RetryLater
from mailsync.reasons import Reason
from mailsync.settings import Settings
from tests.adapters.trickle import slow_body, slow_headers, trickling

TOKEN = json.dumps({"access_token": "a", "expires_on": "4102444800", "resource": "x", "token_type": "Bearer"}).encode()

both = pytest.mark.parametrize("answer", [slow_headers(TOKEN), slow_body(TOKEN)], ids=["headers", "body"])


@pytest.fixture
def session():
    """A session as the program's own, for plain HTTP too."""
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, deadlines.DeadlineAdapter())
        yield session


@pytest.fixture
def impatient(monkeypatch):
    """0.1 s between two bytes, and so 0.4 for an answer that takes four; its bytes come every 0.01."""
    for module in (http, azure_sdk, azure_identity):
        monkeypatch.setattr(module, "READ_TIMEOUT", 0.1)


@pytest.fixture
def tls(certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.key)
    return context


@both
def test_graph_and_entra_over_plain_http(session, impatient, answer):
    with trickling(answer) as address, pytest.raises(http.Unreachable):
        http.call(session, "GET", address)


@both
def test_graph_and_entra_over_tls(session, impatient, trusted, tls, answer):
    with trickling(answer, tls) as address, pytest.raises(http.Unreachable):
        http.call(session, "GET", address)


@both
def test_by_way_of_a_proxy(session, impatient, answer):
    with trickling(answer) as address:
        session.proxies = {"http": address}
        with pytest.raises(http.Unreachable):
            http.call(session, "GET", "http://graph.example/")


@both
def test_the_programs_own_session_has_the_deadline(impatient, trusted, tls, answer):
    http.session.cache_clear()
    with trickling(answer, tls) as address, pytest.raises(http.Unreachable):
        http.call(http.session(), "GET", address)


def test_an_answer_that_is_slow_but_in_time_is_whole(session):
    with trickling(slow_body(TOKEN)) as address:
        assert http.call(session, "GET", address).body.strip() == TOKEN


def test_a_connection_is_used_again_after_an_answer_that_took_its_time(session, monkeypatch):
    monkeypatch.setattr(http, "READ_TIMEOUT", 20.0)
    with trickling(slow_body(TOKEN)) as address:
        for _ in range(2):
            assert http.call(session, "GET", address).status == 200


@both
def test_graph_is_unreachable_then(session, impatient, answer):
    with trickling(answer) as address:
        transport = GraphTransport(endpoint=address, session=session, sleep=lambda _: None)
        client = GraphClient(transport.as_user(lambda: "token"))
        with pytest.raises(RetryLater) as error:
            client.folder_id("inbox")
    assert error.value.reason == "graph_unreachable"


@both
def test_entra_is_unavailable_then(session, impatient, answer):
    with trickling(answer) as address, pytest.raises(RetryLater) as error:
        MsalHttp(session, address, utc_now).post(f"{address}/token", data={"grant_type": "refresh_token"})
    assert error.value.reason == "entra_unavailable"


@both
def test_the_identity_endpoint_is_out_of_reach_then(impatient, monkeypatch, answer):
    monkeypatch.setattr(azure_identity, "RETRIES", 0)
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    with trickling(answer) as address:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{address}/msi/token")
        with pytest.raises(RetryLater) as error:
            azure_identity.Identity("").get_token("https://vault.azure.net/.default")
    assert error.value.reason == "identity_unavailable"


@both
def test_the_sdks_transport_gives_up_then(impatient, answer):
    with trickling(answer) as address, Pipeline(azure_sdk.Transport("storage", read_timeout=0.1)) as pipeline:
        request = HttpRequest("GET", address)
        with pytest.raises(AzureError):
            pipeline.run(request)


class AnyToken:
    def get_token(self, *_scopes, **_options):
        return AccessToken("token", 4_102_444_800)


@both
def test_the_vault_is_unavailable_then(trusted, tls, answer, monkeypatch):
    monkeypatch.setattr(azure_sdk, "credential", lambda *_: AnyToken())
    environ = {
        "PUBLIC_BASE_URL": "https://localhost:7071",
        "ENTRA_CLIENT_ID": "11111111-1111-4111-8111-111111111111",
        "MAIL_STORAGE": "UseDevelopmentStorage=true",
    }
    with trickling(answer, tls) as address:
        vault = VaultSecrets(Settings.load({**environ, "KEY_VAULT_URL": address}), disabled=Reason.TOKEN_DISABLED)
        with pytest.raises(RetryLater) as error:
            vault.get("name", within=0.1)
    assert error.value.reason == "key_vault_unavailable"


@pytest.fixture
def redirect():
    """Serves one redirect with a body of 64 MiB, and says how much of it was taken."""
    taken = [0]

    def serve(location):
        head = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: %d\r\n\r\n" % (location, SIZE)
        wire, _ = listener.accept()
        with contextlib.suppress(OSError), wire:
            wire.recv(4096)
            wire.sendall(head)
            while taken[0] < SIZE:
                taken[0] += wire.send(b"x" * 65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = []

        def begin(location):
            threads.append(threading.Thread(target=serve, args=(location,)))
            threads[-1].start()
            return f"http://localhost:{listener.getsockname()[1]}", taken

        yield begin
        for thread in threads:
            thread.join(20)


SIZE = 64 * 1024 * 1024


@pytest.mark.parametrize("location", [b"http://[", b"/\xff", b"/elsewhere"])
def test_a_redirect_is_an_answer_like_any_other(redirect, location):
    address, taken = redirect(location)
    own = http.session()
    with deadlines.Session() as session:
        assert type(own) is type(azure_sdk.session()) is type(session)
        session.mount("http://", deadlines.DeadlineAdapter())
        with pytest.raises(http.TooLarge):
            http.call(session, "GET", address, limit=1024)
    assert taken[0] < SIZE
