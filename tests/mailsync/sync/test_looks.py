"""Looking again for mail that Graph told of and delta has not shown, as tables: one row a case."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailsync.mailboxes.records import Looking
from mailsync.schedule.records import Hint
from mailsync.sync import looks
from tests.mailsync.world import BOX, MAILBOX, START

NOW = START + timedelta(hours=1)
BEGAN = NOW - timedelta(seconds=3)
"""When the run began after which is asked."""


def seconds(number: float):
    return timedelta(seconds=number)


def chain(*ids: str, due=BEGAN, done: int = 0) -> Looking:
    return Looking(ids, due, done)


def box(looking: Looking | None = None):
    return replace(MAILBOX, looking=looking)


def hint(**fields) -> Hint:
    return Hint(**{"mailbox_id": BOX, "at": START} | fields)


AWAITED = {
    "nothing": (None, (), []),
    "what Graph tells of": (None, ("a", "b"), ["a", "b"]),
    "what was looked for already comes first": (chain("b", "a"), ("c",), ["b", "a", "c"]),
    "each once": (chain("a", "b"), ("b", "c", "c"), ["a", "b", "c"]),
}


@pytest.mark.parametrize(("looking", "created", "expected"), AWAITED.values(), ids=AWAITED.keys())
def test_awaited(looking, created, expected):
    assert looks.awaited(box(looking), hint(created=created)) == expected


UNKNOWN = {
    "all, where there is no chain": (None, ("a", "b"), ("a", "b")),
    "those that the chain lacks": (chain("a", "c"), ("a", "b", "c", "d"), ("b", "d")),
    "none": (chain("a"), ("a",), ()),
}


@pytest.mark.parametrize(("looking", "ids", "expected"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_unknown(looking, ids, expected):
    assert looks.unknown(box(looking), ids) == expected


OVER = {
    "the look that is due is not over": (chain("a", due=START), {"looks": 1}, False),
    "one whose chain has ended is over": (None, {"looks": 1}, True),
    "one that another run has put off is over": (chain("a", due=START + seconds(4)), {"looks": 1}, True),
    "one that another run has put forward is over": (chain("a", due=START - seconds(1)), {"looks": 1}, True),
    "a hint of no look is not over": (None, {}, False),
    "a look with ids of its own is of an older version, and not over": (None, {"looks": 1, "created": ("a",)}, False),
}


@pytest.mark.parametrize(("looking", "fields", "expected"), OVER.values(), ids=OVER.keys())
def test_is_over(looking, fields, expected):
    assert looks.is_over(box(looking), hint(**fields)) is expected


FIFTY = tuple(f"m{number}" for number in range(50))

AFTER = {
    # A chain begins, or ends.
    "everything has come": (chain("a"), (), None),
    "nothing was awaited": (None, (), None),
    "the first look is in two seconds": (None, ("a",), chain("a", due=NOW + seconds(2))),
    # A look that was due was in vain: the next waits longer, and the sixth is none.
    "after one in vain": (chain("a", done=0), ("a",), chain("a", due=NOW + seconds(4), done=1)),
    "after two in vain": (chain("a", done=1), ("a",), chain("a", due=NOW + seconds(8), done=2)),
    "after three in vain": (chain("a", done=2), ("a",), chain("a", due=NOW + seconds(16), done=3)),
    "after four in vain": (chain("a", done=3), ("a",), chain("a", due=NOW + seconds(30), done=4)),
    "after five in vain the poll brings it": (chain("a", done=4), ("a",), None),
    "one of two has come": (chain("a", "b", done=1), ("b",), chain("b", due=NOW + seconds(8), done=2)),
    "due when the run began, it was done by the run": (
        chain("a", due=BEGAN),
        ("a",),
        chain("a", due=NOW + seconds(4), done=1),
    ),
    # A run between two looks.
    "due after the run began, it is still to come": (
        chain("a", due=BEGAN + seconds(0.001), done=2),
        ("a",),
        chain("a", due=BEGAN + seconds(0.001), done=2),
    ),
    "it is put forward where its turn would come sooner": (
        chain("a", due=NOW + seconds(30), done=1),
        ("a",),
        chain("a", due=NOW + seconds(4), done=1),
    ),
    # A new id among them.
    "a new id begins the count anew": (chain("a", done=4), ("a", "b"), chain("a", "b", due=NOW + seconds(2))),
    "a new id waits no longer than the chain does": (
        chain("a", due=NOW + seconds(1), done=3),
        ("a", "b"),
        chain("a", "b", due=NOW + seconds(1)),
    ),
    # Bounds.
    "fifty are looked for": (None, FIFTY, chain(*FIFTY, due=NOW + seconds(2))),
    "of more, the newest fifty": (None, ("old", *FIFTY), chain(*FIFTY, due=NOW + seconds(2))),
}


@pytest.mark.parametrize(("looking", "missing", "expected"), AFTER.values(), ids=AFTER.keys())
def test_after(looking, missing, expected):
    assert looks.after(box(looking), missing, BEGAN, NOW) == expected
