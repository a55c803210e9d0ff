"""Graph on its worst day: one answer in so many is a random one of all that it has been seen to give."""

import logging
import random
from collections.abc import Mapping
from dataclasses import replace

from sandbox.control.faults import Fault, register
from sandbox.control.parameters import number, whole
from sandbox.graph import astray, oddities
from sandbox.graph.faults import WHERE
from sandbox.graph.protocol import Answer, Call, GatewayPage, GraphError

CHAOS = register(
    "graph-chaos",
    "One answer about mail in 1/`share`, alone or in a batch, is a random one, by `seed`: 401, 403, 404 of a gateway,"
    " 412, 429, 500, 503, half of the JSON, halves of surrogate pairs, null entries, a count of -1, a link that is"
    " missing, repeated, foreign or without end",
    seed=whole(1),
    share=number(0.1, most=1),
    **WHERE,
)

_REFUSALS: dict[str, GraphError] = {
    "401": GraphError(401, "InvalidAuthenticationToken", "Access token validation failure."),
    "403 of a gateway": GatewayPage(403),
    "403 unknown": GraphError(403, "UnknownError", ""),
    "403 denied": GraphError(403, "ErrorAccessDenied", "Access is denied."),
    "404 of a gateway": GatewayPage(404),
    "412": GraphError(412, "ErrorIrresolvableConflict", "The change key does not match."),
    "429": GraphError(429, "ApplicationThrottled", "Application is over its limit.", {"Retry-After": "1"}),
    "500": GraphError(500, "InternalServerError", "Error while processing response."),
    "503": GraphError(503, "serviceNotAvailable", "The service is temporarily unavailable."),
}
_ODDITIES = ("graph-truncated-json", "graph-half-surrogates", "graph-null-entries")
_LINKS = ("missing link", "repeated link", "foreign link")
_KINDS = {
    "folder": (*_REFUSALS, *_ODDITIES),
    "message": tuple(_REFUSALS),
    "batch": (*_REFUSALS, *_ODDITIES),
    "messages": (*_REFUSALS, *_ODDITIES, *_LINKS, "count -1"),
    "delta": (*_REFUSALS, *_ODDITIES, *_LINKS, "endless page"),
}
"""What may strike, by operation."""

KINDS = frozenset(kind for kinds in _KINDS.values() for kind in kinds)
"""Everything that may strike; what does is logged."""

_log = logging.getLogger(__name__)

_HOST = "graph.example.net"


class Chaos:
    """The dice."""

    def __init__(self) -> None:
        self._fault: Fault | None = None
        self._rolled = 0

    def roll(self, fault: Fault | None, operation: str) -> str:
        """What strikes this answer; "" for nothing. A seed gives the same strikes to the same requests."""
        kinds = _KINDS.get(operation)
        if fault is None or kinds is None:
            return ""
        self._rolled = self._rolled + 1 if fault is self._fault else 1
        self._fault = fault
        dice = random.Random(f"{fault['seed']}/{self._rolled}")
        kind = dice.choice(kinds) if dice.random() < fault["share"] else ""
        if kind:
            _log.info("chaos: %s", kind)
        return kind


def refuse(kind: str) -> None:
    """Raises the refusal that a kind is."""
    if kind in _REFUSALS:
        raise _REFUSALS[kind].with_traceback(None)


def spoil(kind: str, answer: Answer, call: Call, root: str) -> Answer:
    """The answer with what the kind does to it."""
    body = answer.body
    if not isinstance(body, Mapping) or answer.status != 200:
        return answer
    match kind:
        case "count -1":
            return replace(answer, body=astray.uncounted(body, -1))
        case "missing link":
            return replace(answer, body=astray.unlinked(body))
        case "repeated link":
            return replace(answer, body=astray.repeated(body, call, root))
        case "foreign link":
            return replace(answer, body=astray.foreign(body, root, _HOST))
        case "endless page":
            return astray.endless(call, root)
    spoilt = oddities.distorted(body, lambda name: name == kind)
    return answer if spoilt is None else replace(answer, body=spoilt)
