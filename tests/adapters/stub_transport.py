"""A `requests` session whose transport answers from a script."""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse


@dataclass(slots=True)
class Reply:
    """One scripted answer. `body`: bytes as they are, anything else as JSON. `error`: raised in its place."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    error: Exception | None = None
    promised: int | None = None
    """A Content-Length that is not the body's."""


class StubTransport(BaseAdapter):
    """Plays `script`: replies in order, or functions of the request that give one. `seen`: what was sent."""

    def __init__(self, script: Iterable[Reply | Callable[[requests.PreparedRequest], Reply]]) -> None:
        super().__init__()
        self.script = list(script)
        self.seen: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []

    def send(self, request, stream=False, timeout=None, **_):
        self.seen.append(request)
        self.timeouts.append(timeout)
        step = self.script.pop(0)
        reply = step(request) if callable(step) else step
        if reply.error is not None:
            raise reply.error
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"Content-Length": str(reply.promised or len(body)), **reply.headers}
        response = requests.Response()
        response.status_code = reply.status
        response.headers.update(headers)
        response.url = request.url
        response.request = request
        response.raw = HTTPResponse(
            io.BytesIO(body), headers=headers, status=reply.status, preload_content=False, enforce_content_length=True
        )
        return response

    def close(self) -> None:
        pass


def stub_session(
    *script: Reply | Callable[[requests.PreparedRequest], Reply],
) -> tuple[requests.Session, StubTransport]:
    """A session on a script."""
    session = requests.Session()
    transport = StubTransport(script)
    session.mount("https://", transport)
    session.mount("http://", transport)
    return session, transport
