"""Answers as Graph's documents rule them out, and as it has been seen to give them.

None changes what an answer says: oddities come in places that a reader does not need, or stand for U+FFFD, which is
what is left of such a character in the mailbox. So whoever reads tolerantly loses nothing.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.control.faults import Fault, register
from sandbox.graph.faults import WHERE

_NOTE = "@odata.note"
_MISSING = "\ufffd"


def _halves(body: Mapping[str, Any]) -> bytes:
    return json.dumps(_walked(body, note=_MISSING)).replace(r"\ufffd", r"\ud83d").encode()


def _bytes(body: Mapping[str, Any]) -> bytes:
    text = json.dumps(_walked(body, note=f"{_MISSING}\x01"), ensure_ascii=False)
    return text.replace(r"\u0001", "\x01").encode().replace(_MISSING.encode(), b"\xff")


def _nulls(body: Mapping[str, Any]) -> bytes:
    return json.dumps(_walked(body, nulls=True)).encode()


def _messages(body: Mapping[str, Any]) -> bytes:
    return json.dumps(_walked(body, mute=True)).encode()


def _half_the_answer(body: Mapping[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    return content[: len(content) // 2]


_DISTORT: dict[str, Callable[[Mapping[str, Any]], bytes]] = {
    register(
        "graph-half-surrogates",
        "Graph's JSON holds halves of surrogate pairs as escapes: in a property of no meaning, and for each U+FFFD",
        **WHERE,
    ): _halves,
    register(
        "graph-bad-bytes",
        "Graph's JSON holds a control character and bytes that are no UTF-8: in a property of no meaning, and for"
        " each U+FFFD",
        **WHERE,
    ): _bytes,
    register("graph-null-entries", "Each list in Graph's answer begins with null", **WHERE): _nulls,
    register("graph-null-message", "The message of Graph's errors is null, alone and in batches", **WHERE): _messages,
    register("graph-truncated-json", "Graph answers half of its JSON, as if that were all", **WHERE): _half_the_answer,
}


def distorted(body: Mapping[str, Any], take: Callable[[str], Fault | bool | None]) -> bytes | None:
    """The answer with the first oddity that `take` says is ordered; None where none is."""
    for name, distort in _DISTORT.items():
        if take(name):
            return distort(body)
    return None


def _walked(value: Any, *, note: str = "", nulls: bool = False, mute: bool = False) -> Any:
    """A copy: with a property of no meaning in each object, null before each list, errors without message."""
    if isinstance(value, Mapping):
        copy = {name: _walked(each, note=note, nulls=nulls, mute=mute) for name, each in value.items()}
        if mute and "code" in copy and "message" in copy:
            copy["message"] = None
        return {**copy, _NOTE: note} if note else copy
    if isinstance(value, list | tuple):
        return [None] * nulls + [_walked(each, note=note, nulls=nulls, mute=mute) for each in value]
    return value
