from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailsync.adapters.storage.mailboxes import TableMailboxStore
from mailsync.errors import StaleWrite
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.records import (
    DueMailbox,
    Folder,
    History,
    LastError,
    Lease,
    Looking,
    Mailbox,
    MailboxState,
    Push,
    PushState,
    Subscription,
)
from tests.fakes.stores import FakeMailboxStore, all_due

NOW = datetime(2026, 11, 25, 8, 30, 0, 123000, tzinfo=UTC)
TENANT = "aaaaaaaa-0000-4000-8000-000000000001"


@pytest.fixture(params=["fake", "azure"])
def mailboxes(request):
    return FakeMailboxStore() if request.param == "fake" else TableMailboxStore(request.getfixturevalue("storage"))


def an_id(number: int) -> str:
    return mailbox_id(TENANT, f"bbbbbbbb-0000-4000-8000-{number:012x}")


def a_mailbox(number: int = 1, **fields) -> Mailbox:
    return Mailbox(
        **{"id": an_id(number), "account_id": "acme", "address": "sales@acme.example", "connected_at": NOW} | fields
    )


def full_mailbox() -> Mailbox:
    history = History(before=NOW, skip=3, total=12_000, read=700)
    subscription = Subscription(an_id(7)[:36], "nonce-nonce-nonce-22", "k" * 16, NOW + timedelta(days=6), NOW, NOW)
    return a_mailbox(
        mail="Vertrieb@acme.example",
        display_name="Vertrieb — 営業 🙂",
        state=MailboxState.NEEDS_RECONNECT,
        folders=(
            Folder(
                "inbox", NOW - timedelta(days=30), "AAMkAD=", 2, "https://graph.example/d?t=" + "x" * 9000, False, 40
            ),
            Folder("archive", NOW, history=history, filtered=False, subscription=subscription),
        ),
        next_poll_at=NOW + timedelta(minutes=5),
        not_before=NOW + timedelta(minutes=1, microseconds=77),
        last_sync_started_at=NOW,
        last_success_at=NOW,
        last_error=LastError(NOW, "consent_required", "The owner must connect again.", failures=3),
        denied_since=NOW - timedelta(hours=7),
        denials=13,
        messages=70_000,
        removed=4,
        push=Push(PushState.DEGRADED, "silent", NOW + timedelta(minutes=8, microseconds=5), failures=4),
        last_notification_at=NOW - timedelta(minutes=3),
        looking=Looking(tuple(f"{n:03}{'m' * 509}" for n in range(50)), NOW + timedelta(seconds=30, microseconds=7), 2),
        lease=Lease("worker-1", NOW, NOW + timedelta(minutes=5)),
    )


def due_ids(mailboxes, now=NOW) -> list[str]:
    return [entry.mailbox_id for entry in all_due(mailboxes, now)]


def test_unknown(mailboxes):
    assert mailboxes.get(an_id(1)) is None
    assert list(mailboxes.list()) == []
    assert all_due(mailboxes, NOW) == []


def test_a_record_comes_back_as_it_was_saved(mailboxes):
    saved = mailboxes.save(full_mailbox())
    assert saved.version
    assert saved.due_key
    assert mailboxes.get(saved.id) == saved
    assert replace(saved, version=None, due_key=None) == full_mailbox()


def test_saved_datetimes_are_plain_utc(mailboxes):
    mailboxes.save(full_mailbox())
    moment = mailboxes.get(an_id(1)).not_before
    assert type(moment) is datetime
    assert moment.tzinfo is UTC


def test_fields_can_be_cleared(mailboxes):
    saved = mailboxes.save(full_mailbox())
    bare = a_mailbox(version=saved.version, due_key=saved.due_key)
    cleared = mailboxes.save(bare)
    assert cleared == mailboxes.get(saved.id)
    assert cleared == replace(bare, version=cleared.version, due_key=None)


def test_creating_twice_is_stale(mailboxes):
    mailboxes.save(a_mailbox(next_poll_at=NOW))
    with pytest.raises(StaleWrite):
        mailboxes.save(a_mailbox(account_id="other"))
    with pytest.raises(StaleWrite):
        mailboxes.save(a_mailbox(account_id="other", next_poll_at=NOW))
    assert mailboxes.get(an_id(1)).account_id == "acme"


def test_updating_what_does_not_exist_is_stale(mailboxes):
    saved = mailboxes.save(a_mailbox(1))
    for next_poll_at in (None, NOW):
        with pytest.raises(StaleWrite):
            mailboxes.save(a_mailbox(2, version=saved.version, next_poll_at=next_poll_at))
    assert mailboxes.get(an_id(2)) is None


@pytest.mark.parametrize("next_poll_at", [NOW, NOW + timedelta(minutes=1), None])
def test_an_old_version_is_stale_and_changes_nothing(mailboxes, next_poll_at):
    first = mailboxes.save(a_mailbox(next_poll_at=NOW))
    second = mailboxes.save(replace(first, messages=1))
    assert second.version != first.version
    with pytest.raises(StaleWrite):
        mailboxes.save(replace(first, messages=9, next_poll_at=next_poll_at))
    assert mailboxes.get(first.id) == second
    assert due_ids(mailboxes) == [first.id]


def test_of_many_who_take_the_lease_at_once_one_gets_it(mailboxes):
    base = mailboxes.save(a_mailbox(next_poll_at=NOW))

    def take(number):
        lease = Lease(f"worker-{number}", NOW, NOW + timedelta(minutes=5))
        try:
            return mailboxes.save(replace(base, lease=lease, next_poll_at=NOW + timedelta(minutes=number)))
        except StaleWrite:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [saved for saved in pool.map(take, range(8)) if saved]
    assert len(winners) == 1
    assert mailboxes.get(base.id) == winners[0]
    assert len(all_due(mailboxes, NOW + timedelta(days=1))) == 1


def test_the_schedule_follows_the_record(mailboxes):
    saved = mailboxes.save(a_mailbox(next_poll_at=NOW))
    assert due_ids(mailboxes, NOW - timedelta(milliseconds=1)) == []
    assert due_ids(mailboxes, NOW) == [saved.id]
    later = mailboxes.save(replace(saved, next_poll_at=NOW + timedelta(minutes=5)))
    assert due_ids(mailboxes, NOW + timedelta(minutes=4)) == []
    assert due_ids(mailboxes, NOW + timedelta(minutes=6)) == [saved.id]
    off = mailboxes.save(replace(later, next_poll_at=None))
    assert off.due_key is None
    assert due_ids(mailboxes, NOW + timedelta(days=9)) == []
    mailboxes.save(replace(off, next_poll_at=NOW))
    assert due_ids(mailboxes) == [saved.id]


def in_shard(digit: str, number: int) -> str:
    return an_id(16 * number + int(digit, 16))


def test_what_is_due_of_a_shard_is_that_shards_longest_overdue_first(mailboxes):
    order = [7, 3, 30, 12, 1, 25, 18, 9, 14, 2]
    for place, number in enumerate(order):
        for shard in "a7":
            due_at = NOW - timedelta(minutes=100 - place)
            mailboxes.save(a_mailbox(id=in_shard(shard, number), next_poll_at=due_at))
    mailboxes.save(a_mailbox(id=in_shard("a", 99), next_poll_at=NOW + timedelta(milliseconds=1)))
    for shard in "a7":
        entries = [entry for page in mailboxes.due(shard, NOW) for entry in page]
        assert [entry.mailbox_id for entry in entries] == [in_shard(shard, number) for number in order]
    assert not any(mailboxes.due("0", NOW))


def test_what_is_due_can_be_read_from_an_entry_on(mailboxes):
    for number in range(6):
        mailboxes.save(a_mailbox(id=in_shard("c", number), next_poll_at=NOW - timedelta(minutes=6 - number)))
    [entries] = mailboxes.due("c", NOW)
    rest = [entry for page in mailboxes.due("c", NOW, entries[2].key) for entry in page]
    assert rest == list(entries[2:])
    assert not any(mailboxes.due("c", NOW, "z"))
    assert [entry for page in mailboxes.due("c", NOW, "-") for entry in page] == list(entries)


def test_several_due_at_the_same_moment(mailboxes):
    for number in (17, 1, 33):
        mailboxes.save(a_mailbox(number, next_poll_at=NOW))
    assert sorted(due_ids(mailboxes)) == sorted(map(an_id, (17, 1, 33)))


def test_mark_queued_shows_until_the_schedule_moves(mailboxes):
    saved = mailboxes.save(a_mailbox(next_poll_at=NOW))
    [entry] = all_due(mailboxes, NOW)
    assert entry.queued_at is None
    mailboxes.mark_queued([entry], NOW + timedelta(seconds=1))
    assert [entry.queued_at for entry in all_due(mailboxes, NOW)] == [NOW + timedelta(seconds=1)]
    same = mailboxes.save(replace(saved, messages=1))
    assert [entry.queued_at for entry in all_due(mailboxes, NOW)] == [NOW + timedelta(seconds=1)]
    mailboxes.save(replace(same, next_poll_at=NOW + timedelta(seconds=2)))
    assert [entry.queued_at for entry in all_due(mailboxes, NOW + timedelta(seconds=9))] == [None]


def test_marking_an_entry_that_has_gone_is_no_error_and_makes_none(mailboxes):
    saved = mailboxes.save(a_mailbox(next_poll_at=NOW))
    [entry] = all_due(mailboxes, NOW)
    mailboxes.save(replace(saved, next_poll_at=None))
    mailboxes.mark_queued([entry], NOW)
    mailboxes.mark_queued([DueMailbox(entry.key, an_id(5))], NOW)
    mailboxes.mark_queued([], NOW)
    assert all_due(mailboxes, NOW) == []


def test_many_are_marked_at_once_and_those_that_have_gone_cost_no_other(mailboxes):
    ids = [in_shard("4", number) for number in range(12)] + [in_shard("e", number) for number in range(3)]
    saved = [mailboxes.save(a_mailbox(id=each, next_poll_at=NOW)) for each in ids]
    entries = all_due(mailboxes, NOW)
    gone = {saved[place].id for place in (0, 5, 6, 11, 13)}
    for mailbox in saved:
        if mailbox.id in gone:
            mailboxes.save(replace(mailbox, next_poll_at=NOW - timedelta(seconds=1)))
    mailboxes.mark_queued(entries, NOW)
    marked = {entry.mailbox_id: entry.queued_at for entry in all_due(mailboxes, NOW)}
    assert marked == {each: None if each in gone else NOW for each in ids}


def test_list_has_each_mailbox_once(mailboxes):
    saved = {number: mailboxes.save(a_mailbox(number, next_poll_at=NOW)) for number in range(20)}
    listed = sorted(mailboxes.list(), key=lambda mailbox: mailbox.id)
    assert listed == [saved[number] for number in range(20)]
