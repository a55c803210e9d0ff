"""HTTP functions through the real host process."""

import contextlib
import socket
import stat

import pytest


@pytest.fixture
def client(host):
    host.start()
    with host.client() as client:
        yield client


def test_requests_and_responses_pass_through(client):
    answer = client.post("/ECHO/Ann?a=1&b=&c=x&c=y", data={"field": "ü"}, headers={"X-Test": "t"})
    content = answer.json()
    assert answer.status_code == 200
    assert answer.headers["x-answer"] == "yes"
    assert answer.headers["content-type"] == "application/json"
    assert content["method"] == "POST"
    assert content["name"] == "Ann"
    assert content["params"] == {"a": "1", "c": "x,y"}
    assert content["header"] == "t"
    assert content["body"] == "field=%C3%BC"
    assert content["form"] == {"field": "ü"}
    assert content["url"].endswith("/ECHO/Ann?a=1&b=&c=x&c=y")


def test_each_cookie_is_a_header_of_its_own(client):
    answer = client.get("/cookies")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/elsewhere"
    assert answer.headers.get_list("set-cookie") == [
        "__Host-a=b-_c; max-age=600; path=/; secure; samesite=none; httponly",
        "second=2; path=/",
    ]


def test_routes_of_level_function_want_a_key(client, host):
    keys = host.keys()
    assert client.get("/guarded").status_code == 401
    assert client.get("/guarded", params={"code": "wrong"}).status_code == 401
    assert client.get("/guarded", params={"code": keys["default"]}).text == "in"
    assert client.get("/guarded", headers={"x-functions-key": keys["master"]}).text == "in"
    assert stat.S_IMODE((host.home / "keys.json").stat().st_mode) == 0o600
    assert host.stop() == 0
    assert not any(key in host.output for key in keys.values())


def test_what_is_no_route_is_not_found(client):
    assert client.get("/nothing").status_code == 404
    assert client.delete("/echo/x").status_code == 404
    assert client.get("/echo/x/y").status_code == 404


def test_a_body_over_the_limit_is_refused(client):
    assert client.post("/echo/x", content=b"x" * 1000).status_code == 200
    assert client.post("/echo/x", content=b"x" * 1001).status_code == 413


def test_a_body_that_is_announced_too_long_is_refused_before_it_comes(host):
    host.start()
    with socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2])), timeout=20) as wire:
        wire.sendall(b"POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000000\r\n\r\n")
        answer = b"".join(iter(lambda: wire.recv(4096), b""))  # up to the end of the connection
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_read_up_to_the_limit(host):
    host.start()
    chunk = b"a000\r\n" + b"x" * 0xA000 + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2])), timeout=20) as wire:
        wire.sendall(b"POST /echo/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):  # the host hangs up on what nobody will read
            for _ in range(2_000):
                wire.sendall(chunk)
                sent += len(chunk)
        with contextlib.suppress(ConnectionError):
            assert wire.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert sent < 2_000 * len(chunk)


@pytest.mark.parametrize("path", ["/", "/?invite=1"])
def test_the_hosts_own_page_stands_where_no_function_does(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_the_hosts_own_page_can_be_switched_off(host):
    host.start(AzureWebJobsDisableHomepage="true")
    with host.client() as client:
        assert client.get("/").status_code == 204


def test_head_is_answered_like_get_without_the_content(client):
    got, head = client.get("/slow"), client.head("/slow")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert client.head("/guarded").status_code == 404  # a route of GET alone


def test_a_failing_function_answers_500_and_is_logged(client, host):
    assert client.get("/broken?secret=s3cr3t").status_code == 500
    assert client.get("/slow").text == "async works"
    assert host.stop() == 0
    assert "function=broken" in host.output
    assert "outcome=failed" in host.output
    assert "RuntimeError: broken on purpose" in host.output
    assert "s3cr3t" not in host.output


def test_admin_endpoint_fires_a_timer(client, host):
    master = {"x-functions-key": host.keys()["master"]}
    assert client.post("/admin/functions/yearly").status_code == 401
    assert (
        client.post("/admin/functions/yearly", headers={"x-functions-key": host.keys()["default"]}).status_code == 401
    )
    assert client.post("/admin/functions/none", headers=master).status_code == 404
    assert client.post("/admin/functions/echo", headers=master).status_code == 400
    assert client.post("/admin/functions/yearly", headers=master, content=b"[]").status_code == 400
    assert client.post("/admin/functions/yearly", headers=master, json={"input": ""}).status_code == 202
    assert host.record() == {"timer": False}
