"""Subscriptions as a sync run sees to them: made, renewed, made anew, and what fails of them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailsync.errors import (
    GraphUnavailable,
    Misconfigured,
    ReconnectRequired,
    Rejected,
    RetryLater,
    SubscriptionExists,
    Throttled,
)
from mailsync.mailboxes.records import MailboxState, PushState
from mailsync.push import client_state
from mailsync.schedule.records import Hint
from tests.mailsync.push.subscribed import HOUR, LIFE, MINUTE, connected, kept, polled, told
from tests.mailsync.world import BOX, START, World, settings


def test_the_first_run_subscribes_before_it_asks_for_mail():
    world = World(folders=("inbox", "archive"))
    seen = []
    world.subscriptions.meanwhile = lambda: seen.append(list(world.service.calls))
    world.hint()
    world.work()
    assert seen == [[], []]
    assert world.mailbox.push.state is PushState.TRUSTED
    assert [held.folder for held in world.subscriptions.held.values()] == ["inbox", "archive"]
    assert kept(world).id in world.subscriptions.held
    assert kept(world).expires_at == kept(world).renewed_at + LIFE


def test_the_client_state_is_verifiable_and_another_each_time():
    world = connected(folders=("inbox", "archive"))
    texts = [held.client_state for held in world.subscriptions.held.values()]
    assert len(set(texts)) == 2
    assert [client_state.verify(world.keys.find, text) for text in texts] == [BOX, BOX]


def test_with_healthy_push_the_poll_is_the_safety_poll_and_costs_no_more():
    world = connected()
    assert 3_000 < (world.mailbox.next_poll_at - world.clock()).total_seconds() <= 3_600
    polled(world, 3_600)
    assert world.calls() == ["get", "save", "save", "follow_delta"]


def test_a_quarter_of_its_life_later_it_is_renewed_in_time_for_the_schedule():
    world = connected()
    made = kept(world)
    while world.clock() < START + LIFE * 3:
        world.poll()
        assert kept(world).expires_at - world.clock() > LIFE * 0.7
        assert world.mailbox.push.state is PushState.TRUSTED
    assert kept(world).id == made.id
    assert 12 <= world.subscriptions.calls.count("renew") <= 14
    assert "create" not in world.subscriptions.calls


def test_a_short_life_makes_the_next_poll_come_in_time():
    world = World()
    world.subscriptions.cap = 45 * MINUTE
    world.app = world.instance(settings=replace(settings(), subscription_minutes=45))
    world.hint()
    world.work()
    assert 10 * MINUTE < world.mailbox.next_poll_at - world.clock() <= 11.25 * MINUTE


def test_where_the_older_cap_holds_that_is_asked_for():
    world = World()
    world.subscriptions.cap = timedelta(minutes=4_230)
    world.hint()
    world.work()
    assert world.subscriptions.calls == ["create", "create"]
    assert kept(world).expires_at - kept(world).renewed_at == timedelta(minutes=4_230)
    assert world.mailbox.push.state is PushState.TRUSTED


def test_one_that_is_gone_when_it_is_renewed_is_made_anew():
    world = connected()
    old = kept(world)
    world.subscriptions.held.clear()
    polled(world, LIFE.total_seconds() / 4)
    assert kept(world).id in world.subscriptions.held
    assert kept(world).id != old.id
    assert world.mailbox.push.state is PushState.TRUSTED


def test_one_that_has_expired_is_made_anew():
    world = connected()
    polled(world, LIFE.total_seconds() + 1)
    assert list(world.subscriptions.alive()) == [kept(world).id]


def test_one_that_nobody_remembers_makes_room():
    world = World()
    world.subscriptions.create("inbox", "lost", START + LIFE)
    world.hint()
    world.work()
    [(id_, held)] = world.subscriptions.held.items()
    assert held.client_state != "lost"
    assert kept(world).id == id_


def test_one_that_exists_and_cannot_be_found_degrades_push():
    world = World()
    world.subscriptions.fail(SubscriptionExists("there is one"), "create", times=9)
    world.hint()
    world.work()
    assert (world.mailbox.push.state, world.mailbox.push.reason) == (PushState.DEGRADED, "subscription_exists")
    assert world.subscriptions.calls == ["create", "existing"]


def test_a_new_signing_key_makes_it_anew_when_it_would_be_renewed():
    world = connected()
    old = kept(world)
    world.keys.rotate()
    assert kept(polled(world)).id == old.id
    polled(world, LIFE.total_seconds() / 4)
    assert kept(world).key_id != old.key_id
    assert list(world.subscriptions.held) == [kept(world).id]


@pytest.mark.parametrize(
    "error",
    [
        Rejected("handshake_failed", "no"),
        Throttled("graph_throttled", "wait", 20),
        GraphUnavailable("out"),
        Misconfigured("bad", "the operator's"),
    ],
)
def test_a_failure_costs_no_mail_and_is_tried_again_less_and_less_often(error, caplog):
    world = World()
    message = world.graph.deliver(START)
    world.subscriptions.fail(error, "create", times=3)
    world.hint()
    with caplog.at_level("WARNING", "mailsync"):
        world.work()
    box = world.mailbox
    assert message in world.rows()
    assert (box.push.state, box.push.reason, box.problem) == (PushState.DEGRADED, error.reason, "")
    assert f"push_degraded mailbox={BOX} reason={error.reason}" in caplog.text
    waits = []
    while world.mailbox.push.state is PushState.DEGRADED:
        waits.append(world.mailbox.push.until - world.clock())
        before = len(world.subscriptions.calls)
        world.poll()
        assert len(world.subscriptions.calls) <= before + 1
    assert [round(wait / MINUTE) for wait in waits] == [1, 2, 4]
    assert (world.mailbox.push.failures, world.mailbox.push.until) == (0, None)


def test_without_push_the_poll_keeps_its_own_pace():
    world = World()
    world.subscriptions.fail(Rejected("handshake_failed", "no"), "create", times=99)
    world.hint()
    world.work()
    for _ in range(20):
        before = world.clock()
        world.poll()
        assert world.clock() - before <= timedelta(seconds=300)
    assert world.mailbox.push.until - world.clock() <= HOUR


def test_a_long_retry_after_is_obeyed():
    world = World()
    world.subscriptions.fail(Throttled("graph_throttled", "wait", 5_000), "create")
    world.hint()
    world.work()
    assert world.mailbox.push.until - world.clock() > timedelta(seconds=4_990)


def test_a_key_that_cannot_be_had_degrades_push_alone():
    world = World()
    world.keys.failure = RetryLater("key_vault_unavailable", "out")
    polled(world)
    assert world.mailbox.push.reason == "key_vault_unavailable"
    assert world.mailbox.last_success_at


def test_a_lost_grant_is_said_and_a_new_consent_renews():
    world = connected()
    made = kept(world)
    world.directory.error = ReconnectRequired("grant_revoked", "withdrawn")
    polled(world, 2 * LIFE.total_seconds() / 4)
    assert (world.mailbox.state, world.mailbox.push.state) == (MailboxState.NEEDS_RECONNECT, PushState.LOST)
    world.directory.error = None
    now = world.clock()
    world.mailboxes.save(replace(world.mailbox, state=MailboxState.ACTIVE, granted_at=now, next_poll_at=now))
    world.forget()
    world.poll()
    assert world.subscriptions.calls == ["renew"]
    assert kept(world).id == made.id
    assert world.mailbox.push.state is PushState.TRUSTED


def test_graph_asks_for_reauthorization_and_a_covered_hint_still_gets_it():
    world = connected()
    asked = Hint(BOX, world.clock(), pushed=True, renew=(kept(world).id,))
    polled(world, 10)
    world.forget()
    world.synchronizer.run(asked)
    assert world.subscriptions.calls == ["renew"]
    world.synchronizer.run(asked)
    assert world.subscriptions.calls == ["renew"]


def test_a_removed_one_is_made_anew_and_delta_is_read():
    world = connected()
    old = kept(world)
    world.subscriptions.held.clear()
    gone = Hint(BOX, world.clock(), pushed=True, removed=(old.id,))
    message = world.graph.deliver(START)
    polled(world, 10)
    world.synchronizer.run(gone)
    assert kept(world).id in world.subscriptions.held
    assert message in world.rows()
    world.forget()
    world.clock.advance(10)
    world.synchronizer.run(gone)
    assert world.subscriptions.calls == []


def test_a_removed_one_is_not_forgotten_while_graph_wants_to_be_left_alone():
    world = connected()
    world.mailboxes.save(replace(world.mailbox, not_before=world.clock() + HOUR))
    world.clock.advance(5)
    told(world, removed=(kept(world).id,))
    world.subscriptions.held.clear()
    world.work()
    assert kept(world).id in world.subscriptions.held


def test_another_programs_subscription_ids_change_nothing():
    world = connected()
    made = kept(world)
    told(world, removed=("somebody-elses",), renew=("another",))
    world.work()
    assert (kept(world), world.subscriptions.calls) == (made, [])


def test_a_folder_that_is_followed_no_longer_is_unsubscribed():
    both = connected(folders=("inbox", "archive"))
    world = World(
        mailboxes=both.mailboxes, messages=both.messages, service=both.service, clock=both.clock, connected=True
    )
    world.subscriptions.held = both.subscriptions.held
    polled(world, 300)
    assert [held.folder for held in world.subscriptions.held.values()] == ["inbox"]


def test_a_token_that_renews_lasts_a_while_and_is_not_fetched_again_for_it():
    world = connected()
    world.clock.advance(45 * 60)
    assert world.directory.refreshed == 1
    for _ in range(3):
        world.hint(pushed=True, renew=(kept(world).id,))
        world.work()
        world.clock.advance(300)
    assert world.subscriptions.calls.count("renew") == 3
    assert world.directory.refreshed == 2
