"""How much of what is posted for one mailbox becomes a message on the queue."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from mailsync.errors import RetryLater
from mailsync.mailboxes.ids import mailbox_id
from mailsync.push.door import Door
from mailsync.schedule.records import Hint
from tests.fakes.queue_and_vault import FakeAsyncHintQueue

START = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
BOXES = [
    mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", f"bbbbbbbb-0000-4000-8000-00000000000{number}")
    for number in range(3)
]


class Webhook:
    """The door, a clock that a test turns, and what has been queued."""

    def __init__(self):
        self.now = START
        self.queue = FakeAsyncHintQueue()
        self.door = Door(lambda: self.now)

    async def post(self, box=BOXES[0], **more):
        await self.door.send(Hint(box, self.now, pushed=True, **{"nonces": ("nonce",)} | more), self.queue)

    async def flood(self, count, seconds, **more):
        for number in range(count):
            await self.post(created=(f"m{number}",), **more)
            self.now += timedelta(seconds=seconds / count)

    def queued(self):
        """(when it becomes visible, in seconds from the start; ids), in order."""
        return sorted(((hint.at - START).total_seconds() + delay, hint.created) for hint, delay in self.queue.sent)


@pytest.fixture
def webhook():
    return Webhook()


def test_what_comes_now_and_then_is_queued_at_once(webhook):
    asyncio.run(webhook.flood(60, 60))
    assert [delay for _, delay in webhook.queue.sent] == [0] * 60
    assert webhook.door.gathered == 0


def test_a_burst_is_a_few_messages_and_the_last_becomes_visible_after_all_of_it(webhook):
    asyncio.run(webhook.flood(300, 0.9))
    assert [delay for _, delay in webhook.queue.sent] == [0] * 5 + [2]
    assert webhook.door.gathered == 294


def test_a_hint_stands_for_what_comes_within_a_second_and_no_longer(webhook):
    async def posts():
        for seconds in (0, 0, 0, 0, 0, 0.5, 0.5, 0.49, 0.01):
            webhook.now += timedelta(seconds=seconds)
            await webhook.post()

    asyncio.run(posts())
    assert [delay for _, delay in webhook.queue.sent] == [0, 0, 0, 0, 0, 2, 0, 2]
    assert webhook.door.gathered == 1


@pytest.mark.parametrize(("count", "seconds"), [(7, 0.1), (100, 3), (3_000, 10), (300, 60)])
def test_after_whatever_comes_something_becomes_visible_soon(webhook, count, seconds):
    asyncio.run(webhook.flood(count, seconds))
    visible = [at for at, _ in webhook.queued()]
    for number in range(count):
        at = number * seconds / count
        named = any((f"m{number}",) == ids for _, ids in webhook.queued())
        assert named or any(at + 0.99 < then < at + 2.01 for then in visible)
    assert len(visible) <= 5 + 2 * (seconds + 1)


def test_a_budget_is_of_one_mailbox_one_subscription_and_one_kind(webhook):
    async def posts():
        await webhook.flood(50, 0.5, nonces=("captured-long-ago",))
        await webhook.flood(50, 0.5, renew=("subscription",))
        webhook.queue.take()
        await webhook.post()
        await webhook.post(renew=("subscription",), nonces=("another",))
        await webhook.post(BOXES[1])

    asyncio.run(posts())
    assert [delay for _, delay in webhook.queue.sent] == [0, 0, 0]


def test_who_relies_on_a_hint_that_is_not_queued_is_told(webhook):
    """Else Graph would take 202 for an answer, and nothing would wake the sync."""
    release = asyncio.Event()

    class Slow(FakeAsyncHintQueue):
        async def send(self, hint, delay=0):
            if delay:
                await release.wait()
                raise RetryLater("storage_unavailable", "Away.")
            await super().send(hint)

    webhook.queue = Slow()

    async def posts():
        await webhook.flood(5, 0.1)
        waiting = [asyncio.create_task(webhook.post()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # whoever began it has given up
        await asyncio.sleep(0)
        release.set()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(answer) for answer in answers] == [asyncio.CancelledError, RetryLater, RetryLater]
        webhook.queue = FakeAsyncHintQueue()
        await webhook.post()

    asyncio.run(posts())
    assert [delay for _, delay in webhook.queue.sent] == [2]


def test_what_stands_for_nothing_more_is_forgotten(webhook):
    async def posts():
        for number in range(2_000):
            for _ in range(6):
                await webhook.post(nonces=(f"n{number}",))
            webhook.now += timedelta(seconds=0.01)

    asyncio.run(posts())
    assert webhook.door.remembered <= 1_000
