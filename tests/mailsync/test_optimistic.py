"""Optimistic writes: how often they are tried, and on which record."""

import pytest

from mailsync import optimistic
from mailsync.errors import RetryLater, StaleWrite

CONTENDED = RetryLater("contended", "too many write")


class Attempts:
    """Meets other writers `stale` times; the record is a number that they count up."""

    def __init__(self, stale: int) -> None:
        self.stale = stale
        self.seen: list[int] = []

    def __call__(self, record: int) -> str:
        self.seen.append(record)
        if len(self.seen) <= self.stale:
            raise StaleWrite("somebody was faster")
        return f"wrote {record}"

    def reread(self) -> int:
        return len(self.seen)


@pytest.mark.parametrize(("stale", "seen"), [(0, [0]), (1, [0, 1]), (2, [0, 1, 2])])
def test_it_is_tried_again_on_the_record_as_it_is_now(stale, seen):
    attempts = Attempts(stale)
    assert optimistic.write(0, attempts, attempts.reread, contended=CONTENDED) == f"wrote {stale}"
    assert attempts.seen == seen


@pytest.mark.parametrize("tries", [1, 3, 8])
def test_after_so_many_tries_it_is_contended(tries):
    attempts = Attempts(99)
    with pytest.raises(RetryLater) as raised:
        optimistic.write(0, attempts, attempts.reread, contended=CONTENDED, tries=tries)
    assert raised.value is CONTENDED
    assert isinstance(raised.value.__cause__, StaleWrite)
    assert len(attempts.seen) == tries


def test_any_other_error_ends_it():
    def refuse(record: int) -> None:
        raise ValueError(record)

    with pytest.raises(ValueError, match="0"):
        optimistic.write(0, refuse, lambda: 1, contended=CONTENDED)
