"""Microsoft Graph v1.0, as far as a mail reader with `User.Read` and `Mail.Read` sees it."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.control.faults import Fault
from sandbox.entra import tokens
from sandbox.exchange.mailboxes import Message
from sandbox.graph import astray, chaos, faults
from sandbox.graph import batch as graph_batch
from sandbox.graph import mail as graph_mail
from sandbox.graph import oddities as graph_oddities
from sandbox.graph.delta import Delta
from sandbox.graph.protocol import (
    CONTENT_TYPE,
    Answer,
    Call,
    GatewayPage,
    GraphError,
    RequestIds,
    error_answer,
    not_implemented,
    parse_prefer,
)
from sandbox.graph.throttle import Throttle, throttled, too_many_at_once
from sandbox.microsoft365.world import World
from sandbox.push import subscriptions

_ME = r"/(?:me|users/(?P<user>[^/]+))"
_FOLDER = _ME + r"/mailFolders(?:/(?P<folder>[^/()']+)|\('(?P<quoted>[^']+)'\))"
PATHS = {
    "batch": r"/\$batch",
    "me": _ME,
    "folder": _FOLDER,
    "messages": _FOLDER + r"/messages",
    "delta": _FOLDER + r"/messages/(?:microsoft\.graph\.)?delta(?:\(\))?",
    "subscriptions": r"/subscriptions",
    "subscription": r"/subscriptions/(?P<subscription>[^/]+)",
    "reauthorize": r"/subscriptions/(?P<subscription>[^/]+)/reauthorize",
    "message": _ME + r"(?:/mailFolders/[^/]+)?/messages(?:/(?P<message>[^/()']+)|\('(?P<named>[^']+)'\))",
}
"""Operations by name, as faults are restricted to them."""
_OPERATIONS = [(name, re.compile(path + "/?", re.IGNORECASE)) for name, path in PATHS.items()]
_SUBSCRIPTIONS = {"subscriptions", "subscription", "reauthorize"}
_SERVICE_TIME = 0.002
"""Seconds that a request takes at the least, so that others which come meanwhile are seen to be concurrent."""
_DENIED = "Access is denied. Check credentials and try again."
_VERSION = re.compile(r"/v1\.0(?=/)", re.IGNORECASE)


def app(world: World) -> ASGIApp:
    """The Graph application on one world."""
    return Graph(world)


class Graph:
    """Answers requests: who asks, may they, is it too much, is a fault ordered, what do they get."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._throttle = Throttle(world.now)
        self._delta = Delta(world, self._check_page)
        self.chaos = chaos.Chaos()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request; it counts against the mailbox's concurrency until its answer is ready."""
        request = Request(scope, receive)
        ids = RequestIds.new(request.headers.get("client-request-id"))
        try:
            call = await self._call(request)
        except tokens.InvalidAuthenticationToken as error:
            await _response(Answer(error.status, error.body, error.headers), ids)(scope, receive, send)
            return
        except GraphError as error:
            await _response(error_answer(error, ids, self._world.now()), ids)(scope, receive, send)
            return
        wanted = 4 if call.path.lower() == "/$batch" else 1
        with self._throttle.slots(call.claims.app_id, call.user.user_id, wanted) as held:
            await asyncio.sleep(_SERVICE_TIME)
            response = await self._answer(call, ids, held)
        await response(scope, receive, send)

    async def _call(self, request: Request) -> Call:
        claims = tokens.verify_graph(self._world, request)
        path, versions = _VERSION.subn("", request.url.path, count=1)
        if not versions:
            if re.match(r"/beta(/|$)", path, re.IGNORECASE):
                raise not_implemented("the beta version, only v1.0")
            raise GraphError(400, "BadRequest", "Invalid version.")
        user = self._world.users[claims.user_id]
        return Call(
            method=request.method,
            path=path,
            query=dict(request.query_params),
            prefer=parse_prefer(request.headers.getlist("prefer")),
            claims=claims,
            user=user,
            mailbox=self._world.mailbox(user),
            body=await request.body(),
        )

    async def _answer(self, call: Call, ids: RequestIds, held: int) -> Response:
        name = _operation(call.path)[0]
        if fault := self._take(faults.SLOW, call, name):
            await asyncio.sleep(float(fault["seconds"]))
        kind = self.chaos.roll(self._take(chaos.CHAOS, call, name), name)
        if name == "batch":
            answer = self._guarded(lambda: self._batch(call, ids, held, kind), ids)
        elif name == "subscriptions" and call.method == "POST":
            answer = await self._create_subscription(call, ids, held)
        else:
            answer = self._judged(call, ids=ids, held=held, kind=kind)
        response = _response(self._distorted(answer, call, name, kind), ids)
        return _CutResponse(response) if self._take(faults.CUT, call, name) else response

    def _batch(self, call: Call, ids: RequestIds, held: int, kind: str) -> Answer:
        def run(part: Call) -> Answer:
            struck = self.chaos.roll(self._take(chaos.CHAOS, part, "message"), "message")
            return self._judged(part, ids=ids, held=held, kind=struck)

        chaos.refuse(kind)
        return graph_batch.answer(call, run)

    def _distorted(self, answer: Answer, call: Call, operation: str, kind: str) -> Answer:
        root = self._world.addresses.graph
        answer = astray.led_astray(answer, call, operation, root, partial(self._take, call=call, operation=operation))
        if kind:
            return chaos.spoil(kind, answer, call, root)
        if not isinstance(answer.body, Mapping):
            return answer
        content = graph_oddities.distorted(answer.body, partial(self._take, call=call, operation=operation))
        return answer if content is None else replace(answer, body=content)

    async def _create_subscription(self, call: Call, ids: RequestIds, held: int) -> Answer:
        """The one operation that waits for others: it calls the app back before it answers."""
        try:
            self._admit(call, held)
            return await subscriptions.create(self._world, call)
        except GraphError as error:
            return error_answer(error, ids, self._world.now())

    def _guarded(self, run: Callable[[], Answer], ids: RequestIds) -> Answer:
        try:
            return run()
        except GraphError as error:
            return error_answer(error, ids, self._world.now())

    def _judged(self, call: Call, *, ids: RequestIds, held: int, kind: str = "") -> Answer:
        """One request, alone or out of a batch. `kind`: what chaos makes of its answer."""

        def run() -> Answer:
            operation = self._admit(call, held)
            chaos.refuse(kind)
            return self._dispatch(call, *operation)

        return self._guarded(run, ids)

    def _admit(self, call: Call, held: int) -> tuple[str, dict[str, str]]:
        """The operation and its parts, unless something forbids it."""
        name, parts = _operation(call.path)
        self._throttle.count(call.claims.app_id, call.user.user_id)
        if not held:
            raise too_many_at_once()
        self._strike(call, name)
        self._authorize(call, name, parts.get("user"))
        return name, parts

    def _take(self, fault: str, call: Call, operation: str) -> Fault | None:
        return self._world.faults.take(fault, address=call.user.user_principal_name, operation=operation)

    def _strike(self, call: Call, operation: str) -> None:
        """Raises what is ordered."""
        if fault := self._take(faults.THROTTLE, call, operation):
            error = throttled("Application is over its request limit.", _retry_after(fault["seconds"], fault["date"]))
            raise error if fault["seconds"] is not None else GraphError(429, error.code, error.message)
        if fault := self._take(faults.OUTAGE, call, operation):
            headers = {} if fault["seconds"] is None else {"Retry-After": _retry_after(fault["seconds"], date=False)}
            raise GraphError(503, "serviceNotAvailable", "The service is temporarily unavailable.", headers)
        if self._take(faults.GATEWAY_TIMEOUT, call, operation):
            raise GraphError(504, "UnknownError", "")
        if fault := self._take(faults.ACCESS_DENIED, call, operation):
            raise GraphError(403, fault["code"], _DENIED)
        if self._take(faults.UNAUTHORIZED, call, operation):
            raise GraphError(401, "InvalidAuthenticationToken", "Access token validation failure.")
        if fault := self._take(faults.GATEWAY_PAGE, call, operation):
            raise GatewayPage(fault["status"])
        if operation != "me" and (fault := self._take(faults.NOT_ENABLED, call, operation)):
            message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise GraphError(fault["status"], fault["code"], message)

    def _authorize(self, call: Call, operation: str, named_user: str | None) -> None:
        """Scopes: https://learn.microsoft.com/graph/permissions-reference."""
        own = {call.user.user_id, call.user.user_principal_name.lower()}
        if named_user is not None and named_user.lower() not in own:
            raise _access_denied()
        needed = "User.Read" if operation == "me" else "Mail.Read"
        if needed not in call.claims.scopes:
            if operation == "me":
                message = "Insufficient privileges to complete the operation."
                raise GraphError(403, "Authorization_RequestDenied", message)
            raise _access_denied()
        if call.method != "GET" and operation not in _SUBSCRIPTIONS:
            raise _access_denied()  # whatever changes anything needs more than Mail.Read

    def _dispatch(self, call: Call, operation: str, parts: dict[str, str]) -> Answer:
        root = self._world.addresses.graph
        folder = parts.get("folder") or parts.get("quoted") or ""
        match operation:
            case "me":
                return graph_mail.me(call, root)
            case "folder":
                return graph_mail.folder(call, root, folder)
            case "messages":
                if "$count" not in call.query and self._take(astray.LIST_REPEATED, call, operation):
                    call = astray.from_the_start(call)
                return graph_mail.messages(call, root, folder, self._check_page)
            case "delta" if astray.is_endless(call):
                return astray.endless(call, root)
            case "delta":
                return self._delta.answer(call, root, folder)
            case "message":
                return self._message(call, root, parts.get("message") or parts.get("named") or "")
        if operation in _SUBSCRIPTIONS:
            return subscriptions.answer(self._world, call, operation, parts.get("subscription", ""))
        raise not_implemented(f"{call.method} {call.path}; sandbox/graph/app.py lists what it does")

    def _check_page(self, call: Call, shown: Iterable[Message], names: tuple[str, ...] | None) -> None:
        """Raises where an ordered fault makes a page fail for a message on it."""
        for message in shown:
            where = {"address": call.user.user_principal_name, "message": message.immutable_id}
            fault = self._world.faults.take(faults.PAGE_REFUSED, **where)
            if fault and not (fault["narrow"] and names is not None and "body" not in names):
                raise GraphError(500, "InternalServerError", "Error while processing response.")

    def _message(self, call: Call, root: str, message_id: str) -> Answer:
        address = call.user.user_principal_name
        if fault := self._world.faults.take(faults.MESSAGE_REFUSED, address=address, message=message_id):
            raise GraphError(fault["status"], fault["code"], "The message could not be rendered.")
        return graph_mail.message(call, root, message_id)


def _operation(path: str) -> tuple[str, dict[str, str]]:
    for name, pattern in _OPERATIONS:
        if match := pattern.fullmatch(path):
            return name, {key: value for key, value in match.groupdict().items() if value is not None}
    return "", {}


def _access_denied() -> GraphError:
    return GraphError(403, "ErrorAccessDenied", _DENIED)


def _retry_after(seconds: float | None, date: bool) -> str:
    """Seconds, or a date by the machine's clock, by which the client reckons too."""
    if date:
        return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds or 0), usegmt=True)
    return str(int(seconds or 0))


def _response(answer: Answer, ids: RequestIds) -> Response:
    headers = {
        "request-id": ids.request,
        "client-request-id": ids.client,
        "Cache-Control": "private",
        "OData-Version": "4.0",
        **answer.headers,
    }
    if isinstance(answer.body, str):
        return Response(answer.body, answer.status, headers, media_type="text/html")
    body = b"" if answer.body is None else answer.body
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(content, answer.status, headers, media_type=CONTENT_TYPE)


class _CutResponse(Response):
    """Promises a whole response and stops in the middle of it; the server then drops the connection."""

    def __init__(self, whole: Response) -> None:
        self._whole = whole

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        body = bytes(self._whole.body)
        start = {"type": "http.response.start", "status": self._whole.status_code, "headers": self._whole.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
