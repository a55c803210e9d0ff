"""Whatever is sent to a public door is answered: no 5xx, no trace of the program's inside, security headers on all.

The requests are bytes on a socket, since no client library would send most of them. A seed reproduces a run.
"""

import contextlib
import json
import random
import re
import socket
import ssl
from urllib.parse import urlsplit

import pytest

from tests.infra import served

SEED = 20261126
REQUESTS = 700

ID = "11111111-1111-4111-8111-111111111111"
SEGMENTS = [
    b"%s" % ID.encode(),
    b"..",
    b".",
    b"",
    b"%2e%2e",
    b"%00",
    b"%",
    b"%zz",
    b"%ff%fe",
    b"\xff",
    b"a" * 3000,
    b"%0d%0a",
    b"{x}",
    b"%2F",
    b"a;b",
    b"\xc3\xa9",
]
METHODS = [
    b"GET",
    b"POST",
    b"HEAD",
    b"OPTIONS",
    b"PUT",
    b"DELETE",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"get",
    b"BREW",
    b"G\x00T",
    b"",
    b"PROPFIND",
]
QUERIES = [
    b"", b"?", b"?validationToken=a", b"?validationToken=", b"?validationToken=%00%ff%0d%0aX:y", b"?validationToken=a&validationToken=b",
    b"?validationToken=" + b"a" * 5000, b"?invite=%zz&invite=\xff", b"?code=&state=", b"?code=a&code=b&state=c&state=d", b"?error=x&error_description=%3Cscript%3E",
    b"?admin_consent=True&tenant=" + ID.encode(), b"?" + b"a=1&" * 3000, b"?=&&==&%", b"?a[]=1&a[b]=2", b"?\x00", b"?%u0041", b"?page=\xe2\x80\xae", b"?code=wrong",
]  # fmt: skip
TYPES = [
    b"application/json", b"application/x-www-form-urlencoded", b"text/plain", b"multipart/form-data; boundary=x", b"multipart/form-data", b"", b"application/json; charset=utf-16",
    b"application/x-www-form-urlencoded; charset=\xff", b"a" * 2000, b"text/html\x00", b"application/xml", b"APPLICATION/JSON;;;=", b"*/*",
]  # fmt: skip
BODIES = [
    b"", b"{}", b"[]", b"null", b"{", b'{"value": null}', b'{"value": [null, 1, "a", {}]}', b'{"value": [{"clientState": 5, "subscriptionId": []}]}', b"\xff\xfe\x00", b"\x00" * 50, b"[" * 20_000,
    b'{"value": [{"subscriptionId": "a", "clientState": "%s", "resource": "\\ud800"}]}' % (b"x" * 3000), b"code=a&state=b", b"code=a&code=b&state=c", b"state=%ff%zz&code=%00", b"a=1&" * 300,
    b"error=access_denied&error_description=%3Cb%3E&state=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--', b"1" * 5000, b"1e999999", b'{"value":' + b"9" * 5000 + b"}",
    b"x" * 1_048_577, '{"value": [{"tenantId": "é"}]}'.encode("utf-16"), b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
]  # fmt: skip
HEADERS = [
    b"", b"Cookie: a", b"Cookie: __Host-siftrock-signin=\xff; __Host-siftrock-signin=b", b"Cookie: " + b"a=b; " * 1000, b"Cookie: ;;=;=a;__Host-siftrock-connected=%00", b"Origin: null", b"Origin: https://\xff",
    b"Origin: http://[::1", b"Sec-Fetch-Site: cross-site", b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher", b"Host: evil.example", b"Host: [::1", b"Host: a b", b"Accept-Encoding: \x7f", b"Content-Encoding: gzip",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Expect: 100-continue", b"X: " + b"a" * 40_000,
    b"\xff\xfe: a", b"No colon", b" Folded: a\r\n b", b"If-None-Match: *", b"Range: bytes=0-0,1-1", b"Authorization: Bearer \xff", b"x-functions-key: \xff\xfe", b"x-functions-key: " + b"a" * 5000, b"Upgrade: websocket\r\nConnection: Upgrade",
    b"Accept-Language: " + b"a," * 2000, b"Referer: javascript:alert(1)", b"traceparent: 00-zz-zz-zz",
]  # fmt: skip
VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0", b"HTTP/9.9", b"", b"HTTP/2.0"]

INSIDE = re.compile(
    rb"Traceback|File \"|\.py\b|line \d+, in|[A-Za-z]+Error\b|/work|site-packages|<script>", re.IGNORECASE
)
BY_THE_HOST = {204, 400, 401, 404, 413, 431}
"""What the host itself may answer, with no headers of the app's: no route, no key, too large, no HTTP at all."""


def paths():
    return [re.sub(r"\{[^}]*\}", ID if "mailbox" in route else "", route).encode() for route in served.routes()]


def made(chance, doors):
    """One request: most of it right, so that it comes far, and one or a few things odd."""
    path = chance.choice(doors)
    method = chance.choice([b"GET", b"POST", b"POST"])
    query, kind, body, header, version = b"", chance.choice(TYPES[:2]), b"", b"", b"HTTP/1.1"
    for odd in chance.sample(range(7), chance.randint(1, 4)):
        if odd == 0:
            method = chance.choice(METHODS)
        elif odd == 1:
            query = chance.choice(QUERIES)
        elif odd == 2:
            kind = chance.choice(TYPES)
        elif odd == 3:
            body = chance.choice(BODIES)
        elif odd == 4:
            header = chance.choice(HEADERS)
        elif odd == 5:
            path += b"/" + chance.choice(SEGMENTS)
        else:
            version = chance.choice(VERSIONS)
    lines = [b"%s %s%s %s" % (method, path, query, version)]
    if not header.lower().startswith(b"host:"):
        lines.append(b"Host: localhost")
    if kind or body:
        lines.append(b"Content-Type: " + kind)
    if body and b"ength" not in header and b"hunked" not in header:
        lines.append(b"Content-Length: %d" % len(body))
    if header:
        lines.append(header)
    if b"onnection" not in header:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Door:
    def __init__(self, address, ca_file):
        self._where = urlsplit(address)
        self._context = ssl.create_default_context(cafile=ca_file)

    def answer(self, request):
        """Status, headers by lower-case name, and content; None where the connection was closed without a word."""
        where = (self._where.hostname, self._where.port)
        received = b""
        wire = socket.create_connection(where, timeout=10)
        with self._context.wrap_socket(wire, server_hostname="localhost") as secured:
            secured.settimeout(0.4)  # a request that never ends is left unanswered
            with contextlib.suppress(OSError):
                secured.sendall(request)
                while not whole(received) and (chunk := secured.recv(65536)):
                    received += chunk
        received = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not received.startswith(b"HTTP/1.1 "):
            assert not received, received[:200]
            return None
        head, _, content = received.partition(b"\r\n\r\n")
        pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
        return (
            int(head[9:12]),
            {name.lower().decode(): value.strip().decode("latin-1") for name, _, value in pairs},
            content,
        )


def whole(received):
    head, separator, content = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return bool(separator) and length is not None and len(content) >= int(length[1])


@pytest.fixture
def door(product):
    return Door(product.state.app, product.state.ca_file)


def test_every_odd_request_is_answered_without_a_word_of_the_inside(door, home):
    chance = random.Random(SEED)  # noqa: S311 - a seed is the point
    doors = [*paths(), b"/nothing", b"/connect", b"/auth/callback", b"/graph/notifications"]
    key = b"\r\nx-functions-key: " + json.loads((home / "keys.json").read_text())["default"].encode()
    answered = 0
    for number in range(REQUESTS):
        request = made(chance, doors)
        if b"/disconnect" in request and chance.random() < 0.7:  # nobody's mailbox has this id
            request = request.replace(b"\r\n", key + b"\r\n", 1)
        answer = door.answer(request)
        if answer is None:
            continue
        answered += 1
        status, headers, content = answer
        shown = f"seed {SEED}, request {number}: {request[:300]!r} got {status} {headers} {content[:300]!r}"
        assert status < 500, shown
        assert not INSIDE.search(content), shown
        assert not INSIDE.search(repr(headers).encode()), shown
        if status not in BY_THE_HOST or (content and "x-content-type-options" in headers):
            assert headers.get("x-content-type-options") == "nosniff", shown
            assert headers.get("cache-control") == "no-store", shown
        if headers.get("content-type", "").startswith("text/html"):
            assert "default-src 'none'" in headers["content-security-policy"], shown
            assert headers["referrer-policy"] == "no-referrer", shown
    assert answered > REQUESTS / 2
    assert door.answer(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")[0] == 200


def test_every_page_is_the_same_by_head_without_its_content(door):
    for path in (b"/", b"/connect", b"/connect/done", b"/auth/callback", b"/health"):
        request = b"%%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path
        status, headers, _ = door.answer(request % b"GET")
        got = door.answer(request % b"HEAD")
        assert got[0] == status
        assert got[2] == b""
        assert got[1].keys() == headers.keys()
