"""Control routes for mailboxes: deliver, generate, look, change.

| route | body or query | answer |
|---|---|---|
| POST /mailboxes/{address}/deliver | a message or an mbox; name?, keepDate=1?, folder? | delivered, unreadable, ids |
| POST /mailboxes/{address}/generate | count, days?, bodyKilobytes?, seed?, folder? | generated |
| GET /mailboxes/{address} | | folders: [{id, displayName, wellKnownName}], messages: [Graph's, with `folder`] |
| POST /mailboxes/{address}/messages/{id} | isRead?, flag?, categories?, importance? | id |
| POST /mailboxes/{address}/messages/{id}/move | folder | id |
| POST /mailboxes/{address}/messages/{id}/delete | | id |

Ids are immutable ones. `address` is a user's, who is created where mail comes for nobody yet.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.control.parameters import checked, number, text, whole
from sandbox.exchange import mime
from sandbox.exchange.mailboxes import Mailbox, Message
from sandbox.exchange.samples import generate
from sandbox.graph import query as graph_query
from sandbox.microsoft365.world import World

_CHANGEABLE = {"isRead": bool, "flag": dict, "categories": list, "importance": str}

type _Handler = Callable[[Mailbox, Request, dict[str, Any]], object]


def routes(world: World) -> list[Route]:
    """The routes of the control port that concern mail."""
    base = "/mailboxes/{address}"
    return [
        Route(f"{base}/deliver", _Deliver(world).endpoint, methods=["POST"]),
        Route(f"{base}/generate", _endpoint(world, _generate, create=True), methods=["POST"]),
        Route(base, _endpoint(world, _show), methods=["GET"]),
        Route(f"{base}/messages/{{id}}", _endpoint(world, _update), methods=["POST"]),
        Route(f"{base}/messages/{{id}}/move", _endpoint(world, _move), methods=["POST"]),
        Route(f"{base}/messages/{{id}}/delete", _endpoint(world, _delete), methods=["POST"]),
    ]


def _mailbox(world: World, request: Request, *, create: bool) -> Mailbox:
    address = request.path_params["address"]
    user = world.find_user(address)
    if user is None and not create:
        raise HTTPException(404, f"no user signs in as {address}")
    try:
        return world.mailbox(user or world.create_user(address))
    except ValueError as error:
        raise HTTPException(400, str(error)) from error


def _answer(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


def _endpoint(world: World, handler: _Handler, *, create: bool = False) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
            return _answer(handler(_mailbox(world, request, create=create), request, body))
        except (ValueError, TypeError, RecursionError) as error:
            raise HTTPException(400, str(error)) from error

    return endpoint


class _Deliver:
    """Reads mail beside the event loop, since a large mbox takes its time, and delivers it on it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def endpoint(self, request: Request) -> Response:
        mailbox = _mailbox(self._world, request, create=True)
        raw = await request.body()
        read, unreadable = await run_in_threadpool(_read_all, raw, request.query_params.get("name", "message"))
        keep = request.query_params.get("keepDate") == "1"
        folder = request.query_params.get("folder", "inbox")
        try:
            messages = [mailbox.deliver(mail, folder=folder, received=mail.sent if keep else None) for mail in read]
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        ids = [message.immutable_id for message in messages]
        return _answer({"delivered": len(ids), "unreadable": unreadable, "ids": ids})


def _read_all(raw: bytes, name: str) -> tuple[list[mime.Mail], list[dict[str, str]]]:
    read, unreadable = [], []
    parts = mime.split_mbox(raw)
    for place, part in enumerate(parts, 1):
        try:
            read.append(mime.read(part))
        except mime.Unreadable as error:
            unreadable.append({"name": name if len(parts) == 1 else f"{name}#{place}", "reason": str(error)})
    return read, unreadable


_GENERATE = {
    "count": whole(most=200_000, required=True),
    "days": number(30, least=0.001, most=3_660),
    "bodyKilobytes": number(2, most=10_000),
    "seed": whole(),
    "folder": text("inbox"),
}


def _generate(mailbox: Mailbox, _request: Request, body: dict[str, Any]) -> object:
    asked = {name: parameter.default for name, parameter in _GENERATE.items()} | checked(_GENERATE, body, "generate")
    options = {"days": asked["days"], "body_kilobytes": asked["bodyKilobytes"]}
    generate(mailbox, asked["count"], seed=asked["seed"], folder=asked["folder"], **options)
    return {"generated": asked["count"]}


def _show(mailbox: Mailbox, _request: Request, _body: dict[str, Any]) -> object:
    names = {folder.id: name for name, folder in mailbox.well_known.items()}
    folders = [
        {"id": folder.id, "displayName": folder.display_name, "wellKnownName": names.get(folder.id)}
        for folder in mailbox.folders.values()
    ]
    everything = (*graph_query.PROPERTIES, *graph_query.ON_REQUEST)
    messages = [
        graph_query.render(message, everything, immutable=True, body_type=None)
        | {"folder": names.get(message.folder_id, message.folder_id)}
        for message in mailbox.messages()
    ]
    return {"folders": folders, "messages": messages}


def _message(mailbox: Mailbox, request: Request) -> Message:
    message = mailbox.find(request.path_params["id"], immutable=True)
    if message is None:
        raise HTTPException(404, "the mailbox has no message of that immutable id")
    return message


def _update(mailbox: Mailbox, request: Request, body: dict[str, Any]) -> object:
    message = _message(mailbox, request)
    for name, value in body.items():
        if not isinstance(value, _CHANGEABLE.get(name, ())):
            raise TypeError(f"{name} cannot be changed to that; changeable are {', '.join(_CHANGEABLE)}")
    mailbox.update(message, body)
    return {"id": message.immutable_id}


def _move(mailbox: Mailbox, request: Request, body: dict[str, Any]) -> object:
    message = _message(mailbox, request)
    mailbox.move(message, checked({"folder": text(required=True)}, body, "move")["folder"])
    return {"id": message.immutable_id}


def _delete(mailbox: Mailbox, request: Request, _body: dict[str, Any]) -> object:
    message = _message(mailbox, request)
    mailbox.delete(message)
    return {"id": message.immutable_id}
