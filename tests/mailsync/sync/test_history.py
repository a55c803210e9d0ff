"""Where an enumeration may leave mail out, history is read by time, whatever Graph's pages are like."""

from datetime import datetime, timedelta

import pytest

from mailsync.errors import (
    AccessDenied,
    GraphRefused,
)
from mailsync.sync import delta_reader
from mailsync.sync.records import DeltaPage, HistoryPage
from mailsync.sync.run import Limits
from tests.fakes.mail_service import FakeMailService
from tests.mailsync.sync.trouble import UNREADABLE, deliver, events, synced
from tests.mailsync.world import START, World


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


@pytest.mark.parametrize("place", range(5))
def test_an_unreadable_message_of_an_instant_that_fills_pages_costs_only_itself(place, monkeypatch, log):
    monkeypatch.setattr(delta_reader, "FILTERED_CAP", 4)
    service = FakeMailService(page_size=2, history_page_size=3, cap=4, headers_in_delta=False)
    world = World(service=service, limits=Limits(pages=3))
    ids = [world.graph.deliver(START) for _ in range(5)]
    service.unreadable[ids[place]], service.refused[ids[place]] = True, UNREADABLE
    world.hint()
    for _ in range(40):
        world.work()
        world.clock.advance(600)
        world.poll()
    assert world.rows().keys() == set(ids)
    assert not events(log, "history_short")
