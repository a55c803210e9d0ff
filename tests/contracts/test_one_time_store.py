from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailsync.adapters.storage.one_time import TableOneTimeStore
from mailsync.errors import StaleWrite
from mailsync.one_time import OneTimeRecord
from tests.fakes.stores import FakeOneTimeStore

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
RECORD = OneTimeRecord("ab" * 32, "gAAAA-sealed_" * 300, NOW + timedelta(minutes=10))


@pytest.fixture(params=["fake", "azure"])
def signins(request):
    return FakeOneTimeStore() if request.param == "fake" else TableOneTimeStore(request.getfixturevalue("storage"))


def test_a_record_comes_back_as_it_was_put(signins):
    assert signins.get(RECORD.key) is None
    signins.put(RECORD)
    found = signins.get(RECORD.key)
    assert found.version
    assert replace(found, version=None) == RECORD


def test_a_key_is_put_once(signins):
    signins.put(RECORD)
    with pytest.raises(StaleWrite):
        signins.put(replace(RECORD, payload="another"))
    assert signins.get(RECORD.key).payload == RECORD.payload


def test_a_record_is_taken_once(signins):
    signins.put(RECORD)
    found = signins.get(RECORD.key)
    assert signins.take(found) is True
    assert signins.take(found) is False
    assert signins.get(RECORD.key) is None


def test_of_many_who_take_at_once_one_gets_it(signins):
    signins.put(RECORD)
    found = signins.get(RECORD.key)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(signins.take, [found] * 8))
    assert sorted(taken) == [False] * 7 + [True]


def test_a_record_that_was_not_read_cannot_be_taken(signins):
    signins.put(RECORD)
    assert signins.take(RECORD) is False


def test_a_record_put_again_is_another(signins):
    signins.put(RECORD)
    first = signins.get(RECORD.key)
    signins.take(first)
    signins.put(RECORD)
    assert signins.take(first) is False
    assert signins.take(signins.get(RECORD.key)) is True


def test_purge_deletes_what_has_expired(signins):
    moments = [-60, 0, 0.001, 60]
    for number, seconds in enumerate(moments):
        signins.put(OneTimeRecord(f"{number:064x}", "x", NOW + timedelta(seconds=seconds)))
    assert signins.purge(NOW) == 2
    assert [signins.get(f"{number:064x}") is not None for number in range(4)] == [False, False, True, True]
    assert signins.purge(NOW) == 0
