"""The timer's tick: who is woken, how often, and what one failure costs the others."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest

from mailsync.bootstrap import App
from mailsync.errors import RetryLater
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.records import DueMailbox, MailboxState
from mailsync.schedule import poller
from mailsync.schedule.records import Hint
from tests.fakes.queue_and_vault import FakeHintQueue
from tests.fakes.stores import FakeMailboxStore, FakeOneTimeStore
from tests.mailsync.world import MAILBOX, START, TENANT, Clock, settings


class Picky(FakeHintQueue):
    """A queue that is away for one mailbox."""

    away: str = ""

    def send(self, hint: Hint, delay: float = 0) -> None:
        if hint.mailbox_id == self.away:
            raise RetryLater("storage_unavailable", "away")
        super().send(hint, delay)


class Failing(FakeMailboxStore):
    """A table of which one shard cannot be read, or in which nothing can be marked."""

    unread: str = ""
    unmarked = False

    def due(self, shard: str, now: datetime, since: str = "") -> Iterator[Sequence[DueMailbox]]:
        if shard == self.unread:
            raise RetryLater("storage_unavailable", "away")
        return super().due(shard, now, since)

    def mark_queued(self, entries: Sequence[DueMailbox], now: datetime) -> None:
        if self.unmarked:
            raise RetryLater("storage_unavailable", "away")
        super().mark_queued(entries, now)


class Desk:
    def __init__(self, *due_in: float) -> None:
        self.clock, self.mailboxes, self.queue = Clock(), Failing(), Picky()
        self.poller = App(
            settings(), mailboxes=self.mailboxes, one_time=FakeOneTimeStore(), queue=self.queue, clock=self.clock
        ).poller
        self.ids = [mailbox_id(TENANT, f"bbbbbbbb-0000-4000-8000-{number:012x}") for number in range(len(due_in))]
        for each, seconds in zip(self.ids, due_in, strict=True):
            self.save(each, START + timedelta(seconds=seconds))

    def save(self, each, next_poll_at, state=MailboxState.ACTIVE):
        known = self.mailboxes.get(each)
        self.mailboxes.save(
            replace(
                MAILBOX,
                id=each,
                next_poll_at=next_poll_at,
                state=state,
                version=known.version if known else None,
                due_key=known.due_key if known else None,
            )
        )

    def taken(self):
        """What is on the queue: shares, and the ids of mailboxes that are woken."""
        hints = [hint for hint, _ in self.queue.take()]
        return [hint for hint in hints if hint.share_from], [hint.mailbox_id for hint in hints if not hint.share_from]

    def woken(self):
        return {hint.mailbox_id for hint, _ in self.queue.take()}


def test_what_is_due_is_woken_and_nothing_else():
    desk = Desk(-1, 0, 60)
    assert desk.poller.tick() == 2
    assert desk.woken() == set(desk.ids[:2])


def test_what_was_woken_is_left_until_its_hint_must_be_lost():
    desk = Desk(-1)
    desk.poller.tick()
    desk.woken()
    desk.clock.advance(14 * 60)
    assert desk.poller.tick() == 0
    desk.clock.advance(2 * 60)
    assert desk.poller.tick() == 1


def test_a_sync_moves_the_next_poll():
    desk = Desk(-1)
    desk.poller.tick()
    desk.woken()
    desk.save(desk.ids[0], START + timedelta(minutes=5))
    desk.clock.advance(5 * 60)
    assert desk.poller.tick() == 1


def test_a_mailbox_without_a_next_poll_is_off_the_schedule():
    desk = Desk(-1)
    desk.save(desk.ids[0], None, MailboxState.NEEDS_RECONNECT)
    desk.clock.advance(10**7)
    assert desk.poller.tick() == 0


def test_those_that_are_due_together_start_within_the_minute():
    desk = Desk(*[-1] * 400)
    assert desk.poller.tick() == 400
    delays = [delay for _, delay in desk.queue.take()]
    assert {second: delays.count(second) for second in range(20)} == dict.fromkeys(range(20), 20)


def test_more_of_them_start_evenly_over_the_minute_and_not_before_they_are_marked():
    desk = Desk(*[-1] * 1800)
    assert desk.poller.tick() == 1800
    delays = [delay for _, delay in desk.queue.take()]
    assert {second: delays.count(second) for second in range(3, 48)} == dict.fromkeys(range(3, 48), 40)


def test_one_that_cannot_be_queued_leaves_the_others_and_is_tried_again(caplog):
    desk = Desk(-1, -1, -1)
    desk.queue.away = desk.ids[1]
    with caplog.at_level("INFO", "mailsync"), pytest.raises(RetryLater):
        desk.poller.tick()
    assert "poll_tick queued=2 failed=1" in caplog.text
    assert desk.woken() == {desk.ids[0], desk.ids[2]}
    desk.queue.away = ""
    assert desk.poller.tick() == 1
    assert desk.woken() == {desk.ids[1]}


def test_a_shard_that_cannot_be_read_leaves_the_others(caplog):
    desk = Desk(-1, -1, -1)
    desk.mailboxes.unread = desk.ids[1][-1]
    with caplog.at_level("INFO", "mailsync"), pytest.raises(RetryLater):
        desk.poller.tick()
    assert "poll_tick queued=2 failed=1" in caplog.text
    assert desk.woken() == {desk.ids[0], desk.ids[2]}


def test_what_is_queued_and_cannot_be_marked_is_queued_again(caplog):
    desk = Desk(-1, -1)
    desk.mailboxes.unmarked = True
    with pytest.raises(RetryLater):
        desk.poller.tick()
    desk.mailboxes.unmarked = False
    assert desk.woken() == set(desk.ids)
    assert desk.poller.tick() == 2


def test_a_tick_without_anything_due_sends_and_marks_nothing():
    desk = Desk(60)
    assert desk.poller.tick() == 0
    assert (desk.queue.take(), desk.mailboxes.marked) == ([], [])


@pytest.fixture
def small(monkeypatch):
    """Sixteen shards of 20 in pages of 8, of which a tick takes up two shards itself."""
    monkeypatch.setattr(poller, "_ALONE", 16)
    desk = Desk(*[-1] * 320)
    desk.mailboxes.page = 8
    return desk


def test_what_is_too_much_for_one_tick_is_handed_out_in_shares(small, caplog):
    with caplog.at_level("INFO", "mailsync"):
        assert small.poller.tick() == 16
    assert "poll_tick queued=16 shares=16" in caplog.text
    delays = sorted(delay for hint, delay in small.queue.sent if hint.share_from)
    assert delays == [0] * 14 + [45] * 2
    shares, woken = small.taken()
    assert {share.mailbox_id[-1] for share in shares} == set("0123456789abcdef")
    for share in shares:
        assert small.poller.wake_share(share) == 8
    rest, more = small.taken()
    # The two that came after 45 seconds are of half-done shards, and their own rest would come after the next tick.
    assert len(set(woken + more)) == len(woken + more) == 16 + 16 * 8
    assert len(rest) == 16


def test_of_a_share_the_rest_comes_later_and_never_after_the_next_tick(small):
    small.poller.tick()
    share = next(hint for hint in small.taken()[0] if hint.mailbox_id[-1] == "f")
    small.poller.wake_share(share)
    assert [delay for hint, delay in small.queue.sent if hint.share_from] == [45]
    [rest], _ = small.taken()
    small.clock.advance(46)
    assert small.poller.wake_share(rest) == 8
    assert small.taken()[0] == []


def test_ticks_and_shares_wake_each_mailbox_once(small):
    woken = []
    for _ in range(3):
        small.poller.tick()
        work = small.taken()
        while any(work):
            shares, ids = work
            woken += ids
            for share in shares:
                small.poller.wake_share(share)
            work = small.taken()
        small.clock.advance(60)
    assert sorted(woken) == sorted(small.ids)


def test_a_share_that_comes_twice_wakes_nothing_twice(small):
    small.poller.tick()
    *_, share = small.taken()[0]
    assert small.poller.wake_share(share) == 8
    assert small.poller.wake_share(share) == 8
    assert small.poller.wake_share(share) == 4
    assert small.poller.wake_share(share) == 0
    _, woken = small.taken()
    assert len(woken) == len(set(woken)) == 20


def test_a_share_that_comes_after_the_next_tick_is_left_to_that(small, caplog):
    small.poller.tick()
    share, *_ = small.taken()[0]
    small.clock.advance(60)
    with caplog.at_level("INFO", "mailsync"):
        assert small.poller.wake_share(share) == 0
    assert "why=late_share" in caplog.text
    assert small.taken() == ([], [])


def test_what_a_lost_share_was_to_wake_the_next_tick_finds(small):
    small.poller.tick()
    lost, woken = small.taken()
    small.clock.advance(60)
    small.poller.tick()
    shares, more = small.taken()
    assert not set(woken) & set(more)
    assert len(shares) == len(lost)


def test_a_share_wakes_what_was_due_at_its_tick_and_nothing_sooner(small):
    small.save(small.ids[15], START + timedelta(seconds=30))
    small.poller.tick()
    [share] = [hint for hint in small.taken()[0] if hint.mailbox_id[-1] == "f"]
    ahead = replace_at(share, START + timedelta(minutes=50))
    small.mailboxes.page = 100
    assert small.poller.wake_share(ahead) == 19
    small.taken()
    small.clock.advance(31)
    assert small.poller.wake_share(share) == 0


def test_a_share_that_fails_is_told_and_done_again(small):
    small.poller.tick()
    share, *_ = small.taken()[0]
    small.queue.failure = RetryLater("storage_unavailable", "away")
    with pytest.raises(RetryLater):
        small.poller.wake_share(share)
    small.queue.failure = None
    assert small.poller.wake_share(share) == 8


def test_where_thousands_of_hints_wait_no_more_are_added(small):
    """Workers that are behind are helped by nothing that is queued on top."""
    small.mailboxes.page = 2
    for _ in range(8):
        small.poller.tick()
        for share in small.taken()[0]:
            small.poller.wake_share(share)
        small.clock.advance(60)
    assert small.poller.tick() == 0
    assert 16 * 10 <= sum(small.mailboxes.marked) < 320


def replace_at(share: Hint, at: datetime) -> Hint:
    return msgspec.structs.replace(share, at=at)
