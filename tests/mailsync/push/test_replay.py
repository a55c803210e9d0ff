"""A genuine notification, captured and posted again and again with invented message ids: what that costs."""

import asyncio
import json
from datetime import timedelta

import pytest

from mailsync.mailboxes.ids import MailboxId
from mailsync.push import client_state
from tests.fakes.queue_and_vault import FakeAsyncHintQueue
from tests.mailsync.push.subscribed import connected, kept
from tests.mailsync.world import BOX

POSTS = 300
SECOND = timedelta(seconds=1)


class Replay:
    """The webhook and the worker on one clock and one queue, and the captured item."""

    def __init__(self):
        self.world = connected()
        self.nonce = kept(self.world).nonce
        queue = FakeAsyncHintQueue()
        self.runs = 0
        self._queue = queue
        self._notifications = self.world.instance(notification_queue=queue).notifications

    def post(self, number, ids=50, **more):
        text, _ = client_state.make(self.world.keys, BOX, self.nonce)
        item = {
            "subscriptionId": "captured",
            "clientState": text,
            "tenantId": MailboxId.parse(BOX).tenant,
            "changeType": "created",
        } | more
        items = [item | {"resourceData": {"id": f"invented-{number}-{place}"}} for place in range(ids)]
        asyncio.run(self._notifications.receive(json.dumps({"value": items}).encode()))
        for hint, delay in self._queue.take():
            self.world.queue.send(hint, delay)

    def work_until(self, moment):
        while self.world.pending_before(moment):
            self.world.work_once()
            self.runs += 1
        self.world.clock.now = max(self.world.clock.now, moment)

    def work_off(self):
        while self.world.work_once():
            self.runs += 1


@pytest.fixture
def replay():
    return Replay()


def flood(replay, seconds, **more):
    started = replay.world.clock.now
    replay.world.forget()
    for number in range(POSTS):
        replay.post(number, **more)
        replay.work_until(started + (number + 1) * (seconds / POSTS) * SECOND)
    replay.work_off()


@pytest.mark.parametrize("seconds", [1, 10, 60])
def test_the_worker_has_little_to_do_and_the_mailbox_is_asked_at_its_pace(replay, seconds):
    flood(replay, seconds)
    assert replay.world.service.calls.count("follow_delta") <= 12 + 1.5 * seconds
    assert replay.runs <= 25 + 6 * seconds


@pytest.mark.parametrize("event", ["missed", "reauthorizationRequired", "subscriptionRemoved"])
def test_lifecycle_items_are_no_way_round(replay, event):
    flood(replay, 10, ids=1, lifecycleEvent=event, subscriptionId=kept(replay.world).id)
    assert replay.world.service.calls.count("follow_delta") <= 30
    assert len(replay.world.subscriptions.calls) <= 20
    assert replay.world.mailbox.push.state.shown == "healthy"


def test_of_an_earlier_subscription_it_wakes_nothing(replay):
    replay.nonce = "captured-long-ago"
    flood(replay, 10)
    assert set(replay.world.calls()) == {"get"}
    assert replay.runs <= 30


def test_mail_that_comes_meanwhile_is_not_late(replay):
    world = replay.world
    for number in range(POSTS):
        if number == POSTS // 2:
            message, arrived = world.graph.deliver(world.clock()), world.clock()
        replay.post(number)
        replay.work_until(world.clock() + SECOND / 30)
        if number > POSTS // 2 and message in world.rows():
            assert world.clock() - arrived < 2 * SECOND
            return
    raise AssertionError("it has not come")
