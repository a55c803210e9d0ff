"""JSON batching: https://learn.microsoft.com/graph/json-batching."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.graph.protocol import CONTENT_TYPE, Answer, Call, GraphError, parse_prefer

MAX_REQUESTS = 20


def answer(call: Call, run: Callable[[Call], Answer]) -> Answer:
    """Runs the requests of a batch, each judged by itself; the answers come in no particular order."""
    statuses: dict[str, int] = {}
    responses = []
    for request in _requests(call.body):
        request_id = str(request["id"])
        if any(statuses.get(str(other), 424) >= 400 for other in request.get("dependsOn") or ()):
            inner = Answer(424, {"error": {"code": "FailedDependency", "message": "Failed Dependency"}})
        else:
            inner = run(_inner(call, request))
        statuses[request_id] = inner.status
        response: dict[str, Any] = {"id": request_id, "status": inner.status, "headers": dict(inner.headers)}
        if inner.body is not None:
            response["headers"]["Content-Type"] = "text/html" if isinstance(inner.body, str) else CONTENT_TYPE
            response["body"] = inner.body
        responses.append(response)
    return Answer(200, {"responses": responses[::-1]})


def _requests(body: bytes) -> list[Mapping[str, Any]]:
    try:
        requests = json.loads(body)["requests"]
        ids = [str(request["id"]) for request in requests]
        complete = all(isinstance(request["method"], str) and isinstance(request["url"], str) for request in requests)
    except (ValueError, TypeError, KeyError) as error:
        raise GraphError(400, "BadRequest", "Invalid batch payload format.") from error
    if not complete or not ids or len(set(ids)) != len(ids):
        raise GraphError(400, "BadRequest", "Invalid batch payload format.")
    if len(ids) > MAX_REQUESTS:
        message = f"Number of batch request steps exceeds the maximum value of {MAX_REQUESTS}."
        raise GraphError(400, "MaximumValueExceeded", message)
    return list(requests)


def _inner(call: Call, request: Mapping[str, Any]) -> Call:
    """One request of a batch: a URL relative to the version, with headers of its own."""
    parts = urlsplit(str(request["url"]))
    headers = {str(name).lower(): str(value) for name, value in (request.get("headers") or {}).items()}
    return Call(
        method=str(request["method"]).upper(),
        path="/" + unquote(parts.path).lstrip("/"),
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        prefer=parse_prefer([headers.get("prefer", "")]),
        claims=call.claims,
        user=call.user,
        mailbox=call.mailbox,
    )
