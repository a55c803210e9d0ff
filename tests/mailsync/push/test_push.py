"""Push as a sync run sees it: subscribed to, renewed, made anew, told of, not to be relied on."""

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
from mailsync.mailboxes.records import MailboxState, Push, PushState
from mailsync.push import client_state
from mailsync.schedule.records import Hint
from tests.fakes.mail_service import FakeMailService
from tests.mailsync.world import BOX, START, World, settings

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LIFE = timedelta(minutes=10_070)


def connected(**more) -> World:
    """A world whose mailbox was synced and subscribed some minutes ago."""
    world = World(**more)
    world.hint()
    world.work()
    world.clock.advance(300)
    world.forget()
    return world


def kept(world: World, place: int = 0):
    return world.mailbox.folders[place].subscription


def polled(world: World, seconds: float = 0) -> World:
    """Whatever else is due: a hint of the timer's, later."""
    world.clock.advance(seconds)
    world.hint()
    world.work()
    return world


def told(world: World, *created: str, **more) -> None:
    """Graph tells of something."""
    world.hint(pushed=True, created=created, **more)


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


def test_a_pushed_message_costs_seven_calls_and_is_dated():
    world = connected()
    message = world.graph.deliver(world.clock())
    world.service.headers_in_delta = False
    loads = world.vault.loads
    told(world, message)
    world.work()
    assert message in world.rows()
    assert world.calls() == ["get", "save", "save", "find", "write", "follow_delta", "messages"]
    assert world.vault.loads == loads
    assert world.mailbox.last_notification_at


def test_what_delta_does_not_show_yet_is_looked_for_a_bounded_number_of_times():
    world = connected()
    world.graph.lagging = True
    message = world.graph.deliver(world.clock())
    started = world.clock()
    told(world, message)
    world.work()
    assert world.service.calls == ["follow_delta"] * 6
    assert timedelta(seconds=60) < world.clock() - started < timedelta(seconds=65)
    world.graph.catch_up()
    world.graph.lagging = False
    world.poll()
    assert message in world.rows()


def test_many_notifications_at_once_cost_few_runs():
    """Two hundred within two seconds, each in a POST of its own, of which none names what is new."""
    world = connected()
    for _ in range(200):
        told(world)
        world.clock.advance(0.01)
        world.work_once()
    message = world.graph.deliver(world.clock())
    told(world, message)
    world.work()
    assert message in world.rows()
    assert world.service.calls.count("follow_delta") <= 8


def test_mail_after_mail_waits_a_second_at_the_most():
    world = connected()
    waits = []
    for _ in range(6):
        begun = world.clock()
        message = world.graph.deliver(begun)
        told(world, message)
        while message not in world.rows():
            assert world.work_once()
        waits.append((world.clock() - begun).total_seconds())
    assert max(waits[:2]) < 0.1
    assert max(waits) < 1.2


def test_mail_each_second_does_not_wait():
    world = connected()
    for _ in range(20):
        message = world.graph.deliver(world.clock())
        told(world, message)
        world.work_once()
        assert message in world.rows()
        world.clock.advance(1)


def test_it_is_found_as_soon_as_delta_shows_it():
    world = connected()
    world.graph.lagging = True
    message = world.graph.deliver(world.clock())
    told(world, message)
    world.work_once()
    world.work_once()
    world.graph.catch_up()
    world.work()
    assert message in world.rows()
    assert world.service.calls.count("follow_delta") == 3


def test_a_covered_hint_costs_one_read_whatever_it_names():
    """Delta was asked two seconds after it came, at the least; what it names might never be found."""
    world = connected()
    asked = Hint(BOX, world.clock(), pushed=True, created=("not-to-be-found",))
    polled(world, 10)
    world.forget()
    world.synchronizer.run(asked)
    world.work()
    assert world.calls() == ["get"]


def test_what_is_told_of_later_joins_the_chain_and_is_looked_for_as_soon():
    world = connected()
    world.graph.lagging = True
    told(world, world.graph.deliver(world.clock()))
    for _ in range(4):
        world.work_once()
    assert world.mailbox.looking.due_at - world.clock() > timedelta(seconds=10)
    later = world.graph.deliver(world.clock())
    told(world, later)
    world.work_once()
    assert world.mailbox.looking.due_at - world.clock() <= timedelta(seconds=2)
    world.graph.lagging = False
    world.graph.catch_up()
    world.work_once()
    assert later in world.rows()
    assert world.mailbox.looking is None
    world.forget()
    world.work()
    assert set(world.calls()) == {"get"}


def test_ids_that_somebody_invents_are_one_chain_of_looks():
    """As fast as runs may begin, each with fifty ids more: the newest are kept, and looked for every two seconds."""
    world = connected()
    for number in range(60):
        told(world, *(f"invented-{number}-{place}" for place in range(50)))
        ends = world.clock() + timedelta(seconds=1)
        while world.pending_before(ends):
            world.work_once()
        world.clock.now = max(world.clock.now, ends)
        assert len(world.mailbox.looking.ids) == 50
    assert world.mailbox.looking.ids[0].startswith("invented-59-")
    assert world.service.calls.count("follow_delta") <= 60 + 30
    world.forget()
    world.work()
    assert world.service.calls.count("follow_delta") == 5
    assert world.mailbox.looking is None


def test_a_look_that_is_lost_is_made_by_the_next_run():
    world = connected()
    world.graph.lagging = True
    told(world, world.graph.deliver(world.clock()))
    world.work_once()
    world.queue.take()
    polled(world, 600)
    assert world.mailbox.looking is None
    assert world.service.calls.count("follow_delta") == 6


def test_a_look_of_an_older_version_brings_its_own_ids():
    world = connected()
    world.graph.lagging = True
    message = world.graph.deliver(world.clock())
    told(world, message, looks=3)
    world.work_once()
    assert world.mailbox.looking.ids == (message,)
    world.graph.catch_up()
    world.work()
    assert message in world.rows()


def test_a_look_outlives_a_throttling():
    world = connected()
    world.graph.lagging = True
    message = world.graph.deliver(world.clock())
    told(world, message)
    world.work_once()
    world.service.fail(Throttled("graph_throttled", "wait", 30), "follow_delta")
    world.work_once()
    world.graph.catch_up()
    world.work()
    assert message in world.rows()
    assert world.mailbox.looking is None


def test_what_is_not_of_a_present_subscription_wakes_nothing(caplog):
    world = connected()
    nonce = kept(world).nonce
    with caplog.at_level("INFO", "mailsync"):
        told(world, "captured-long-ago", nonces=("stale",))
        world.work()
    assert world.calls() == ["get"]
    assert f"sync_skipped mailbox={BOX} why=stale_subscription" in caplog.text
    message = world.graph.deliver(world.clock())
    told(world, message, nonces=("stale", nonce))
    world.work()
    assert message in world.rows()


def test_what_is_told_while_a_subscription_is_being_made_waits_for_its_record():
    """Graph may notify before the run that subscribes has saved what it subscribed to."""

    class Told(FakeMailService):
        def start_delta(self, folder, since, **more):
            page = super().start_delta(folder, since, **more)
            [held] = world.subscriptions.held.values()
            nonce = client_state.nonce(held.client_state)
            arrived.append(self.mailbox.deliver(world.clock()))
            world.synchronizer.run(Hint(BOX, world.clock(), pushed=True, created=tuple(arrived), nonces=(nonce,)))
            return page

    arrived: list[str] = []
    world = World(service=Told())
    world.hint()
    world.work()
    assert list(world.rows()) == arrived


def test_a_retry_is_the_programs_own_though_the_subscription_that_woke_it_is_no_more():
    world = connected()
    told(world, nonces=(kept(world).nonce,), removed=(kept(world).id,))
    world.subscriptions.held.clear()
    world.service.fail(Throttled("graph_throttled", "wait", 30), "follow_delta")
    world.work_once()
    message = world.graph.deliver(world.clock())
    world.work()
    assert message in world.rows()


def test_storage_that_cannot_say_what_is_there_costs_a_look_and_no_run():
    world = connected()
    stored = world.graph.deliver(world.clock())
    polled(world)
    world.clock.advance(10)

    class Away(type(world.messages)):
        def find(self, mailbox_id, message_ids, *, rows=True):
            world.messages.__class__ = type(self).__base__
            raise RetryLater("storage_unavailable", "out")

    world.messages.__class__ = Away
    told(world, stored)
    world.work_once()
    assert world.mailbox.lease is None
    assert world.mailbox.problem == ""
    world.work()
    assert world.mailbox.looking is None


def test_lifecycle_events_are_paced_as_news_is():
    world = connected()
    for _ in range(20):
        world.hint(pushed=True, renew=(kept(world).id,))
        world.clock.advance(0.01)
        world.work_once()
    assert world.subscriptions.calls.count("renew") == 2
    world.work()
    assert world.subscriptions.calls.count("renew") <= 4


def test_a_burst_of_hints_is_a_handful_of_runs():
    world = connected()
    messages = [world.graph.deliver(world.clock()) for _ in range(500)]
    for message in messages:
        told(world, message)
        world.clock.advance(0.01)
    world.clock.advance(3)
    world.work()
    assert set(messages) <= set(world.rows())
    assert world.service.calls.count("follow_delta") <= 10


def test_many_hints_of_messages_that_delta_never_shows_are_a_handful_of_runs_too():
    world = connected()
    for number in range(200):
        told(world, f"not-in-the-window-{number}")
        world.clock.advance(0.01)
    world.clock.advance(3)
    world.work()
    assert world.service.calls.count("follow_delta") <= 10


def test_mail_that_graph_did_not_tell_of_makes_push_silent():
    world = connected()
    old = kept(world)
    world.clock.advance(1_000)
    world.graph.deliver(world.clock())
    world.poll()
    assert (world.mailbox.push.state, world.mailbox.push.reason) == (PushState.DEGRADED, "silent")
    assert world.mailbox.next_poll_at - world.clock() <= MINUTE
    world.poll()
    assert list(world.subscriptions.held) == [kept(world).id]
    assert kept(world).id != old.id
    assert world.mailbox.push.state is PushState.SILENT
    assert world.mailbox.next_poll_at - world.clock() <= 5 * MINUTE
    told(world)
    world.work()
    assert (world.mailbox.push.state, world.mailbox.push.reason) == (PushState.TRUSTED, "")
    assert world.mailbox.next_poll_at - world.clock() > 50 * MINUTE


def test_mail_of_a_moment_ago_or_that_graph_told_of_is_no_sign():
    world = connected()
    world.graph.deliver(world.clock())
    polled(world, 200)
    assert world.mailbox.push.state is PushState.TRUSTED
    world.graph.deliver(world.clock())
    told(world)
    world.clock.advance(1_000)
    world.work()
    assert world.mailbox.push.state is PushState.TRUSTED
    world.graph.deliver(START)  # received before it was subscribed to: moved here since
    polled(world, 1_000)
    assert world.mailbox.push.state is PushState.TRUSTED


def test_a_push_that_has_found_its_voice_is_healthy_although_its_hint_is_covered():
    world = connected()
    world.mailboxes.save(replace(world.mailbox, push=Push(PushState.SILENT, "silent")))
    asked = Hint(BOX, world.clock(), pushed=True)
    polled(world, 10)
    world.synchronizer.run(asked)
    assert world.mailbox.push.state is PushState.TRUSTED


def test_one_that_stays_silent_is_made_anew_less_and_less_often():
    world = connected()
    for _ in range(200):
        world.graph.deliver(world.clock())
        world.clock.advance(300)
        world.poll()
    assert 5 < world.subscriptions.calls.count("create") < 40
    assert len(world.subscriptions.held) == 1


def test_a_reauthorization_neither_hides_silence_nor_ends_it():
    world = connected()
    for _ in range(2):
        world.clock.advance(600)
        world.graph.deliver(world.clock())
        world.clock.advance(600)
        world.hint(pushed=True, renew=(kept(world).id,))
        world.work()
        assert (world.mailbox.push.state.shown, world.mailbox.push.reason) == ("degraded", "silent")


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
