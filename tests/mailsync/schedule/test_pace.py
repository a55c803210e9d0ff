from mailsync.schedule.pace import Pace
from tests.mailsync.world import Clock


def test_two_at_once_then_one_a_second():
    clock = Clock()
    pace = Pace(clock)
    assert [pace.allows("a") for _ in range(4)] == [True, True, False, False]
    clock.advance(1)
    assert [pace.allows("a") for _ in range(3)] == [True, False, False]
    clock.advance(60)
    assert [pace.allows("a") for _ in range(3)] == [True, True, False]


def test_mailboxes_have_a_pace_each():
    pace = Pace(Clock())
    assert all(pace.allows(mailbox) for mailbox in "abab")
    assert not pace.allows("a")


def test_what_is_at_rest_is_forgotten():
    clock = Clock()
    pace = Pace(clock)
    for number in range(1_000):
        pace.allows(str(number))
    clock.advance(10)
    assert pace.allows("another")
    assert pace.remembered == 1
