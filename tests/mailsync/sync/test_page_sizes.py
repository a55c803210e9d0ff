"""What is tried where a page cannot be had, and what completes a message, as tables."""

from datetime import UTC, datetime

import pytest

from mailsync.errors import (
    FolderNotFound,
    GraphForbidden,
    GraphRefused,
    GraphUnavailable,
    GraphUnreachable,
    Throttled,
)
from mailsync.reasons import Reason
from mailsync.sync.folder_state import asks_for_time, completed, is_of_the_page, larger, smaller, whole_seconds
from mailsync.sync.records import Content, Message

SMALLER = {0: 20, 100: 20, 21: 20, 20: 5, 6: 5, 5: 1, 2: 1, 1: 0}
LARGER = {1: 2, 5: 10, 20: 40, 49: 98, 50: 0, 100: 0}
"""0 stands for as many as usual, and after 1 for no smaller."""


@pytest.mark.parametrize(("size", "expected"), SMALLER.items())
def test_smaller(size, expected):
    assert smaller(size) == expected


@pytest.mark.parametrize(("size", "expected"), LARGER.items())
def test_larger(size, expected):
    assert larger(size) == expected


FAILURES = {
    # May a smaller page do; does Graph want to be left alone.
    "Graph is away": (GraphUnavailable(""), True, False),
    "Graph is away for a time": (GraphUnavailable("", 30), True, True),
    "no answer": (GraphUnreachable(""), True, False),
    "refused": (GraphRefused(""), True, False),
    "throttled": (Throttled(Reason.GRAPH_THROTTLED, ""), False, True),
    "throttled for no time": (Throttled(Reason.GRAPH_THROTTLED, "", 0), False, True),
    "another that names a time": (GraphForbidden("", 0), False, True),
    "another": (GraphForbidden(""), False, False),
    "another refusal": (FolderNotFound(""), False, False),
}


@pytest.mark.parametrize(("error", "of_the_page", "for_time"), FAILURES.values(), ids=FAILURES.keys())
def test_failure(error, of_the_page, for_time):
    assert is_of_the_page(error) is of_the_page
    assert asks_for_time(error) is for_time


BARE = Message("a", Content(subject="Hello", is_read=False))
COMPLETED = {
    "nothing was fetched": (BARE, {}, BARE),
    "another was fetched": (BARE, {"b": Message("b", Content(body="Hi"))}, BARE),
    "what was fetched comes on top": (
        BARE,
        {"a": Message("a", Content(body="Hi", is_read=True))},
        Message("a", Content(subject="Hello", body="Hi", is_read=True)),
    ),
    "what is removed stays so": (
        Message("a", removed=True),
        {"a": Message("a", Content(body="Hi"))},
        Message("a", removed=True),
    ),
}


@pytest.mark.parametrize(("message", "whole", "expected"), COMPLETED.values(), ids=COMPLETED.keys())
def test_completed(message, whole, expected):
    assert completed(message, whole) == expected


def test_a_windows_start_is_compared_in_whole_seconds():
    moment = datetime(2026, 11, 25, 9, 0, 59, 999_999, tzinfo=UTC)
    assert whole_seconds(moment) == datetime(2026, 11, 25, 9, 0, 59, tzinfo=UTC)
