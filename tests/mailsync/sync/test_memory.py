"""The budget of answers in memory: who waits, who never does, and that what was taken is given back whatever happens."""

import gc
import threading
import weakref
from functools import partial

import pytest

from mailsync.memory import Budget, Crowded, TooMuch
from mailsync.sync.read_ahead import read_ahead

FREE, TOTAL, MOST = 10, 100, 300


@pytest.fixture
def budget():
    return Budget(total=TOTAL, free=FREE, most=MOST, wait=0.02)


def test_what_one_alone_takes_may_be_more_than_there_is(budget):
    one = budget.hold()
    one.take(TOTAL + 50)
    assert budget.taken == TOTAL + 50


def test_none_takes_more_than_one_may_have_at_all(budget):
    one = budget.hold()
    one.take(MOST)
    with pytest.raises(TooMuch):
        one.take(1)
    assert budget.taken == MOST


def test_who_needs_little_never_waits(budget):
    budget.hold().take(TOTAL + 50)
    for _ in range(24):
        budget.hold().take(FREE)


def test_who_needs_more_waits_and_is_told_in_time(budget):
    budget.hold().take(TOTAL)
    other = budget.hold()
    with pytest.raises(Crowded):
        other.take(FREE + 1)
    assert other.taken == 0
    assert budget.taken == TOTAL


def test_who_began_first_goes_on_even_where_nothing_is_left(budget):
    first, second = budget.hold(), budget.hold()
    second.take(TOTAL)
    first.take(TOTAL)  # which began before, though it asks only now
    with pytest.raises(Crowded):
        second.take(1)
    first.release()
    second.take(1)


def test_who_waits_goes_on_once_there_is_room():
    budget = Budget(total=TOTAL, free=FREE, most=MOST, wait=30)
    first, second = budget.hold(), budget.hold()
    first.take(TOTAL)
    taken = threading.Event()
    waiting = threading.Thread(target=lambda: (second.take(FREE + 1), taken.set()))
    waiting.start()
    first.release()
    assert taken.wait(20)
    waiting.join()
    assert budget.taken == FREE + 1


def test_many_that_grow_at_once_all_come_to_their_end():
    """No two wait for each other, although all together want six times what there is."""
    budget = Budget(total=TOTAL, free=FREE, most=MOST, wait=30)
    done, most = [], []

    def grow(holding):
        for _ in range(10):
            holding.take(5)
            most.append(budget.taken)
        holding.release()
        done.append(holding)

    threads = [threading.Thread(target=grow, args=(budget.hold(),)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(done) == 12
    assert budget.taken == 0
    assert max(most) <= TOTAL + 50 + 12 * FREE


def pages(budget, sizes, fails_at=None, fails_in="fetch"):
    def step(name, place):
        if (place, name) == (fails_at, fails_in):
            raise ValueError(place)
        current().take(sizes[place] // 2)
        return place

    def following(place):
        return partial(step, "fetch", place + 1) if place + 1 < len(sizes) else None

    return read_ahead(partial(step, "fetch", 0), following, partial(step, "prepare"), budget)


def current():
    from mailsync import memory

    return memory._current.get()  # noqa: SLF001 - a page's work finds it so, in other threads


def test_a_page_is_held_until_the_next_one_is_asked_for_and_no_more_than_three_are(budget):
    held = [budget.taken for _ in pages(budget, [20, 2, 2, 2, 40])]
    assert 20 <= held[0] <= 24
    assert 2 <= held[1] <= 6
    assert held[-1] == 40
    assert budget.taken == 0


def test_while_a_page_is_written_another_is_prepared_and_a_third_fetched(budget):
    fetched, prepared = threading.Semaphore(0), threading.Semaphore(0)

    def fetch(place):
        fetched.release()
        return place

    def prepare(place):
        prepared.release()
        return place

    reading = read_ahead(partial(fetch, 0), lambda place: partial(fetch, place + 1), prepare, budget)
    assert next(reading) == 0
    assert all(fetched.acquire(timeout=20) for _ in range(3))
    assert all(prepared.acquire(timeout=20) for _ in range(3))
    assert not fetched.acquire(blocking=False)
    reading.close()


def test_a_reading_that_ends_early_gives_everything_back(budget):
    reading = pages(budget, [20, 30, 40])
    next(reading)
    reading.close()
    assert budget.taken == 0


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("step", ["fetch", "prepare"])
def test_what_fails_is_raised_behind_what_came_before_and_gives_everything_back(budget, place, step):
    reading = pages(budget, [20, 30, 40], place, step)
    assert [next(reading) for _ in range(place)] == list(range(place))
    with pytest.raises(ValueError, match=str(place)):
        next(reading)
    assert budget.taken == 0


class Mail:
    """Something large."""


def test_an_error_keeps_nothing_of_what_was_read_before_it(budget):
    """Without the garbage collector, which would come late: it does not know how much hangs on an error."""
    kept = []

    def work():
        mail = Mail()
        kept.append(weakref.ref(mail))
        error = ValueError("kept in the frame that it names")
        raise error

    gc.disable()
    try:
        with pytest.raises(ValueError, match="kept"):
            budget.hold().during(work)
        assert kept[0]() is None
    finally:
        gc.enable()
