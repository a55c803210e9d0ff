"""The timer's tick: who is woken, how often, and what one failure costs the others."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailsync.errors import RetryLater
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.records import MailboxState
from mailsync.schedule.poller import Poller
from mailsync.schedule.records import Hint
from tests.fakes.queue_and_vault import FakeHintQueue
from tests.fakes.stores import FakeMailboxStore, FakeSignInStore
from tests.mailsync.world import MAILBOX, START, TENANT, Clock


class Picky(FakeHintQueue):
    """A queue that is away for one mailbox."""

    away: str = ""

    def send(self, hint: Hint, delay: float = 0) -> None:
        if hint.mailbox_id == self.away:
            raise RetryLater("storage_unavailable", "away")
        super().send(hint, delay)


class Desk:
    def __init__(self, *due_in: float) -> None:
        self.clock, self.mailboxes, self.queue = Clock(), FakeMailboxStore(), Picky()
        self.poller = Poller(self.mailboxes, FakeSignInStore(), self.queue, self.clock)
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
    desk = Desk(*[-1] * 2000)
    assert desk.poller.tick() == 2000
    delays = sorted(delay for _, delay in desk.queue.take())
    assert delays[0] == 0
    assert delays[-1] == 45
    assert sum(delay < 1 for delay in delays) == 20


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
