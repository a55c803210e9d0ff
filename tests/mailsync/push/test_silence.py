"""Push that is subscribed to and does not tell of mail."""

from dataclasses import replace

from mailsync.mailboxes.records import Push, PushState
from mailsync.schedule.records import Hint
from tests.mailsync.push.subscribed import MINUTE, connected, kept, polled, told
from tests.mailsync.world import BOX, START


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
