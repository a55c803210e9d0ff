r"""JSON that others wrote: read strictly, which is fast, and where that fails read again, tolerantly.

Graph, Entra and whoever posts to the webhook send what their own documents do not allow, such as

    {"subject": "half a surrogate pair: \ud83d", "toRecipients": [null], "isRead": "false"}

and bytes that are no UTF-8, or control characters inside texts. None of these may cost more than the place it
stands in.
"""

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

ESSENTIAL = msgspec.Meta(extra={"essential": True})
"""Marks an optional property that must not be left out: where its type is wrong, what holds it is left out."""

MOST_LOSSES = 10_000
"""Values of an unexpected type that are left out of an answer, at the most: anybody can post to the webhook."""

_WHOLE_NUMBERS = range(-(2**63), 2**64)
"""Whole numbers that msgspec can write again; others become floats."""

_HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair. A whole pair is one character to Python, and does not match."""

_log = logging.getLogger(__name__)

Losses = Counter[str]
"""How often which property, or the entry of which list, was left out. Names are those that we declare."""


class Unreadable(ValueError):
    """No JSON (or only the beginning of it), or JSON without what the shape must have. Never quotes what was read."""


def tell(losses: Losses) -> None:
    """Logs what was left out of an answer."""
    _log.warning("left out of an answer, having an unexpected type: %s", ", ".join(sorted(losses)))


def quiet(_: Losses) -> None:
    """Logs nothing: for answers in which nothing is missed, and for senders who could fill the log."""


def read[Shape](raw: bytes, decoder: msgspec.json.Decoder[Shape], *, on_loss: Callable[[Losses], None] = tell) -> Shape:
    """What `raw` says, in the decoder's shape. Raises Unreadable, and nothing else.

    Where strict decoding fails, halves of surrogate pairs and bytes that are no UTF-8 become U+FFFD; a property
    of a wrong type is left out, which leaves its default; an entry of a wrong type is left out of its list.
    What lacks a property without a default, or has a wrong ESSENTIAL one, is itself of a wrong type.
    """
    try:
        return decoder.decode(raw)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        pass
    fitter = _Fitter()
    try:
        shape: Shape = fitter.fit(loads(raw), decoder.type)
    except (_Odd, RecursionError):
        # Nothing is chained: a decoder's message may quote what it met.
        raise Unreadable("the JSON lacks what it must have") from None
    if fitter.losses:
        on_loss(fitter.losses)
    return shape


def loads(raw: bytes) -> Any:
    """Any JSON as Python has it, its texts mended. Raises Unreadable."""
    text = raw.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text, strict=False, parse_int=_integer, parse_constant=_nothing)
        return whole(value) if r"\ud" in text or r"\uD" in text else value
    except (ValueError, RecursionError):
        raise Unreadable("this is no JSON, or not all of it") from None


def whole(value: Any) -> Any:
    """Puts U+FFFD in the place of halves of surrogate pairs, which no UTF-8 can hold."""
    if isinstance(value, str):
        return value if value.isascii() else _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [whole(entry) for entry in value]
    if isinstance(value, dict):
        return {whole(name): whole(entry) for name, entry in value.items()}
    return value


class _Odd(Exception):
    """A value is not of the type that is wanted in its place."""


class _Fitter:
    """Fits one answer into a shape and counts what it leaves out."""

    def __init__(self) -> None:
        self.losses: Losses = Counter()

    def fit(self, value: Any, wanted: Any, name: str = "") -> Any:
        """`value` as `wanted`, whole or without its odd parts. Raises _Odd where it is another thing altogether."""
        if wanted is msgspec.Raw:
            return msgspec.Raw(msgspec.json.encode(value))
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError:
            pass
        for shape in _members(wanted):
            origin = get_origin(shape) or shape
            if isinstance(value, list) and origin in (list, tuple):
                return origin(self._entries(value, get_args(shape)[0], name))
            if isinstance(value, dict) and isinstance(origin, type) and issubclass(origin, msgspec.Struct):
                return self._struct(value, origin)
        raise _Odd

    def _entries(self, values: list[Any], wanted: Any, name: str) -> Iterator[Any]:
        for value in values:
            try:
                yield self.fit(value, wanted, name)
            except _Odd:
                self._lose(f"an entry of {name or 'the list'}")

    def _struct(self, value: dict[str, Any], shape: type[msgspec.Struct]) -> msgspec.Struct:
        kept = {}
        for field in _fields(shape):
            if field.encode_name not in value:
                if field.required:
                    raise _Odd
                continue
            try:
                kept[field.name] = self.fit(value[field.encode_name], field.type, field.encode_name)
            except _Odd:
                if field.required or _is_essential(field.type):
                    raise
                self._lose(field.encode_name)
        return shape(**kept)

    def _lose(self, what: str) -> None:
        self.losses[what] += 1
        if self.losses.total() > MOST_LOSSES:
            raise Unreadable("too much of the JSON has an unexpected type")


def _members(wanted: Any) -> tuple[Any, ...]:
    """The types that a union offers, or the one that there is."""
    if get_origin(wanted) is Annotated:
        return _members(get_args(wanted)[0])
    return get_args(wanted) if get_origin(wanted) in (UnionType, Union) else (wanted,)


def _is_essential(wanted: Any) -> bool:
    return get_origin(wanted) is Annotated and ESSENTIAL in get_args(wanted)[1:]


@cache
def _fields(shape: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(shape)


def _integer(digits: str) -> int | float:
    """Python refuses to read more than some thousand digits, and msgspec to write more than 64 bits."""
    if len(digits) <= 20 and (number := int(digits)) in _WHOLE_NUMBERS:
        return number
    return float(digits)


def _nothing(_: str) -> None:
    """NaN and Infinity, which are no JSON."""
