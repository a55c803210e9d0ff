"""Pages whose count or link is not what Graph's documents promise, as it has been seen to give them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from sandbox.control.faults import Fault, register
from sandbox.control.parameters import whole
from sandbox.graph.mail import encode
from sandbox.graph.protocol import Answer, Call

COUNT = register(
    "graph-count", "Graph gives `value` as the number of messages, or none where that is null",
    value=whole(-1, least=-1, nullable=True),
    address=None,
)  # fmt: skip
UNLINKED = register("next-link-missing", "Lists of messages lack the link to their next page", address=None)
REPEATED = register("next-link-repeated", "Delta's next link is the very link that was asked for", address=None)
ENDLESS = register(
    "delta-endless",
    "Delta answers an empty page whose next link leads to another such page, and so on for ever",
    address=None,
)

LIST_REPEATED = register(
    "list-repeated", "Lists of messages begin again with their first page, wherever they are asked for", address=None
)
TIMELESS = register("received-missing", "Messages come without the time at which they were received", address=None)
SWAPPED = register("batch-swapped", "Each part of a batch holds the answer to another part", address=None)

_NEXT, _DELTA, _COUNT = "@odata.nextLink", "@odata.deltaLink", "@odata.count"
_TURN = "$turn"
"""Marks the links of an endless walk; whoever follows one goes on."""

Take = Callable[[str], Fault | None]


def is_endless(call: Call) -> bool:
    """Whether the request follows a link of an endless walk."""
    return _TURN in call.query


def endless(call: Call, root: str) -> Answer:
    """The next page of an endless walk."""
    turn = int(call.query.get(_TURN, 0)) + 1
    return Answer(200, {"value": [], _NEXT: _url(call, root, {**call.query, _TURN: str(turn)})})


def uncounted(body: Mapping[str, Any], count: int | None) -> dict[str, Any]:
    """The page with another count, where it has one."""
    if _COUNT not in body:
        return dict(body)
    return {name: value for name, value in body.items() if name != _COUNT} | ({} if count is None else {_COUNT: count})


def unlinked(body: Mapping[str, Any]) -> dict[str, Any]:
    """The page without any link."""
    return {name: value for name, value in body.items() if name not in (_NEXT, _DELTA)}


def repeated(body: Mapping[str, Any], call: Call, root: str) -> dict[str, Any]:
    """The page with the link that was asked for as its next one."""
    return unlinked(body) | {_NEXT: _url(call, root, call.query)}


def foreign(body: Mapping[str, Any], root: str, host: str) -> dict[str, Any]:
    """The page with its link leading to another host."""
    return {
        name: value.replace(root, f"https://{host}/v1.0") if name in (_NEXT, _DELTA) else value
        for name, value in body.items()
    }


def timeless(content: Any) -> Any:
    """The same without any time of receipt."""
    if isinstance(content, list):
        return [timeless(each) for each in content]
    if isinstance(content, Mapping):
        return {name: timeless(each) for name, each in content.items() if name != "receivedDateTime"}
    return content


def swapped(body: Mapping[str, Any]) -> dict[str, Any]:
    """A batch whose parts have changed places."""
    parts = body["responses"]
    bodies = [part["body"] for part in parts]
    return {**body, "responses": [{**part, "body": bodies[place - 1]} for place, part in enumerate(parts)]}


def from_the_start(call: Call) -> Call:
    """The call as if it asked for the first page of its folder."""
    left = {name: value for name, value in call.query.items() if name not in ("$skip", "$filter")}
    return replace(call, query=left)


def led_astray(answer: Answer, call: Call, operation: str, root: str, take: Take) -> Answer:
    """The answer as ordered faults have it."""
    body = answer.body
    if not isinstance(body, Mapping) or answer.status != 200:
        return answer
    if operation == "delta" and not is_endless(call) and take(ENDLESS):
        return endless(call, root)
    if operation == "delta" and take(REPEATED):
        body = repeated(body, call, root)
    if operation == "messages" and (fault := take(COUNT)):
        body = uncounted(body, fault["value"])
    if operation == "messages" and _NEXT in body and take(UNLINKED):
        body = unlinked(body)
    if operation == "batch" and take(SWAPPED):
        body = swapped(body)
    if operation in ("batch", "delta", "messages") and take(TIMELESS):
        body = timeless(body)
    return Answer(answer.status, body, answer.headers)


def _url(call: Call, root: str, query: Mapping[str, str]) -> str:
    return f"{root}{quote(call.path, safe="/()'=")}?{encode(dict(query))}"
