"""What becomes of what Graph tells: runs, looks for what delta does not show yet, and their pace."""

from datetime import timedelta

from mailsync.errors import (
    RetryLater,
    Throttled,
)
from mailsync.push import client_state
from mailsync.schedule.records import Hint
from tests.fakes.mail_service import FakeMailService
from tests.mailsync.push.subscribed import connected, kept, polled, told
from tests.mailsync.world import BOX, World


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
