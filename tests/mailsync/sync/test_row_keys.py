from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailsync.sync.row_keys import index_key, row_bound, row_key

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(-11_644_473_600_000_000, 253_402_214_400_000_000).map(lambda n: EPOCH + timedelta(microseconds=n))


def received_of(key):
    return datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - timedelta(milliseconds=int(key[1:16]))


@given(MOMENTS, MOMENTS, st.text(), st.text())
def test_row_keys_sort_newest_first(one, other, first_id, second_id):
    first, second = row_key(one, first_id), row_key(other, second_id)
    assert len(first) == len(second)
    if one - other >= timedelta(milliseconds=1):
        assert first < second
    assert timedelta() <= one - received_of(first) < timedelta(milliseconds=1)
    assert (first < row_bound(other)) == (received_of(first) >= received_of(row_key(other, "")))


@given(st.text(), st.text())
def test_keys_are_deterministic_and_hold_no_forbidden_character(first_id, second_id):
    moment = datetime(2026, 11, 25, tzinfo=UTC)
    for key in (row_key(moment, first_id), index_key(first_id)):
        assert key.replace("-", "").isalnum()
        assert key.isascii()
    assert (index_key(first_id) == index_key(second_id)) == (first_id == second_id)
    assert (row_key(moment, first_id) == row_key(moment, second_id)) == (first_id == second_id)
    assert row_key(moment, first_id)[0] == "m"
    assert index_key(first_id)[0] == "i"
