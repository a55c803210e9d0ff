"""The HTTP listener: requests become invocations, returns become responses.

What the host's wire format loses on the way is lost here too: query values that are empty, cookie
attributes that `RpcHttpCookie` has no field for.
Reference: https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from http.cookies import Morsel
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.routing import Route as Path
from starlette.types import Receive, Scope, Send

from sandbox.host.config import HostOptions
from sandbox.host.keys import Keys
from sandbox.host.routes import build_routes
from sandbox.host.runtime import Function, FunctionTimeout, Runtime

_FORBIDDEN_HEADERS = {"content-length", "transfer-encoding", "connection"}

Fire = Callable[[Function, str], Awaitable[None]]
"""Runs a function that is not an HTTP one now, on an input text."""


class BodyTooLargeError(Exception):
    """The request's body exceeds FUNCTIONS_REQUEST_BODY_SIZE_LIMIT."""


def create_application(runtime: Runtime, keys: Keys, options: HostOptions, fire: Fire) -> Starlette:
    """The ASGI application: the app's routes, and the admin endpoint, which `fire` serves."""
    listener = _Listener(runtime, keys, options, fire)
    return Starlette(
        routes=[
            Path("/admin/functions/{name}", listener.admin, methods=["POST"]),
            Mount("/", listener.any_method),
        ]
    )


class _Listener:
    """The two endpoints on one app."""

    def __init__(self, runtime: Runtime, keys: Keys, options: HostOptions, fire: Fire) -> None:
        self._runtime = runtime
        self._keys = keys
        self._body_limit = options.body_limit
        self._fire = fire
        self._routes = build_routes(runtime.functions, options.route_prefix)
        self._pending: set[asyncio.Task[None]] = set()

    async def any_method(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application behind every path: a method that no route has is no other than a path that none has."""
        if scope["type"] == "http":
            await (await self.serve(Request(scope, receive, send)))(scope, receive, send)
        else:
            await Response(status_code=404)(scope, receive, send)

    async def serve(self, request: Request) -> Response:
        """The app's functions by their routes."""
        for route in self._routes:
            parameters = route.match(request.method, request.scope["path"])
            if parameters is None:
                continue
            if not self._keys.admits(_presented_key(request), route.auth_level):
                return Response(status_code=401)
            try:
                datum = await _request_datum(request, parameters, self._body_limit)
                outcome = await self._runtime.invoke(route.function, datum)
            except BodyTooLargeError:
                return _too_large()
            except FunctionTimeout:
                return Response(status_code=500)
            return _response(outcome.value) if outcome.ok else Response(status_code=500)
        return _homepage() if request.scope["path"] == "/" else Response(status_code=404)

    async def admin(self, request: Request) -> Response:
        """Runs a function that is not an HTTP one, with the master key; 202 at once."""
        if not self._keys.admits(request.headers.get("x-functions-key"), "ADMIN"):
            return Response(status_code=401)
        function = self._runtime.find(request.path_params["name"])
        if function is None:
            return Response(status_code=404)
        if function.kind == "httpTrigger":
            return Response("call an HTTP function by its route", status_code=400)
        try:
            text = str(json.loads(await _body(request, self._body_limit) or b"{}").get("input") or "")
        except BodyTooLargeError:
            return _too_large()
        except (ValueError, AttributeError, RecursionError):
            return Response('the body has to be JSON such as {"input": ""}', status_code=400)
        task = asyncio.ensure_future(self._fire(function, text))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return Response(status_code=202)


def _presented_key(request: Request) -> str | None:
    return request.headers.get("x-functions-key") or request.query_params.get("code")


def _homepage() -> Response:
    """What the host shows at its root where no function is: a page of its own, or nothing where that is switched off.

    https://learn.microsoft.com/azure/azure-functions/functions-app-settings#azurewebjobsdisablehomepage
    """
    if os.environ.get("AzureWebJobsDisableHomepage", "").lower() == "true":  # noqa: SIM112 - its name in Azure
        return Response(status_code=204)
    return Response("<h1>Your Functions app is up and running</h1>", media_type="text/html")


def _too_large() -> Response:
    """The rest of the body stays unread, so the connection is of no further use."""
    return Response(status_code=413, headers={"Connection": "close"})


async def _body(request: Request, limit: int) -> bytes:
    """The body. Raises BodyTooLargeError: at once where it is announced to be too long, else as soon as it is."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise BodyTooLargeError
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise BodyTooLargeError
        body += chunk
    return bytes(body)


async def _request_datum(request: Request, parameters: dict[str, str], limit: int) -> Any:
    from azure_functions_runtime.bindings.datumdef import Datum

    body = await _body(request, limit)
    query: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if value:
            query[name] = f"{query[name]},{value}" if name in query else value
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    groups = {"headers": headers, "params": parameters, "query": query}
    fields: dict[str, Any] = {
        group: {name: Datum(value, "string") for name, value in pairs.items()} for group, pairs in groups.items()
    }
    fields["method"] = Datum(request.method, "string")
    fields["url"] = Datum(str(request.url), "string")
    fields["body"] = Datum(body, "bytes")
    return Datum(fields, "http")


def _response(datum: Any) -> Response:
    if datum is None:
        return Response(status_code=204)
    if datum.type == "string":
        return Response(datum.value, media_type="text/plain; charset=utf-8")
    content = datum.value
    response = Response(content["body"].value, status_code=int(content["status_code"].value))
    for name, value in content["headers"].items():
        if name.lower() not in _FORBIDDEN_HEADERS:
            response.headers[name] = value.value
    for cookies in content["cookies"] or ():
        for morsel in cookies.values():
            response.headers.append("set-cookie", _set_cookie(morsel))
    return response


def _set_cookie(morsel: Morsel[str]) -> str:
    """A Set-Cookie value out of what RpcHttpCookie carries, the cookie's value escaped as ASP.NET does."""
    parts = [f"{morsel.key}={quote(morsel.value, safe='')}"]
    for attribute, label in (("expires", "expires"), ("max-age", "max-age"), ("domain", "domain"), ("path", "path")):
        if morsel[attribute]:
            parts.append(f"{label}={morsel[attribute]}")
    if morsel["secure"]:
        parts.append("secure")
    if morsel["samesite"]:
        parts.append(f"samesite={str(morsel['samesite']).lower()}")
    if morsel["httponly"]:
        parts.append("httponly")
    return "; ".join(parts)
