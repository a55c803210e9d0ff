"""Messages that Graph does not show, or not whole, cost themselves alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec
import pytest
from msgspec import UNSET

from mailsync.errors import (
    AccessDenied,
    GraphForbidden,
    GraphRefused,
    GraphUnavailable,
    Rejected,
)
from mailsync.mailboxes.records import MailboxState
from mailsync.mailboxes.status import mailbox_lines
from mailsync.sync.records import DeltaPage, Fetched, HistoryPage, Message
from mailsync.sync.run import Limits
from tests.fakes.mail_service import FakeMailService
from tests.mailsync.sync.trouble import HOUR, UNREADABLE, deliver, events, synced
from tests.mailsync.world import START, World


@pytest.mark.parametrize(
    "refusal",
    [
        UNREADABLE,
        GraphUnavailable("Graph answered 503", 20.0),
        GraphRefused("Graph answered 400 ErrorInvalidIdMalformed"),
        AccessDenied("access_denied", "Graph answered 403 ErrorAccessDenied"),
        Rejected("mailbox_not_enabled", "Graph answered 404 MailboxNotEnabledForRESTAPI"),
    ],
    ids=lambda error: error.message.split()[-1],
)
def test_a_message_that_is_refused_is_stored_as_delta_shows_it(refusal, log):
    world = synced(service=FakeMailService(headers_in_delta=False))
    bad, good = (world.graph.deliver(world.clock() + timedelta(seconds=place)) for place in range(2))
    world.service.refused[bad] = refusal
    world.hint()
    world.work_once()
    assert good in world.rows()
    assert bad not in world.rows()
    world.work()
    row = world.rows()[bad]
    assert row.content.subject == f"Subject of {bad}"
    assert row.content.headers is UNSET
    assert world.rows()[good].content.headers is not UNSET
    (line,) = events(log, "message_refused")
    assert f" stored=true reason={refusal.reason} detail=" in line
    assert (world.mailbox.state, world.mailbox.problem) == (MailboxState.ACTIVE, "")
    assert world.clock() - START < HOUR
    world.poll()
    assert len(events(log, "message_refused")) == 1


def test_a_message_that_can_be_fetched_again_soon_is_whole(log):
    world = synced(service=FakeMailService(headers_in_delta=False))
    bad = world.graph.deliver(world.clock())
    world.service.refused[bad] = UNREADABLE
    world.hint()
    world.work_once()
    world.service.refused.clear()
    world.work()
    assert world.rows()[bad].content.headers is not UNSET
    assert not events(log, "message_refused")


def test_a_refused_message_of_which_delta_shows_no_time_is_told(log):
    world = World(service=FakeMailService(cap=0))
    bad = world.graph.deliver(START - 40 * timedelta(days=1))
    world.hint()
    world.work()
    world.service.refused[bad] = UNREADABLE
    world.service.open_windows()
    world.graph.update(bad, is_read=True)
    world.poll()
    assert bad not in world.rows()
    (line,) = events(log, "message_refused")
    assert " stored=false " in line
    assert world.mailbox.problem == ""


def test_a_batch_that_fails_as_a_whole_for_one_message_costs_that_one(log):
    class Fragile(FakeMailService):
        def messages(self, ids: Sequence[str]) -> Fetched:
            if bad in ids:
                raise UNREADABLE
            return super().messages(ids)

    bad = ""
    world = synced(service=Fragile(headers_in_delta=False))
    new = [world.graph.deliver(world.clock() + timedelta(seconds=place)) for place in range(10)]
    bad = new[4]
    world.poll()
    assert set(new) <= set(world.rows())
    assert [id_ for id_ in new if world.rows()[id_].content.headers is UNSET] == [bad]
    assert len(events(log, "message_refused")) == 1


@pytest.mark.parametrize("place", [0, 7, 119])
def test_an_unreadable_message_in_an_enumeration_costs_only_itself(place, log):
    world = World(limits=Limits(pages=20))
    ids = deliver(world, 120)
    bad = ids[place]
    world.service.unreadable[bad], world.service.refused[bad] = True, UNREADABLE
    world.poll()
    assert set(world.rows()) == set(ids)
    assert [id_ for id_ in ids if world.rows()[id_].content.headers is UNSET] == [bad]
    assert [line for line in events(log, "message_refused") if bad in line]
    assert len(events(log, "message_refused")) == 1
    assert world.mailbox.problem == ""
    later = world.graph.deliver(world.clock())
    world.poll()
    assert world.rows()[later].content.headers is not UNSET


def test_an_unreadable_message_in_a_round_of_changes_costs_only_itself(log):
    world = synced(50)
    new = [world.graph.deliver(world.clock() + timedelta(seconds=place)) for place in range(10)]
    bad = new[6]
    world.service.unreadable[bad], world.service.refused[bad] = True, UNREADABLE
    world.poll()
    assert set(new) <= set(world.rows())
    assert world.mailbox.problem == ""
    assert len(events(log, "message_refused")) == 1
    world.graph.update(new[0], is_read=True, body="changed by the service")
    world.graph.delete(new[1])
    world.poll()
    assert world.rows()[new[0]].content.body == "changed by the service"
    assert world.rows()[new[1]].removed_at
    assert world.rows()[bad].removed_at is None


def test_a_message_that_no_delta_can_show_is_left_behind_and_the_rest_is_read(log):
    world = synced(50)
    new = [world.graph.deliver(world.clock() + timedelta(seconds=place)) for place in range(10)]
    bad = new[6]
    world.service.unreadable[bad], world.service.refused[bad] = False, UNREADABLE
    world.poll()
    assert set(new) - {bad} <= set(world.rows())
    assert {"unknown"} == {line.split("message=")[1].split()[0] for line in events(log, "message_refused")}
    assert (world.mailbox.problem, world.mailbox.state) == ("", MailboxState.ACTIVE)
    assert world.mailbox.folders[0].complete
    later = world.graph.deliver(world.clock())
    world.poll()
    assert later in world.rows()
    assert "as delta fails over an older one" in "\n".join(mailbox_lines(world.mailbox))


def test_an_outage_is_no_messages_fault(log):
    world = synced(50)
    new = world.graph.deliver(world.clock())
    world.service.fail(UNREADABLE, times=40)
    world.poll()
    assert new in world.rows()
    assert not events(log, "message_refused")
    assert world.mailbox.folders[0].generation == 1


def test_an_outage_of_delta_alone_is_no_messages_fault(log):
    world = synced(50)
    new = world.graph.deliver(world.clock())
    world.service.fail(UNREADABLE, "follow_delta", "start_delta", times=80)
    world.poll()
    assert new in world.rows()
    assert not events(log, "message_refused")
    assert not world.mailbox.folders[0].reaches


@pytest.mark.parametrize("helps", [True, False])
def test_an_unreadable_message_in_history_costs_only_itself(helps, small_cap, log):
    service = FakeMailService(cap=20, choose=lambda ids, cap: ids[-cap:])
    world = World(service=service)
    ids = deliver(world, 100)
    bad = ids[33]
    world.service.unreadable[bad], world.service.refused[bad] = helps, UNREADABLE
    world.poll()
    assert set(ids) - set(world.rows()) == (set() if helps else {bad})
    assert [id_ for id_ in world.rows() if world.rows()[id_].content.headers is UNSET] == [bad] * helps
    assert len(events(log, "message_refused")) == 1
    assert world.mailbox.problem == ""


@dataclass
class Timeless(FakeMailService):
    """Some messages come without the time at which they were received, whichever way they are asked for."""

    timeless: set[str] = field(default_factory=set)

    def _without(self, page):
        return replace(page, messages=tuple(map(self._bare, page.messages)))

    def _bare(self, message: Message) -> Message:
        if message.id not in self.timeless:
            return message
        return replace(message, content=msgspec.structs.replace(message.content, received=UNSET))

    def start_delta(self, *args, **more) -> DeltaPage:
        return self._without(super().start_delta(*args, **more))

    def history(self, *args, **more) -> HistoryPage:
        return self._without(super().history(*args, **more))

    def messages(self, ids: Sequence[str]) -> Fetched:
        fetched = super().messages(ids)
        return Fetched({id_: self._bare(message) for id_, message in fetched.found.items()}, fetched.refused)


@pytest.mark.parametrize("place", [1, 40])
def test_a_message_without_a_time_is_told_and_the_others_are_read(place, small_cap, log):
    service = Timeless(cap=20)
    world = World(service=service)
    ids = deliver(world, 50)
    service.timeless = {ids[place]}
    world.poll()
    assert set(ids) - world.rows().keys() == {ids[place]}
    [told] = {line.split(" detail=")[0] for line in events(log, "message_refused")}
    assert told.endswith(f"message={ids[place]} stored=false reason=graph_unavailable")
    assert world.mailbox.last_error is None


def test_a_message_that_gets_its_time_when_it_is_fetched_is_stored(small_cap, log):
    class Fetchable(Timeless):
        def messages(self, ids: Sequence[str]) -> Fetched:
            return FakeMailService.messages(self, ids)

    service = Fetchable(cap=20)
    world = World(service=service)
    ids = deliver(world, 50)
    service.timeless = {ids[1], ids[40]}
    world.poll()
    assert world.rows().keys() == set(ids)
    assert not events(log, "message_refused")


@pytest.mark.parametrize(
    "denial", [AccessDenied("access_denied", "Graph answered 403"), GraphForbidden("Graph answered 403")]
)
def test_who_may_see_pages_but_not_single_messages_keeps_the_pages(denial, log):
    world = World(service=FakeMailService(headers_in_delta=False, headers_in_lists=False))
    world.service.fail(denial, "messages", times=10_000)
    ids = deliver(world, 3)
    world.hint()
    world.work()
    assert world.rows().keys() == set(ids)
    assert len(events(log, "message_refused")) == 3
    assert (world.mailbox.state, world.mailbox.last_error) == (MailboxState.ACTIVE, None)
