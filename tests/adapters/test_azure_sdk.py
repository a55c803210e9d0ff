import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote, unquote

import pytest
import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest
from azure.core.rest._requests_basic import RestRequestsTransportResponse

from mailsync.adapters.azure_sdk import Transport, convert, converted, credential
from mailsync.errors import Misconfigured, Rejected, RetryLater, StaleWrite, Throttled


def refused(status, code=None, **headers):
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    answer = RestRequestsTransportResponse(request=HttpRequest("GET", "https://x.example"), internal_response=response)
    error = HttpResponseError("the SDK quotes secret-data here", response=answer)
    error.error_code = code
    return error


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (refused(401), Misconfigured, "storage_forbidden"),
        (refused(403, "AuthorizationPermissionMismatch"), Misconfigured, "storage_forbidden"),
        (refused(404, "TableNotFound"), Misconfigured, "storage_missing"),
        (refused(409), StaleWrite, "stale_write"),
        (refused(412), StaleWrite, "stale_write"),
        (refused(400, "PropertyValueTooLarge"), Rejected, "storage_refused"),
        (refused(413), Rejected, "storage_refused"),
        (refused(408), RetryLater, "storage_unavailable"),
        (refused(429), Throttled, "storage_throttled"),
        (refused(500), RetryLater, "storage_unavailable"),
        (refused(503, "ServerBusy"), RetryLater, "storage_unavailable"),
        (refused(507), RetryLater, "storage_unavailable"),
        (ServiceRequestError("no route to secret-data"), RetryLater, "storage_unavailable"),
        (ServiceResponseTimeoutError("secret-data"), RetryLater, "storage_unavailable"),
        (ClientAuthenticationError("secret-data"), RetryLater, "identity_unavailable"),
    ],
)
def test_errors_say_who_must_act(error, kind, reason):
    with pytest.raises(kind) as problem, converted("storage"):
        raise error
    assert type(problem.value) is kind
    assert problem.value.reason == reason
    assert problem.value.__cause__ is error
    assert "secret-data" not in str(problem.value)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Wed, 01 Jan 2020 00:00:00 GMT", None), ("soon", None), (None, None)]
)
def test_retry_after_is_passed_on(header, seconds):
    error = refused(503, **({"Retry-After": header} if header else {}))
    assert convert(error, "key_vault").retry_after == seconds


@pytest.fixture
def busy():
    """A server that answers as its path says: `/<Retry-After>`, `?<status>&<another header>`, by themselves 503.

    Yields its address and its requests.
    """
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(dict(self.headers))
            wait, _, more = self.path[1:].partition("?")
            status, _, name = more.partition("&")
            self.send_response(int(status or 503))
            self.send_header(name or "Retry-After", unquote(wait))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


def pipeline(slept):
    class Awake(Transport):
        def sleep(self, duration):
            slept.append(duration)

    return Pipeline(Awake("storage"), [RetryPolicy(retry_total=3)])


def test_a_short_wait_is_slept_and_bounded(busy):
    address, seen = busy
    slept = []
    answer = pipeline(slept).run(HttpRequest("GET", f"{address}/2"))
    assert answer.http_response.status_code == 503
    assert slept == [2.0] * 3
    assert len(seen) == 4


def test_a_long_wait_is_not_slept(busy):
    address, seen = busy
    slept = []
    with pytest.raises(RetryLater) as problem:
        pipeline(slept).run(HttpRequest("GET", f"{address}/300"))
    assert problem.value.retry_after == 300
    assert slept == []
    assert len(seen) == 1


@pytest.mark.parametrize("wait", ["soon", "99999999", "inf", "-5", "Wed, 99 Oct 2099 07:28:00 GMT"])
def test_a_wait_that_is_none_is_the_policys_own(busy, wait):
    address, seen = busy
    slept = []
    pipeline(slept).run(HttpRequest("GET", f"{address}/{quote(wait)}"))
    assert len(seen) == 4
    assert sum(slept) < 30


@pytest.mark.parametrize("status", [403, 404, 409, 412])
def test_a_refusal_that_names_a_time_is_answered_at_once(busy, status):
    address, seen = busy
    slept = []
    answer = pipeline(slept).run(HttpRequest("GET", f"{address}/3600?{status}"))
    assert answer.http_response.status_code == status
    assert (slept, len(seen)) == ([], 1)


@pytest.mark.parametrize("name", ["retry-after-ms", "x-ms-retry-after-ms"])
@pytest.mark.parametrize("wait", ["99999999", "soon"])
def test_no_other_header_is_waited_for(busy, name, wait):
    address, _ = busy
    slept = []
    pipeline(slept).run(HttpRequest("GET", f"{address}/{wait}?503&{name}"))
    assert sum(slept) < 30


def test_a_netrc_file_does_not_replace_the_token(busy, tmp_path, monkeypatch):
    address, seen = busy
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    pipeline([]).run(HttpRequest("GET", f"{address}/0", headers={"Authorization": "Bearer token"}))
    assert seen[0]["Authorization"] == "Bearer token"


def test_an_operators_own_login_is_the_azure_clis():
    assert "AzureCliCredential" in repr(vars(credential("", "azurecli")))
    assert "ManagedIdentityCredential" in repr(vars(credential("")))
