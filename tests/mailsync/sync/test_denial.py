"""Access that Graph denies: it passes, or it lasts, or the licence has lapsed."""

from datetime import timedelta

import pytest

from mailsync.errors import AccessDenied, GraphForbidden, GraphUnavailable, LicenseLapsed, TokenRefused
from mailsync.mailboxes.records import MailboxState, PushState
from mailsync.sync.records import DeltaPage
from tests.fakes.mail_service import FakeMailService
from tests.mailsync.world import BOX, START, World

DENIED = AccessDenied("access_denied", "Graph answered 403 ErrorAccessDenied")
UNAUTHORIZED = TokenRefused("a fresh token was refused too")
HOUR = timedelta(hours=1)


def synced() -> World:
    world = World()
    world.graph.deliver(START - HOUR)
    world.hint()
    world.work()
    world.clock.advance(600)
    return world


def run_for(world: World, hours: float) -> None:
    """Works off what comes due in this time."""
    end = world.clock() + timedelta(hours=hours)
    while world.clock() < end:
        if not world.work_once():
            due = world.mailbox.next_poll_at
            if due is None:
                return
            world.clock.now = max(world.clock.now, due)
            world.poller.tick()


@pytest.mark.parametrize("denial", [DENIED, UNAUTHORIZED], ids=["403", "401"])
def test_a_denial_that_passes_needs_nobody(denial, caplog):
    world = synced()
    new = world.graph.deliver(world.clock())
    world.service.fail(denial, "follow_delta", times=5)
    with caplog.at_level("INFO", "mailsync"):
        world.poll()
    assert new in world.rows()
    assert world.mailbox.state is MailboxState.ACTIVE
    assert (world.mailbox.problem, world.mailbox.denied_since, world.mailbox.denials) == ("", None, 0)
    assert "needs_reconnect" not in caplog.text
    assert "sync_failed" not in caplog.text


@pytest.mark.parametrize("denial", [DENIED, UNAUTHORIZED], ids=["403", "401"])
def test_a_denial_that_lasts_a_day_is_a_lost_grant(denial, caplog):
    world = synced()
    began = world.clock()
    world.service.fail(denial, "follow_delta", times=1_000)
    run_for(world, 23)
    assert world.mailbox.state is MailboxState.ACTIVE
    assert world.mailbox.denials > 20
    assert abs(world.mailbox.denied_since - began) < HOUR
    with caplog.at_level("INFO", "mailsync"):
        run_for(world, 3)
    assert (world.mailbox.state, world.mailbox.problem) == (MailboxState.NEEDS_RECONNECT, denial.reason)
    assert caplog.text.count("needs_reconnect ") == 1
    assert world.mailbox.next_poll_at is None


def test_two_denials_a_day_apart_are_no_proof():
    world = synced()
    world.service.fail(DENIED, "follow_delta")
    world.poll()
    world.service.fail(DENIED, "follow_delta", times=3)
    world.clock.advance(30 * 3_600)
    world.poll()
    assert world.mailbox.state is MailboxState.ACTIVE
    assert world.mailbox.problem == ""


def test_outages_between_denials_are_no_proof_either():
    world = synced()
    world.service.fail(DENIED, "follow_delta", times=3)
    world.service.fail(GraphUnavailable("out"), "follow_delta", times=40)
    world.service.fail(DENIED, "follow_delta", times=3)
    run_for(world, 60)
    assert world.mailbox.state is MailboxState.ACTIVE
    assert world.mailbox.problem == ""


class Moody(FakeMailService):
    """Denies each second link."""

    follows = 0

    def follow_delta(self, link: str, *, size: int = 0) -> DeltaPage:
        self.follows += 1
        if self.follows % 2:
            raise DENIED
        return super().follow_delta(link, size=size)


def test_a_page_between_denials_proves_access():
    world = World(service=Moody(page_size=1))
    for minutes in range(60):
        world.graph.deliver(START - timedelta(minutes=minutes))
    world.hint()
    run_for(world, 48)
    assert world.mailbox.state is MailboxState.ACTIVE
    assert len(world.rows()) == 60


def test_a_refusal_without_a_code_never_asks_for_the_owner():
    world = synced()
    world.service.fail(GraphForbidden("Graph answered 403 (no code)"), "follow_delta", times=60)
    run_for(world, 70)
    assert world.mailbox.state is MailboxState.ACTIVE
    assert world.mailbox.problem == ""


def test_a_lapsed_licence_is_told_and_tried_daily(caplog):
    world = synced()
    new = world.graph.deliver(world.clock())
    world.service.fail(LicenseLapsed("no valid licence"), "follow_delta", times=7)
    world.service.calls.clear()
    with caplog.at_level("INFO", "mailsync"):
        run_for(world, 3 * 24 + 1)
    assert world.mailbox.problem == "license_lapsed"
    assert world.mailbox.state is MailboxState.ACTIVE
    assert world.service.calls.count("follow_delta") in (4, 5)
    assert f"sync_failed mailbox={BOX} reason=license_lapsed" in caplog.text
    run_for(world, 4 * 24)
    assert new in world.rows()
    assert world.mailbox.problem == ""


def test_push_is_as_it_was_when_a_denial_has_passed():
    world = synced()
    world.service.fail(DENIED, "follow_delta", times=3)
    world.poll()
    assert world.mailbox.push.state is PushState.TRUSTED


def test_a_mailbox_that_gets_on_between_failures_is_not_a_failing_one(caplog):
    world = World(service=Moody(page_size=1))
    for minutes in range(30):
        world.graph.deliver(START - timedelta(minutes=minutes))
    world.hint()
    with caplog.at_level("INFO", "mailsync"):
        run_for(world, 1)
    assert len(world.rows()) == 30
    assert "sync_deferred" in caplog.text
    assert "sync_failed" not in caplog.text
