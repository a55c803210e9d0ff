"""One mailbox's run: who may work on it, what ends it, what it leaves behind."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import UNSET

from mailsync.errors import (
    AccessDenied,
    FolderNotFound,
    ForeignLink,
    GraphUnavailable,
    Misconfigured,
    ReconnectRequired,
    Rejected,
    SyncStateLost,
    Throttled,
)
from mailsync.mailboxes.records import Lease, MailboxState, PushState
from mailsync.schedule.hints import decode_poison
from mailsync.schedule.records import Hint
from mailsync.sync import delta_reader
from mailsync.sync.run import Limits
from tests.fakes.mail_service import FakeMailService
from tests.fakes.stores import all_due
from tests.mailsync.world import BOX, START, MortalMessages, World

HOUR = timedelta(hours=1)


class Interrupted(FakeMailService):
    """Something else happens while Graph is asked for changes, once."""

    meanwhile: Callable[[], object] | None = None

    def follow_delta(self, link, *, size=0):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return super().follow_delta(link, size=size)


def synced(**more) -> World:
    """A world whose mailbox has three messages in the table."""
    world = World(**{"service": Interrupted()} | more)
    for age in (1, 2, 3):
        world.graph.deliver(START - age * HOUR)
    world.hint()
    world.work()
    world.service.calls.clear()
    world.mailboxes.writes = 0
    return world


def reasons(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith(event)]


def test_an_idle_poll_costs_a_read_two_saves_and_one_call_to_graph():
    world = synced()
    refreshed, loads = world.directory.refreshed, world.vault.loads
    world.clock.advance(300)
    world.hint()
    world.work()
    assert world.service.calls == ["follow_delta"]
    assert world.mailboxes.writes == 2
    assert (world.directory.refreshed, world.vault.loads) == (refreshed, loads)


def test_new_mail_is_in_the_table_newest_first():
    world = synced()
    keys = sorted(row.row_key for row in world.rows().values())
    assert [world.messages.rows[BOX, key].content.received for key in keys] == [START - age * HOUR for age in (1, 2, 3)]
    assert (world.mailbox.messages, world.mailbox.removed) == (3, 0)
    assert world.mailbox.last_success_at
    assert not world.mailbox.lease


def test_a_hint_that_a_later_sync_has_covered_costs_one_read():
    world = synced()
    old = Hint(mailbox_id=BOX, at=world.mailbox.last_sync_started_at - timedelta(seconds=3))
    world.synchronizer.run(old)
    assert world.service.calls == []
    assert world.mailboxes.writes == 0


def test_clocks_a_second_apart_do_not_hide_a_hint():
    world = synced()
    world.synchronizer.run(Hint(mailbox_id=BOX, at=world.mailbox.last_sync_started_at - timedelta(seconds=1)))
    assert world.service.calls == ["follow_delta"]


def test_a_mailbox_at_work_is_left_alone_and_its_hint_comes_back():
    world = synced()
    held = Lease("other", world.clock(), world.clock() + timedelta(seconds=60))
    world.mailboxes.save(replace(world.mailbox, lease=held))
    world.clock.advance(10)
    world.hint()
    world.work_once()
    assert world.service.calls == []
    assert world.mailbox.lease == held
    [(hint, delay)] = world.queue.take()
    assert (hint.mailbox_id, delay) == (BOX, 5)


def test_what_a_run_under_way_covers_comes_when_its_lease_has_ended():
    world = synced()
    world.hint()
    world.clock.advance(10)
    world.mailboxes.save(replace(world.mailbox, lease=Lease("other", world.clock(), world.clock() + HOUR)))
    world.work_once()
    [(_, delay)] = world.queue.take()
    assert 3600 < delay < 3602
    assert world.service.calls == []


@pytest.mark.parametrize(("age", "delay"), [(0, 1), (3, 3), (40, 5)])
def test_what_a_run_under_way_may_miss_waits_by_the_runs_age(age, delay):
    world = synced()
    world.mailboxes.save(replace(world.mailbox, lease=Lease("other", world.clock(), world.clock() + HOUR)))
    world.clock.advance(age)
    world.synchronizer.run(Hint(mailbox_id=BOX, at=world.clock(), created=("new",)))
    [(_, waits)] = world.queue.take()
    assert waits == delay


def test_a_hint_whose_run_died_goes_on_while_its_lease_lives():
    world = synced()
    world.graph.deliver(START + timedelta(seconds=1))
    world.clock.advance(10)
    world.hint()
    world.clock.advance(5)  # it waits its turn for more than the clocks may be apart
    world.mailboxes.die_at(2, "none")
    world.work()
    assert len(world.rows()) == 4
    assert world.mailbox.lease is None


def test_what_was_no_hint_is_told_once(caplog):
    with caplog.at_level("INFO", "mailsync"):
        synced().synchronizer.poisoned(decode_poison(b"nonsense"))
    assert reasons(caplog, "sync_poisoned") == ["sync_poisoned"]


def test_a_lease_that_has_run_out_is_taken_over():
    world = synced()
    world.mailboxes.save(replace(world.mailbox, lease=Lease("dead", START, world.clock() - HOUR)))
    world.clock.advance(5)
    world.hint()
    world.work()
    assert world.service.calls == ["follow_delta"]
    assert world.mailbox.lease is None


def test_a_run_whose_lease_was_taken_writes_no_status(caplog):
    world = synced()
    world.service.fail(Throttled("graph_throttled", "wait", 30), "follow_delta")
    stolen = replace(world.mailbox, lease=Lease("thief", START, world.clock() + HOUR))
    world.service.meanwhile = lambda: world.mailboxes.save(replace(stolen, version=world.mailbox.version))
    world.clock.advance(10)
    world.hint()
    with caplog.at_level("INFO", "mailsync"):
        world.work_once()
    assert world.mailbox.lease.owner == "thief"
    assert world.mailbox.problem == ""
    assert "why=lease_lost" in caplog.text


def test_an_owner_who_reconnects_during_a_run_is_not_asked_to_again():
    world = synced()
    world.service.meanwhile = lambda: world.mailboxes.save(replace(world.mailbox, granted_at=world.clock()))
    world.service.fail(ReconnectRequired("grant_revoked", "the old grant is gone"), "follow_delta")
    world.clock.advance(10)
    world.hint()
    world.work_once()
    assert world.mailbox.state is MailboxState.ACTIVE
    world.poll()
    assert world.mailbox.last_success_at == world.clock()


def test_a_lost_grant_stops_polling_and_says_why(caplog):
    world = synced()
    world.directory.error = ReconnectRequired("grant_revoked", "the owner has withdrawn consent")
    world.clock.advance(3600)
    world.hint()
    with caplog.at_level("INFO", "mailsync"):
        world.work()
    box = world.mailbox
    assert (box.state, box.problem, box.next_poll_at) == (MailboxState.NEEDS_RECONNECT, "grant_revoked", None)
    assert all_due(world.mailboxes, world.clock() + 100 * HOUR) == []
    assert reasons(caplog, "needs_reconnect")


def test_the_operators_fault_is_loud_and_leaves_the_mailbox_active(caplog):
    world = synced()
    world.directory.error = Misconfigured("invalid_client", "Entra refuses the app's credential")
    world.clock.advance(3600)
    world.hint()
    with caplog.at_level("INFO", "mailsync"):
        world.work_once()
    assert world.mailbox.state is MailboxState.ACTIVE
    assert world.mailbox.problem == "invalid_client"
    assert reasons(caplog, "misconfigured")
    world.directory.error = None
    world.work()
    assert world.mailbox.problem == ""


def test_a_long_wait_goes_back_to_the_queue_and_nothing_is_asked_before():
    world = synced()
    world.service.fail(Throttled("graph_throttled", "wait", 90), "follow_delta")
    world.clock.advance(300)
    world.hint()
    world.work_once()
    assert world.mailbox.not_before == world.clock() + timedelta(seconds=90)
    assert world.mailbox.lease is None
    [(_, delay)] = world.queue.sent
    assert 90 < delay < 95
    world.service.calls.clear()
    world.clock.advance(30)
    world.synchronizer.run(Hint(mailbox_id=BOX, at=world.clock()))
    assert world.service.calls == []
    world.work()
    assert world.service.calls == ["follow_delta"]
    assert world.mailbox.problem == ""


def test_waits_without_a_time_double_up_to_an_hour():
    world = synced()
    world.service.fail(Throttled("graph_throttled", "busy"), "follow_delta", times=12)
    world.clock.advance(300)
    world.hint()
    delays = []
    for _ in range(12):
        world.work_once()
        delays.append(round((world.mailbox.not_before - world.clock()).total_seconds()))
    assert delays == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600, 3600]


def test_a_wait_of_years_is_cut_to_a_day():
    world = synced()
    world.service.fail(Throttled("graph_throttled", "wait", 1e9), "follow_delta")
    world.clock.advance(300)
    world.hint()
    world.work_once()
    assert world.mailbox.not_before == world.clock() + timedelta(days=1)


def test_a_link_to_another_host_fails_loudly_and_keeps_the_cursor(caplog):
    world = synced()
    cursor = world.mailbox.folders[0].cursor
    world.service.fail(ForeignLink("the link leads to another host"), "follow_delta")
    world.clock.advance(300)
    world.hint()
    with caplog.at_level("INFO", "mailsync"):
        world.work_once()
    assert world.mailbox.folders[0].cursor == cursor
    assert world.mailbox.problem == "foreign_link"
    assert reasons(caplog, "sync_failed")


def test_what_nobody_foresaw_reaches_the_queue_and_the_status():
    world = synced()
    world.service.fail(ZeroDivisionError("secret words"), "follow_delta")  # type: ignore[arg-type]
    world.clock.advance(300)
    with pytest.raises(ZeroDivisionError):
        world.synchronizer.run(Hint(mailbox_id=BOX, at=world.clock()))
    assert (world.mailbox.problem, world.mailbox.last_error.message) == ("unexpected", "ZeroDivisionError")
    assert world.mailbox.lease is None


def test_poison_is_recorded_and_the_schedule_goes_on(caplog):
    world = synced()
    due = world.mailbox.next_poll_at
    with caplog.at_level("INFO", "mailsync"):
        world.synchronizer.poisoned(Hint(mailbox_id=BOX, at=world.clock()))
    assert (world.mailbox.problem, world.mailbox.next_poll_at) == ("poisoned", due)
    assert reasons(caplog, "sync_poisoned")


def test_poison_of_an_unknown_mailbox_is_only_logged():
    world = synced()
    world.synchronizer.poisoned(Hint(mailbox_id=BOX[:-1] + "f", at=world.clock()))
    assert world.mailbox.problem == ""


def test_an_unknown_mailbox_is_skipped(caplog):
    world = synced()
    with caplog.at_level("INFO", "mailsync"):
        world.synchronizer.run(Hint(mailbox_id=BOX[:-1] + "f", at=world.clock()))
    assert "why=not_active" in caplog.text


def test_a_huge_mailbox_goes_on_in_runs_of_its_own_and_new_mail_does_not_wait(monkeypatch):
    monkeypatch.setattr(delta_reader, "FILTERED_CAP", 20)
    world = World(limits=Limits(pages=4))
    world.service.page_size = world.service.history_page_size = 5
    world.service.cap = 20
    for minutes in range(100):
        world.graph.deliver(START - timedelta(minutes=minutes))
    world.hint()
    while not any(f.history and f.history.read for f in world.mailbox.folders):
        world.work_once()
    new = world.graph.deliver(world.clock())
    world.work_once()
    assert new in world.rows()
    assert len(world.rows()) < 101
    history = world.mailbox.folders[0].history
    assert history.total == 100
    world.work()
    assert len(world.rows()) == 101
    assert world.mailbox.folders[0].complete


def test_a_link_that_is_lost_at_once_again_waits():
    world = synced()
    world.service.fail(SyncStateLost("gone"), "follow_delta", "start_delta", times=2)
    world.clock.advance(300)
    world.hint()
    world.work_once()
    assert world.mailbox.problem == "sync_state_lost"
    world.work()
    assert world.mailbox.problem == ""
    assert len(world.rows()) == 3


def test_after_a_long_silence_a_reset_reaches_back_to_the_last_success():
    world = synced()
    last = world.mailbox.last_success_at
    world.clock.advance(60 * 86_400)
    missed = world.graph.deliver(last + timedelta(days=1))
    world.service.expire_links()
    world.hint()
    world.work()
    assert missed in world.rows()
    assert len(world.rows()) == 4


def test_folders_come_and_go_with_the_setting():
    world = synced(folders=("inbox", "archive"))
    world.graph.deliver(START, "archive")
    world.clock.advance(300)
    world.hint()
    world.work()
    assert len(world.rows()) == 4
    fewer = World(
        folders=("archive",), mailboxes=world.mailboxes, messages=world.messages, service=world.service, connected=True
    )
    fewer.clock.now = world.clock.now + HOUR
    fewer.hint()
    fewer.work()
    assert [folder.name for folder in fewer.mailbox.folders] == ["archive"]
    assert len(fewer.rows()) == 4


def test_a_refresh_token_is_saved_when_it_changed_before_the_access_token_is_used():
    world = synced()
    assert world.vault.secrets[BOX].refresh_token == "refresh-1"
    world.clock.advance(3600)
    world.hint()
    world.work()
    assert world.vault.secrets[BOX].refresh_token == "refresh-2"
    saves = world.vault.saves
    world.clock.advance(300)
    world.hint()
    world.work()
    assert world.vault.saves == saves


def test_a_mailbox_without_its_secret_asks_for_its_owner():
    world = synced()
    world.vault.secrets.clear()
    world.clock.advance(3600)
    world.hint()
    world.work()
    assert (world.mailbox.state, world.mailbox.problem) == (MailboxState.NEEDS_RECONNECT, "token_missing")


def test_a_folder_that_a_mailbox_lacks_keeps_none_of_the_others():
    world = World(folders=("inbox", "clutter", "archive"))
    messages = {world.graph.deliver(START), world.graph.deliver(START, "archive")}
    world.hint()
    world.work()
    assert set(world.rows()) == messages
    assert [folder.problem for folder in world.mailbox.folders] == ["", "folder_not_found", ""]
    assert (world.mailbox.problem, world.mailbox.push.state) == ("", PushState.TRUSTED)
    world.poll()
    assert world.mailbox.last_success_at == world.clock()


def test_a_folder_that_comes_later_is_read_then():
    world = World(folders=("inbox", "clutter"))
    world.hint()
    world.work()
    world.graph.folders["clutter"] = "folder-id-clutter"
    message = world.graph.deliver(START, "clutter")
    world.poll()
    assert message in world.rows()
    assert not world.mailbox.folders[1].problem
    world.poll()
    assert world.mailbox.folders[1].subscription


def test_a_message_that_cannot_be_fetched_keeps_the_others_of_its_page_from_nothing():
    world = synced(service=FakeMailService(headers_in_delta=False))
    m1, m2, m3 = (world.graph.deliver(START + timedelta(minutes=place)) for place in range(3))
    world.service.refused[m2] = GraphUnavailable("it cannot be rendered", 90)
    world.clock.advance(300)
    world.hint()
    world.work_once()
    assert {m1, m3} < set(world.rows())
    assert world.rows()[m1].content.headers is not UNSET
    assert world.mailbox.problem == "messages_unread"
    assert world.mailbox.not_before == world.clock() + timedelta(seconds=90)
    world.service.refused.clear()
    world.work()
    assert {m1, m2, m3} < set(world.rows())
    assert (world.mailbox.problem, world.mailbox.messages) == ("", 6)


@pytest.mark.parametrize(("seconds", "saves"), [(0, 3), (0.3, 4), (2, 8)])
def test_the_cursor_is_saved_now_and_then_while_pages_come_fast(seconds, saves):
    """The lease, the generation, and the outcome are saved in any case."""
    world = World(service=FakeMailService(page_size=10))
    for place in range(60):
        world.graph.deliver(START - timedelta(minutes=place))
    write = world.messages.write
    world.messages.write = lambda *rows: (write(*rows), world.clock.advance(seconds))
    world.mailboxes.calls.clear()
    world.hint()
    world.work_once()
    assert len(world.rows()) == 60
    assert world.mailboxes.calls.count("save") == saves


def found_without_headers(number, **knobs):
    """A world that has found so many messages, of which delta has shown no headers."""
    world = synced(service=FakeMailService(headers_in_delta=False, **knobs))
    new = [world.graph.deliver(START + timedelta(minutes=place)) for place in range(number)]
    world.clock.advance(300)
    world.service.calls.clear()
    world.hint()
    world.work_once()
    assert all(world.rows()[each].content.headers == world.graph.messages[each].content.headers for each in new)
    return world


def test_headers_that_delta_leaves_out_come_from_a_list():
    world = found_without_headers(60)
    assert world.service.calls == ["follow_delta", "headers"]


def test_headers_of_few_messages_are_one_batch():
    world = found_without_headers(20)
    assert world.service.calls == ["follow_delta", "messages"]


def test_headers_that_delta_shows_cost_no_call():
    world = synced()
    for place in range(60):
        world.graph.deliver(START + timedelta(minutes=place))
    world.clock.advance(300)
    world.service.calls.clear()
    world.hint()
    world.work_once()
    assert world.service.calls == ["follow_delta"]


@pytest.mark.parametrize("knobs", [{"list_size": 40}, {"headers_in_lists": False}], ids=["some", "none"])
def test_headers_that_lists_do_not_show_are_asked_for_by_ids(knobs):
    world = found_without_headers(60, **knobs)
    assert world.service.calls == ["follow_delta", "headers", "messages"]


def test_a_list_that_cannot_be_had_is_no_failure():
    service = FakeMailService(headers_in_delta=False)
    service.fail(GraphUnavailable("a message of it cannot be rendered"), "headers")
    world = synced(service=service)
    new = [world.graph.deliver(START + timedelta(minutes=place)) for place in range(60)]
    world.poll()
    assert all(world.rows()[each].content.headers is not UNSET for each in new)
    assert not world.mailbox.problem


def test_where_graph_wants_a_pause_no_other_way_is_tried():
    service = FakeMailService(headers_in_delta=False)
    service.fail(Throttled("graph_throttled", "too many requests", 30.0), "headers")
    world = synced(service=service)
    for place in range(60):
        world.graph.deliver(START + timedelta(minutes=place))
    world.service.calls.clear()
    world.clock.advance(300)
    world.hint()
    world.work_once()
    assert world.service.calls == ["follow_delta", "headers"]
    assert world.mailbox.problem == "graph_throttled"


def test_a_refusal_of_one_message_is_none_of_the_mailbox():
    world = synced(service=FakeMailService(headers_in_delta=False))
    bad = world.graph.deliver(START + timedelta(minutes=1))
    world.service.refused[bad] = AccessDenied("access_denied", "not this one")
    world.clock.advance(300)
    world.hint()
    world.work_once()
    assert world.mailbox.state is MailboxState.ACTIVE


def test_rows_are_counted_although_the_unseen_cannot_be_asked_for():
    world = synced(service=FakeMailService())
    old = world.graph.deliver(START)
    world.poll()
    world.service.expire_links()
    world.graph.delete(old)
    new = world.graph.deliver(START + timedelta(minutes=1))
    world.service.fail(GraphUnavailable("it is away"), "messages", times=2)
    world.poll()
    world.poll()
    assert new in world.rows()
    assert len(world.rows()) == world.mailbox.messages
    assert world.mailbox.removed == 1


class Fussy(MortalMessages):
    """Storage that refuses rows of certain subjects."""

    refused = ("poison",)

    def write(self, mailbox_id, messages):
        if any(message.content.subject in self.refused for message in messages):
            raise Rejected("storage_refused", "the row is not to its liking")
        super().write(mailbox_id, messages)


@pytest.mark.parametrize("die", [None, "half", "all"])
def test_a_row_that_storage_refuses_does_not_stop_the_mail_behind_it(die, caplog):
    world = World(messages=Fussy())
    good = {world.graph.deliver(START - timedelta(minutes=place)) for place in range(4)}
    bad = world.graph.deliver(START, subject="poison")
    world.messages.die_at(2, die) if die else None
    world.hint()
    with caplog.at_level("INFO", "mailsync"):
        world.work()
    assert set(world.rows()) == good
    assert world.mailbox.problem == ""
    assert [line for line in reasons(caplog, "row_refused") if bad in line]


def test_storage_that_takes_no_row_at_all_is_not_the_rows_fault():
    world = World(messages=Fussy())
    for place in range(3):
        world.graph.deliver(START - timedelta(minutes=place), subject="poison")
    world.hint()
    world.work_once()
    assert world.mailbox.problem == "storage_refused"
    world.messages.refused = ()
    world.work()
    assert len(world.rows()) == 3


def test_continuations_end_when_all_is_read():
    world = World(limits=Limits(pages=2))
    world.service.page_size = 5
    for minutes in range(50):
        world.graph.deliver(START - timedelta(minutes=minutes))
    for _ in range(10):
        world.hint()
        world.clock.advance(5)
    world.work()
    late = [call for call in world.service.calls if call == "follow_delta"]
    assert len(world.rows()) == 50
    assert len(late) < 20


def vanished(world: World, name: str) -> None:
    """The folder is gone: by its name, and by every link into it."""
    home = world.graph.folders.pop(name)
    for message_id in [mail.id for mail in world.graph.messages.values() if mail.folder == home]:
        world.graph.delete(message_id)
    world.service.fail(FolderNotFound("gone"), "follow_delta", after=1)


def test_a_folder_that_vanishes_is_told_once_and_costs_the_others_nothing(caplog):
    world = synced(folders=("inbox", "archive"))
    vanished(world, "archive")
    with caplog.at_level("INFO", "mailsync"):
        world.poll()
        before = world.clock()
        world.poll()
    assert world.mailbox.folders[1].problem == "folder_not_found"
    assert world.mailbox.folders[1].subscription is None
    assert (world.mailbox.problem, world.mailbox.push.state) == ("", PushState.TRUSTED)
    assert len(reasons(caplog, "sync_failed")) == 1
    assert world.clock() - before > timedelta(minutes=30)


def test_a_folder_made_anew_under_its_name_is_found_by_it():
    world = synced(folders=("inbox", "archive"))
    vanished(world, "archive")
    world.graph.folders["archive"] = "folder-id-archive-2"
    message = world.graph.deliver(START, "archive")
    world.poll()
    assert message in world.rows()
    assert world.mailbox.folders[1].folder_id == "folder-id-archive-2"


def test_a_folder_that_vanishes_while_its_history_is_read_stops_nothing(monkeypatch):
    monkeypatch.setattr(delta_reader, "FILTERED_CAP", 10)
    world = World(folders=("archive", "inbox"), limits=Limits(pages=6))
    world.service.page_size = world.service.history_page_size = 5
    world.service.cap = 10
    for minutes in range(60):
        world.graph.deliver(START - timedelta(minutes=minutes), "archive")
    world.hint()
    while not any(f.history and f.history.read for f in world.mailbox.folders):
        world.work_once()
    world.service.fail(FolderNotFound("gone"), "history")
    message = world.graph.deliver(START)
    world.work()
    assert message in world.rows()
    assert world.mailbox.problem == ""


def test_a_mailbox_that_lacks_its_only_folder_is_not_polled_all_the_time():
    world = World(folders=("clutter",))
    world.subscriptions.fail(GraphUnavailable("out"), "create")
    world.poll()
    for _ in range(5):
        before = world.clock()
        world.poll()
    assert world.clock() - before > timedelta(minutes=4)
