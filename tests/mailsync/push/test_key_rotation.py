"""New signing keys, and what becomes of the mailboxes whose subscriptions an old one has signed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailsync.errors import GraphUnavailable, RetryLater
from mailsync.mailboxes.records import MailboxState, PushState
from mailsync.push import client_state
from tests.mailsync.push.subscribed import connected, kept, polled

MONTH = timedelta(days=30)


def dropped():
    """A world whose mailbox has a subscription that nobody can verify any more."""
    world = connected()
    world.key_rotation.rotate()
    world.key_rotation.rotate()
    return world


def test_one_rotation_degrades_nobody(caplog):
    world = connected()
    with caplog.at_level("INFO", "mailsync"):
        key_id = world.key_rotation.rotate()
    assert world.mailbox.push.state is PushState.TRUSTED
    assert world.calls() == []
    assert caplog.messages == [f"signing_key_rotated key={key_id} degraded=0"]


def test_a_mailbox_whose_key_has_gone_is_degraded_due_at_once_and_subscribed_anew(caplog):
    with caplog.at_level("INFO", "mailsync"):
        world = dropped()
    old, box = kept(world), world.mailbox
    assert (box.push.state, box.push.reason) == (PushState.LOST, "signing_key_dropped")
    assert box.next_poll_at == world.clock()
    assert "degraded=1" in caplog.messages[-1]
    world.forget()
    before = world.clock()
    world.poll()
    assert world.clock() - before < timedelta(minutes=1)
    assert world.subscriptions.calls == ["delete", "create"]
    assert (world.mailbox.push.state, world.mailbox.push.reason) == (PushState.TRUSTED, "")
    assert (kept(world).id, kept(world).key_id) != (old.id, old.key_id)
    [held] = world.subscriptions.held.values()
    assert client_state.verify(world.keys.find, held.client_state) == world.mailbox.id


def test_where_it_cannot_be_made_anew_polling_stands_in_and_it_is_tried_again():
    world = dropped()
    world.subscriptions.fail(GraphUnavailable("out"), times=1)
    world.poll()
    assert (world.mailbox.push.state, world.mailbox.push.reason) == (PushState.DEGRADED, "graph_unavailable")
    world.poll()
    assert world.mailbox.push.state is PushState.TRUSTED
    assert len(world.subscriptions.held) == 1


def test_one_that_was_missed_sees_for_itself_with_its_next_poll():
    world = connected()
    for _ in range(2):
        world.keys.rotate()
    old = kept(world)
    polled(world, 10)
    assert kept(world).id != old.id
    assert world.mailbox.push.state is PushState.TRUSTED


def test_keys_that_cannot_be_had_are_no_sign_of_anything():
    world = connected()
    old = kept(world)
    world.keys.failure = RetryLater("key_vault_unavailable", "out")
    polled(world, 10)
    assert (kept(world), world.mailbox.push.state) == (old, PushState.TRUSTED)


def test_what_graph_tells_costs_no_look_at_the_keys():
    world = connected()
    world.keys.find = lambda _: pytest.fail("no look was expected")
    world.hint(pushed=True)
    world.work()
    assert world.service.calls == ["follow_delta"]


def test_a_run_that_writes_meanwhile_is_not_lost():
    world = connected()
    world.keys.rotate()
    saves = []

    class Interrupted(type(world.mailboxes)):
        def save(self, mailbox):
            if not saves:
                saves.append(super().save(replace(self.rows[mailbox.id], messages=77)))
            return super().save(mailbox)

    world.mailboxes.__class__ = Interrupted
    world.key_rotation.rotate()
    assert (world.mailbox.messages, world.mailbox.push.state) == (77, PushState.LOST)


@pytest.mark.parametrize("state", [MailboxState.NEEDS_RECONNECT, MailboxState.DISCONNECTED])
def test_a_mailbox_that_nobody_reads_is_not_made_due(state):
    world = connected()
    world.mailboxes.save(replace(world.mailbox, state=state, next_poll_at=None))
    for _ in range(2):
        world.key_rotation.rotate()
    assert world.mailbox.next_poll_at is None


def test_a_key_lasts_a_month_and_push_goes_on_over_years():
    world = connected()
    keys = set()
    ends = world.clock() + 12 * MONTH
    while world.clock() < ends:
        world.poll()
        world.key_rotation.rotate_when_due()
        keys.add(kept(world).key_id)
        assert world.mailbox.push.state is PushState.TRUSTED
        [held] = world.subscriptions.held.values()
        assert client_state.verify(world.keys.find, held.client_state)
        world.clock.advance(12 * 3600)
    assert 11 <= len(keys) <= 13


def test_a_month_that_is_not_over_makes_nothing():
    world = connected()
    rotation = world.instance().key_rotation
    assert rotation.rotate_when_due() is None
    assert world.calls() == []
