import json
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.adapters import json_reader
from mailsync.adapters.json_reader import ESSENTIAL, Unreadable


class Inner(msgspec.Struct):
    name: str | None = None
    numbers: list[int] = []


class Shape(msgspec.Struct, rename="camel"):
    id: str
    some_text: str | msgspec.UnsetType | None = msgspec.UNSET
    flag: bool = False
    at: datetime | None = None
    inner: Inner | None = None
    entries: tuple[Inner, ...] = ()
    link: Annotated[str | None, ESSENTIAL] = None
    rest: msgspec.Raw = msgspec.Raw(b"{}")


DECODER = msgspec.json.Decoder(Shape)
GOOD = {
    "id": "1",
    "someText": 'a "b" \\ud83d \u2603 \U0001f600 \x7f',
    "flag": True,
    "at": "2026-01-02T03:04:05Z",
    "inner": {"name": "n", "numbers": [1, 2]},
    "entries": [{"name": "e"}, {}],
    "link": "https://graph.example/next",
    "rest": {"deep": [1, {"er": None}]},
}


def read(raw, **options):
    return json_reader.read(raw, DECODER, **options)


def lost(raw):
    told = []
    shape = read(raw, on_loss=told.append)
    return shape, dict(told[0]) if told else {}


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (rb'"half \ud83d"', "half \ufffd"),
        (rb'"half \uDE00 \ud83d\ude00"', "half \ufffd \U0001f600"),
        (rb'"\\ud83d"', r"\ud83d"),
        (b'"\xff caf\xe9"', "\ufffd caf\ufffd"),
        (b'"a\x01\tb\nc"', "a\x01\tb\nc"),
    ],
)
def test_what_no_text_may_hold_costs_that_character(text, right):
    shape, losses = lost(b'{"id":"1","someText":' + text + b',"flag":true}')
    assert (shape.some_text, shape.flag, losses) == (right, True, {})


def test_a_byte_order_mark_is_passed_over():
    assert read(b'\xef\xbb\xbf{"id":"1"}').id == "1"


@pytest.mark.parametrize(
    ("odd", "losses"),
    [
        ({"someText": 5}, {"someText": 1}),
        ({"flag": "yes", "at": "yesterday"}, {"flag": 1, "at": 1}),
        ({"inner": []}, {"inner": 1}),
        ({"inner": {"name": [], "numbers": [1, "x", None]}}, {"name": 1, "an entry of numbers": 2}),
        ({"entries": [None, {"name": "e"}, 3]}, {"an entry of entries": 2}),
        ({"entries": {}}, {"entries": 1}),
    ],
)
def test_what_is_odd_costs_the_place_it_stands_in(odd, losses):
    shape, told = lost(json.dumps({"id": "1", **odd}).encode())
    assert told == losses
    assert shape.id == "1"


def test_what_is_good_beside_it_is_kept():
    raw = json.dumps({**GOOD, "inner": {"name": 5, "numbers": [1, None]}, "entries": [None, {"name": "e"}]})
    shape = read(raw.encode())
    assert shape.inner == Inner(numbers=[1])
    assert shape.entries == (Inner("e"),)
    assert (shape.at, shape.link) == (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), GOOD["link"])
    assert json.loads(bytes(shape.rest)) == GOOD["rest"]


def test_a_loss_is_logged_by_the_name_that_we_have_for_it(caplog):
    read(b'{"id":"1","someText":["secret"],"secret":1}')
    assert "someText" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b'{"id":"1"',
        b'{"id":"1","someText":"x',
        b'{"someText":"x"}',
        b'{"id":5}',
        b'{"id":"1","link":5}',
        b"[" * 100_000,
        b'{"id":"1","inner":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"id":"1"}{"id":"2"}',
    ],
)
def test_what_is_no_json_or_lacks_what_it_must_have(raw):
    with pytest.raises(Unreadable) as caught:
        read(raw)
    assert caught.value.__cause__ is None


def test_more_oddities_than_an_answer_can_have_are_no_answer():
    raw = b'{"id":"1","entries":[%s]}' % b",".join([b"null"] * (json_reader.MOST_LOSSES + 1))
    with pytest.raises(Unreadable):
        read(raw)


@pytest.mark.parametrize("number", [b"1" * 5_000, b"1e999", b"NaN", b"-Infinity", b"18446744073709551616"])
def test_a_number_beyond_measure_costs_its_place(number):
    shape = read(b'{"id":"1","flag":' + number + b',"rest":{"number":' + number + b'},"someText":null}')
    assert (shape.flag, shape.some_text) == (False, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=4), inside, max_size=4),
    max_leaves=12,
)
GOOD_SHAPES = st.fixed_dictionaries(
    {"id": st.text()},
    optional={
        "someText": st.none() | st.text(),
        "flag": st.booleans(),
        "inner": st.none() | st.fixed_dictionaries({"numbers": st.lists(st.integers(-(2**63), 2**63 - 1))}),
        "entries": st.lists(st.fixed_dictionaries({}, optional={"name": st.none() | st.text()})),
        "link": st.none() | st.text(),
        "rest": JSON,
        "other": JSON,
    },
)


@given(GOOD_SHAPES, st.booleans())
def test_strict_and_tolerant_agree_on_what_is_good(value, ascii_only):
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    strict = DECODER.decode(raw)
    # An odd entry beside it makes the same text be read tolerantly.
    tolerant, losses = lost(raw[:-1] + b',"at":[]}')
    assert losses == {"at": 1}
    assert msgspec.structs.replace(strict, rest=msgspec.Raw()) == msgspec.structs.replace(tolerant, rest=msgspec.Raw())
    assert read(raw) == strict


@given(st.fixed_dictionaries({}, optional={name: st.just(GOOD[name]) | JSON for name in GOOD}), st.data())
def test_nothing_but_unreadable_is_ever_raised(value, data):
    raw = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(raw)))
        length = data.draw(st.integers(0, 5))
        raw[place : place + length] = data.draw(st.binary(max_size=4) | st.sampled_from([rb"\ud800", b"null", b"\x00"]))
    raw = bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    try:
        shape = read(raw, on_loss=json_reader.quiet)
    except Unreadable:
        return
    assert isinstance(shape, Shape)
    msgspec.json.encode(shape)  # no half of a surrogate pair is left
