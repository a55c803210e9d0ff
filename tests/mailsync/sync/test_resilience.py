"""Answers of Graph that could stop a mailbox, end it, or let it go short without a word. None may."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec
import pytest
from msgspec import UNSET

from mailsync.errors import (
    AccessDenied,
    ForeignLink,
    GraphForbidden,
    GraphRefused,
    GraphUnavailable,
    Rejected,
    Throttled,
)
from mailsync.mailboxes.records import MailboxState
from mailsync.mailboxes.status import mailbox_lines
from mailsync.sync import delta_reader
from mailsync.sync.records import DeltaPage, Fetched, HistoryPage, Message
from mailsync.sync.run import Limits
from tests.fakes.mail_service import FakeMailService
from tests.mailsync.world import START, World

HOUR = timedelta(hours=1)
UNREADABLE = GraphUnavailable("Graph answered 500 ErrorContentConversionFailed")


def deliver(world: World, count: int, folder: str = "inbox") -> list[str]:
    """Messages a minute apart, newest first."""
    return [world.graph.deliver(START - timedelta(minutes=place), folder) for place in range(count)]


def synced(count: int = 3, **more) -> World:
    """A world that has read so many messages."""
    world = World(**more)
    deliver(world, count)
    world.hint()
    world.work()
    world.clock.advance(600)
    return world


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith(f"{name} ")]


@pytest.fixture
def log(caplog):
    caplog.set_level("INFO", "mailsync")
    return caplog


@pytest.fixture
def small_cap(monkeypatch):
    monkeypatch.setattr(delta_reader, "FILTERED_CAP", 20)


# One message that cannot be fetched


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


# A page that cannot be had


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


# Counts and ends that are not true


@pytest.mark.parametrize(
    "refusal",
    [GraphRefused("Graph answered 400"), UNREADABLE, AccessDenied("access_denied", "Graph answered 403")],
    ids=lambda error: error.reason,
)
def test_where_graph_does_not_count_the_history_is_read(refusal, small_cap):
    world = World(service=FakeMailService(cap=20))
    world.service.fail(refusal, "count", times=10_000)
    ids = deliver(world, 52)
    world.poll()
    assert world.rows().keys() == set(ids)
    assert world.mailbox.folders[0].complete


@pytest.mark.parametrize("period", [1, 2, 3])
@pytest.mark.parametrize("counts", [True, False])
def test_a_history_that_repeats_its_pages_ends_and_is_told(period, counts, small_cap, log):
    class Repeating(FakeMailService):
        def history(self, *args, **more) -> HistoryPage:
            page = super().history(*args, **more)
            if len(seen) < period:
                seen.append(page)
            return seen[self.calls.count("history") % len(seen)]

    seen: list[HistoryPage] = []
    service = Repeating(cap=20, history_page_size=10, choose=lambda ids, cap: ids[-cap:], counts=counts)
    world = World(service=service, limits=Limits(pages=7))
    deliver(world, 100)
    world.poll()
    assert len(events(log, "history_short")) == 1
    assert service.calls.count("history") < 40
    assert world.mailbox.folders[0].complete
    assert world.mailbox.last_error is None


def test_a_history_that_repeats_a_page_now_and_then_is_read_to_its_end(small_cap, log):
    class Stuttering(FakeMailService):
        def history(self, *args, **more) -> HistoryPage:
            page = super().history(*args, **more)
            shown.append(page)
            return shown[-2] if len(shown) in (4, 9) else page

    shown: list[HistoryPage] = []
    world = World(service=Stuttering(cap=20, history_page_size=10, choose=lambda ids, cap: ids[-cap:]))
    ids = deliver(world, 100)
    world.poll()
    assert world.rows().keys() == set(ids)
    assert world.mailbox.folders[0].history.read == 100
    assert not events(log, "history_short")


def test_without_a_count_the_history_is_read(small_cap):
    world = World(service=FakeMailService(cap=20, counts=False))
    ids = deliver(world, 52)
    world.poll()
    assert set(world.rows()) == set(ids)


def test_a_count_that_is_too_low_does_not_hide_the_cap(small_cap):
    class Low(FakeMailService):
        def count(self, folder: str, since: datetime, until: datetime | None = None) -> int | None:
            return 3

    world = World(service=Low(cap=20))
    ids = deliver(world, 52)
    world.poll()
    assert set(world.rows()) == set(ids)


def test_an_enumeration_that_ends_early_is_completed_by_history():
    world = World(service=FakeMailService(cap=7))
    ids = deliver(world, 12)
    world.poll()
    assert set(world.rows()) == set(ids)


@pytest.mark.parametrize("unlinked", [1, 2, 1_000])
def test_a_history_page_without_its_link_is_no_end(unlinked, small_cap, log):
    world = World(service=FakeMailService(cap=20, history_page_size=5, unlinked=unlinked))
    ids = deliver(world, 56)
    world.poll()
    assert set(world.rows()) == set(ids)
    assert world.mailbox.folders[0].history.read == 56
    assert not events(log, "history_short")


def test_a_history_whose_link_leads_on_for_ever_ends(small_cap, log):
    class Endless(FakeMailService):
        def history(self, *args, **more) -> HistoryPage:
            return HistoryPage(super().history(*args, **more).messages, more=True)

    world = World(service=Endless(cap=20, history_page_size=5))
    ids = deliver(world, 56)
    world.poll()
    assert set(world.rows()) == set(ids)
    assert world.mailbox.folders[0].complete
    assert world.service.calls.count("history") < 20


def test_messages_of_one_instant_are_read_once_each(small_cap):
    world = World(service=FakeMailService(cap=20, history_page_size=5))
    ids = [world.graph.deliver(START - timedelta(minutes=place // 13)) for place in range(60)]
    world.poll()
    assert set(world.rows()) == set(ids)
    assert world.mailbox.folders[0].history.read == 60


def test_a_history_that_falls_short_is_come_back_to_and_then_told(small_cap, log):
    class Short(FakeMailService):
        def history(self, *args, **more) -> HistoryPage:
            page = super().history(*args, **more)
            return HistoryPage(tuple(m for m in page.messages if m.id not in hidden), page.more)

    hidden: set[str] = set()
    world = World(service=Short(cap=20, choose=lambda ids, cap: ids[-cap:]))
    ids = deliver(world, 50)
    hidden |= set(ids[3:6])
    world.poll()
    assert set(world.rows()) == set(ids) - hidden
    assert [line.split("folder=")[1] for line in events(log, "history_short")] == ["inbox read=47 counted=50"]
    assert world.mailbox.folders[0].complete
    assert world.mailbox.problem == ""


def test_mail_that_goes_while_history_is_read_is_not_missed(small_cap, log):
    world = World(service=FakeMailService(cap=20, history_page_size=5), limits=Limits(pages=7))
    ids = deliver(world, 60)
    world.hint()
    while not any(f.history and f.history.read for f in world.mailbox.folders):
        world.work_once()
    for gone in ids[-5:]:
        world.graph.delete(gone)
    for _ in range(9):
        world.graph.deliver(world.clock())
    world.work()
    assert not events(log, "history_short")
    assert world.mailbox.folders[0].complete


def test_a_lost_link_gives_up_no_history_that_is_still_to_be_read(small_cap):
    world = World(service=FakeMailService(cap=20, history_page_size=5), limits=Limits(pages=4))
    first = world.clock() - timedelta(days=30) + timedelta(minutes=1)
    ids = [*deliver(world, 50), world.graph.deliver(first.replace(microsecond=0))]
    world.hint()
    while not any(f.history and f.history.read for f in world.mailbox.folders):
        world.work_once()
    world.clock.advance(3_600)
    world.service.expire_links()
    world.work()
    assert set(world.rows()) == set(ids)


def test_what_an_enumeration_leaves_out_is_not_taken_for_removed():
    class Forgetful(FakeMailService):
        forgets = 0

        def start_delta(self, *args, **more) -> DeltaPage:
            page = super().start_delta(*args, **more)
            return DeltaPage(page.messages[self.forgets :], page.link, page.last)

        def history(self, *args, **more) -> HistoryPage:
            return HistoryPage((), more=False)

    world = synced(30, service=Forgetful())
    gone, *others = list(world.rows())
    world.graph.delete(gone)
    world.service.expire_links()

    world.service.forgets = 5
    world.poll()
    removed = {id_ for id_, row in world.rows().items() if row.removed_at}
    assert removed == {gone}
    assert others


# Rounds that lead nowhere


@dataclass(slots=True)
class Astray(FakeMailService):
    """A delta whose rounds of changes are `mad` until its links expire, or for ever where `incurable`."""

    mad: Callable[["Astray", str, DeltaPage], DeltaPage] | None = None
    incurable: bool = False
    followed: int = 0
    asked: set[str] = field(default_factory=set)

    def start_delta(self, folder: str, since: datetime | None, *, size: int = 0, narrow: bool = False) -> DeltaPage:
        if not self.incurable:
            self.mad = None
        return FakeMailService.start_delta(self, folder, since, size=size, narrow=narrow)

    def follow_delta(self, link: str, *, size: int = 0) -> DeltaPage:
        self.followed += 1
        page = FakeMailService.follow_delta(self, link.partition("&")[0], size=size)
        return self.mad(self, link, page) if self.mad else page


def the_same_link(service: Astray, link: str, page: DeltaPage) -> DeltaPage:
    return DeltaPage(page.messages, link, last=False)


def a_circle(service: Astray, link: str, page: DeltaPage) -> DeltaPage:
    return DeltaPage((), f"{link.partition('&')[0]}&{service.followed % 7}", last=False)


def ever_new_links_without_news(service: Astray, link: str, page: DeltaPage) -> DeltaPage:
    return DeltaPage((), f"{link.partition('&')[0]}&{service.followed}", last=False)


def ever_new_links_with_the_same_content(service: Astray, link: str, page: DeltaPage) -> DeltaPage:
    return DeltaPage(page.messages, f"{link.partition('&')[0]}&{service.followed}", last=False)


MADNESS = [the_same_link, a_circle, ever_new_links_without_news, ever_new_links_with_the_same_content]


@pytest.mark.parametrize("mad", MADNESS)
def test_a_round_without_end_is_left_for_a_new_enumeration(mad, log):
    world = synced(service=Astray())
    new = world.graph.deliver(world.clock())
    world.service.mad = mad
    world.poll()
    assert new in world.rows()
    assert world.service.followed < 3_000
    assert {line.split("reason=")[1].split()[0] for line in events(log, "sync_deferred")} == {"delta_endless"}
    assert len(events(log, "delta_endless")) == 1
    assert (world.mailbox.problem, world.mailbox.folders[0].generation) == ("", 2)
    assert (world.mailbox.folders[0].astray, world.mailbox.folders[0].idle) == (0, 0)


@pytest.mark.parametrize("mad", MADNESS)
def test_a_delta_that_never_ends_costs_little_and_no_mail(mad, log):
    world = synced(service=Astray(incurable=True))
    world.service.mad = mad
    new = []
    for _ in range(4):
        new.append(world.graph.deliver(world.clock()))
        world.poll()
        world.clock.advance(3_600)
    assert set(new) <= set(world.rows())
    assert len(events(log, "delta_endless")) == 4
    assert world.service.followed < 10_000
    assert world.mailbox.state is MailboxState.ACTIVE


def test_a_page_that_is_fetched_ahead_leads_nowhere_back(monkeypatch):
    ahead = delta_reader.read_ahead
    monkeypatch.setattr(delta_reader, "read_ahead", lambda *steps: iter(list(ahead(*steps))))
    world = synced(250)
    assert len(world.messages.rows) == 250
    assert not world.mailbox.problem


def test_a_folder_that_leads_nowhere_keeps_no_other_from_being_read():
    world = World(folders=("inbox", "archive"), service=Astray())
    world.hint()
    world.work()
    world.service.mad = lambda service, link, page: the_same_link(service, link, page) if inbox in link else page
    inbox = world.mailbox.folders[0].cursor.partition("?")[2]
    new = world.graph.deliver(world.clock(), "archive")
    world.clock.advance(600)
    world.hint()
    world.work_once()
    assert new in world.rows()
    assert world.mailbox.problem == "delta_endless"


@pytest.mark.parametrize("pages", [90, 199])
def test_empty_pages_in_plenty_are_legal(pages, log):
    world = synced()
    world.service.empty_pages = pages
    new = world.graph.deliver(world.clock())
    world.poll()
    assert new in world.rows()
    assert world.mailbox.folders[0].generation == 1
    assert not events(log, "sync_deferred")


def test_a_long_enumeration_of_what_is_known_is_legal(log):
    world = synced(400, service=FakeMailService(page_size=1), limits=Limits(pages=60))
    known = set(world.rows())
    world.mailboxes.save(replace(world.mailbox, folders=()))
    world.poll()
    assert set(world.rows()) == known
    assert not events(log, "sync_deferred")


FOREIGN = ForeignLink("a link of Graph's leads away from GRAPH_ENDPOINT and was not followed")


def test_a_foreign_link_that_stays_is_left_for_a_new_enumeration(log):
    world = synced()
    new = world.graph.deliver(world.clock())
    world.service.fail(FOREIGN, "follow_delta", times=1_000)
    world.poll()
    assert new in world.rows()
    assert events(log, "sync_failed")
    assert len(events(log, "delta_endless")) == 1
    assert world.mailbox.folders[0].generation == 2


def test_a_foreign_link_that_passes_costs_nothing():
    world = synced()
    new = world.graph.deliver(world.clock())
    world.service.fail(FOREIGN, "follow_delta")
    world.poll()
    assert new in world.rows()
    assert world.mailbox.folders[0].generation == 1


def test_errors_of_the_mailbox_stop_the_other_folders_too():
    world = World(folders=("inbox", "archive"))
    world.hint()
    world.work()
    world.service.calls.clear()
    world.service.fail(Throttled("graph_throttled", "wait", 90.0), "follow_delta")
    world.clock.advance(600)
    world.hint()
    world.work_once()
    assert world.service.calls == ["follow_delta"]


def test_a_delta_that_has_been_astray_for_years_is_asked_by_the_hour():
    world = synced(service=Astray(incurable=True, mad=the_same_link))
    folder = msgspec.structs.replace(world.mailbox.folders[0], astray=100_000)
    world.mailboxes.save(replace(world.mailbox, folders=(folder,)))
    world.hint()
    world.work_once()
    assert world.mailbox.not_before == world.clock() + HOUR
