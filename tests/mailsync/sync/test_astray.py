"""Delta rounds that lead nowhere, and links that lead elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec
import pytest

from mailsync.errors import (
    ForeignLink,
    Throttled,
)
from mailsync.mailboxes.records import MailboxState
from mailsync.sync import delta_reader
from mailsync.sync.records import DeltaPage
from mailsync.sync.run import Limits
from tests.fakes.mail_service import FakeMailService
from tests.mailsync.sync.trouble import HOUR, events, synced
from tests.mailsync.world import World


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
