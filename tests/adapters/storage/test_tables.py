"""What the table adapters do that no contract speaks of: how many calls, which limits, which errors."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.pipeline.transport import HttpTransport

from mailsync.adapters import azure_sdk
from mailsync.adapters.storage import blobs, mailbox_rows, tables
from mailsync.adapters.storage.entities import Change
from mailsync.adapters.storage.mailboxes import TableMailboxStore
from mailsync.adapters.storage.message_rows import blob_name
from mailsync.adapters.storage.messages import TableMessageStore
from mailsync.adapters.storage.one_time import TableOneTimeStore
from mailsync.adapters.storage.services import BODIES, blob_service, table_service
from mailsync.adapters.storage.tables import Table
from mailsync.errors import Misconfigured, RetryLater, StaleWrite
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.records import DueMailbox, LastError, Mailbox
from mailsync.one_time import OneTimeRecord
from mailsync.settings import Storage
from mailsync.sync.records import Content, StoredMessage
from mailsync.sync.row_keys import index_key, row_key
from tests.fakes.stores import all_due

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")
MAILBOX = Mailbox(id=BOX, account_id="acme", address="sales@acme.example", connected_at=NOW, next_poll_at=NOW)


@pytest.fixture
def calls(monkeypatch):
    """The HTTP requests that are made, as `method path`."""
    made = []
    send = azure_sdk.Transport.send

    def counted(self, request, **options):
        assert request.headers["x-ms-version"], "the service refuses Entra's tokens without it"
        made.append(f"{request.method} {request.url.split('/devstoreaccount1')[1].split('?')[0]}")
        return send(self, request, **options)

    monkeypatch.setattr(azure_sdk.Transport, "send", counted)
    return made


def a_message(number, body="x" * 5_000):
    message_id = f"AAkALgAAB{number}"
    return StoredMessage(message_id, row_key(NOW, message_id), "folder", 1, content=Content(body=body))


def test_saving_a_mailbox_is_one_call(storage, calls):
    store = TableMailboxStore(storage)
    saved = store.save(MAILBOX)
    saved = store.save(replace(saved, messages=1))
    saved = store.save(replace(saved, next_poll_at=NOW + timedelta(minutes=5)))
    store.save(replace(saved, next_poll_at=None))
    assert [call.split(" ")[0] for call in calls] == ["POST", "PUT", "POST", "POST"]


def test_a_tick_is_one_query_to_each_shard_however_many_mailboxes_there_are(storage, calls):
    store = TableMailboxStore(storage)
    for number in range(40):
        later = NOW + timedelta(hours=1 if number else 0)
        store.save(replace(MAILBOX, id=f"{BOX[:-2]}{number:02x}", next_poll_at=later))
    calls.clear()
    assert len(all_due(store, NOW)) == 1
    assert len(calls) == 16


def many_due(storage, number):
    """Mailboxes of one shard, which are due."""
    store = TableMailboxStore(storage)
    saved = [store.save(replace(MAILBOX, id=f"{BOX[:-4]}{each:03x}5")) for each in range(number)]
    return store, saved


def test_marks_of_a_shard_are_a_transaction_for_each_hundred(storage, calls):
    store, _ = many_due(storage, 120)
    store.save(MAILBOX)
    entries = all_due(store, NOW)
    calls.clear()
    store.mark_queued(entries, NOW)
    assert calls == ["POST /$batch"] * 3
    assert {entry.queued_at for entry in all_due(store, NOW)} == {NOW}


def test_an_entry_that_has_gone_costs_its_transaction_a_few_more(storage, calls):
    store, saved = many_due(storage, 100)
    [entries] = store.due("5", NOW)
    store.save(replace(saved[37], next_poll_at=None))
    calls.clear()
    store.mark_queued(entries, NOW)
    assert len(calls) < 16
    assert [entry.queued_at for entry in all_due(store, NOW)] == [NOW] * 99


def test_marks_that_fail_leave_the_others_and_are_told(storage, monkeypatch):
    store, _ = many_due(storage, 3)
    store.save(MAILBOX)
    transact = Table.transact

    def picky(self, changes):
        if changes[0].row["PartitionKey"] == BOX[-1]:
            raise RetryLater("storage_unavailable", "away")
        return transact(self, changes)

    monkeypatch.setattr(Table, "transact", picky)
    with pytest.raises(RetryLater):
        store.mark_queued(all_due(store, NOW), NOW)
    assert [entry.queued_at for entry in all_due(store, NOW)] == [None, NOW, NOW, NOW]


def expired_sign_ins(storage, number):
    store = TableOneTimeStore(storage)
    for n in range(number):
        store.put(OneTimeRecord(f"{n:064x}", "gAAAA-sealed_" * 100, NOW))
    return store


def test_a_hundred_expired_sign_ins_are_one_transaction(storage, calls):
    store = expired_sign_ins(storage, 120)
    calls.clear()
    assert store.purge(NOW) == 120
    assert sorted(calls) == ["GET /signins()", "POST /$batch", "POST /$batch"]
    assert store.purge(NOW) == 0


def test_an_expired_sign_in_that_is_taken_meanwhile_costs_no_other(storage, monkeypatch):
    store = expired_sign_ins(storage, 3)
    taken = store.get(f"{1:064x}")
    entities = list(Table(storage, "signins").query("PartitionKey eq 'signin'"))
    monkeypatch.setattr(Table, "query", lambda *arguments: entities)
    assert store.take(taken)
    assert store.purge(NOW) == 2
    assert store.get(f"{0:064x}") is None


def test_answers_of_several_pages_are_read_to_their_end_and_in_order(storage, monkeypatch):
    monkeypatch.setattr(tables, "PAGE", 3)
    store = TableMailboxStore(storage)
    for number in range(20):
        shard = "0" if number % 2 else "7"
        due = NOW - timedelta(minutes=number)
        store.save(replace(MAILBOX, id=f"{BOX[:-3]}{number:02x}{shard}", next_poll_at=due))
    assert len(list(store.list())) == 20
    for shard, first in (("0", 1), ("7", 0)):
        entries = [entry.mailbox_id[-3:-1] for page in store.due(shard, NOW) for entry in page]
        assert entries == [f"{number:02x}" for number in reversed(range(first, 20, 2))]


def test_nothing_is_under_way_any_more_when_a_write_has_failed(storage):
    store = TableMessageStore(storage)
    store.write(BOX, [a_message(0)])
    with pytest.raises(StaleWrite):
        store.write(BOX, [a_message(n) for n in range(150)])
    ids = [a_message(n).message_id for n in range(150)]
    found = store.known(BOX, ids)
    assert len(found) == 101
    store.write(BOX, [a_message(n) for n in range(150) if ids[n] not in found])
    assert len(store.known(BOX, ids)) == 150


def test_a_schedule_entry_that_was_deleted_by_hand_is_repaired(storage):
    store = TableMailboxStore(storage)
    saved = store.save(MAILBOX)
    table_service(storage).get_table_client("mailboxes").delete_entity(BOX[-1], saved.due_key)
    moved = store.save(replace(saved, next_poll_at=NOW + timedelta(minutes=5)))
    assert store.get(BOX) == moved
    assert [entry.key for entry in all_due(store, NOW + timedelta(days=1))] == [moved.due_key]


def test_operators_can_read_a_mailbox_row(storage):
    TableMailboxStore(storage).save(
        replace(MAILBOX, last_error=LastError(NOW, "consent_required", "The owner must connect again."))
    )
    [row] = table_service(storage).get_table_client("mailboxes").query_entities("RowKey ge 'mailbox-'")
    assert row["RowKey"] == mailbox_rows.key(BOX)
    assert row["state"] == "active"
    assert row["lastErrorReason"] == "consent_required"
    assert "lastSuccessAt" not in row


def test_a_page_of_a_hundred_messages_is_two_transactions(storage, calls):
    TableMessageStore(storage).write(BOX, [a_message(n) for n in range(100)])
    assert calls == ["POST /$batch"] * 2


def received(place):
    return NOW - timedelta(minutes=place)


def placed(*places):
    """A message for each, so many minutes old."""
    return [
        replace(a_message(place), row_key=row_key(received(place), a_message(place).message_id)) for place in places
    ]


def test_what_changes_no_content_is_a_hundred_to_a_transaction_and_small(storage, calls, monkeypatch):
    store = TableMessageStore(storage)
    store.write(BOX, placed(*range(100)))
    found = store.find(BOX, {a_message(n).message_id: received(n) for n in range(100)}, whole=False)
    sizes = []
    send = Table.send
    monkeypatch.setattr(Table, "send", lambda table, parts: sizes.append(sum(map(len, parts))) or send(table, parts))
    calls.clear()
    store.write(BOX, [replace(each, generation=2) for each in found.values()])
    assert calls == ["POST /$batch"]
    assert sizes[0] < 80_000


def test_a_page_of_messages_is_found_in_one_call(storage, calls):
    store = TableMessageStore(storage)
    store.write(BOX, placed(*range(100)))
    calls.clear()
    assert len(store.find(BOX, {a_message(n).message_id: received(n) for n in range(50, 150)})) == 50
    assert calls == ["GET /messages()"]


def test_a_message_of_long_ago_on_a_page_of_new_ones_is_found_in_a_call_of_its_own(storage, calls):
    store = TableMessageStore(storage)
    store.write(BOX, placed(*range(300), 900_000))
    calls.clear()
    sought = [*range(50), 900_000]
    assert len(store.find(BOX, {a_message(n).message_id: received(n) for n in sought})) == 51
    assert len(calls) == 2


def test_what_lies_far_apart_is_read_one_by_one(storage, calls):
    store = TableMessageStore(storage)
    store.write(BOX, placed(*range(1_000)))
    calls.clear()
    assert len(store.find(BOX, {a_message(n).message_id: received(n) for n in range(0, 1_000, 50)})) == 20
    assert calls.count("GET /messages()") == 1
    assert len(calls) <= 20


def test_without_its_time_a_message_is_two_point_reads_and_one_of_its_index(storage, calls):
    store = TableMessageStore(storage)
    store.write(BOX, [a_message(1)])
    calls.clear()
    store.find(BOX, dict.fromkeys(["AAkALgAAB1", "unknown"]))
    assert [call.split(" ")[0] for call in calls] == ["GET"] * 3
    calls.clear()
    store.known(BOX, ["AAkALgAAB1", "unknown"])
    assert len(calls) == 2


def test_many_without_a_time_are_a_point_read_each_and_one_query(storage, calls):
    store = TableMessageStore(storage)
    store.write(BOX, placed(*range(40)))
    calls.clear()
    assert len(store.find(BOX, {a_message(n).message_id: None for n in range(40)})) == 40
    assert calls.count("GET /messages()") == 1
    assert len(calls) == 41


def test_transactions_stay_under_4_mib_as_they_are_sent(storage, monkeypatch):
    sizes = []
    send = azure_sdk.Transport.send

    def sized(self, request, **options):
        sizes.append(len(request.content))
        return send(self, request, **options)

    monkeypatch.setattr(azure_sdk.Transport, "send", sized)
    bodies = ["漢" * 200_000, '"\x00' * 100_000, "x" * 400_000, "🙂" * 90_000]
    TableMessageStore(storage).write(BOX, [a_message(n, body) for n, body in enumerate(bodies * 3)])
    assert max(sizes) < 4 * 1024 * 1024
    assert sum(sizes) / len(sizes) > 1024 * 1024


def test_the_blob_service_is_met_by_long_texts_alone(storage, monkeypatch):
    made = []
    monkeypatch.setattr(blobs.TextBlobs, "__init__", lambda self, storage: made.append(storage))
    store = TableMessageStore(storage)
    store.write(BOX, [a_message(1)])
    assert store.find(BOX, {"AAkALgAAB1": NOW})["AAkALgAAB1"].content.body == "x" * 5_000
    assert made == []


def test_a_body_too_long_for_its_row_is_in_the_blob_that_the_row_names(storage):
    TableMessageStore(storage).write(BOX, [a_message(1, "ß" * 600_000)])
    row = table_service(storage).get_table_client("messages").get_entity(BOX, a_message(1).row_key)
    assert row["bodyBlob"] == blob_name(BOX, "AAkALgAAB1", "body")
    blob = blob_service(storage).get_blob_client(BODIES, row["bodyBlob"])
    assert blob.download_blob().readall().decode() == "ß" * 600_000
    assert blob.get_blob_properties().content_settings.content_type == "text/plain; charset=utf-8"


def test_a_lost_blob_leaves_its_column_out(storage):
    store = TableMessageStore(storage)
    store.write(BOX, [a_message(1, "x" * 600_000)])
    blob_service(storage).get_blob_client(BODIES, blob_name(BOX, "AAkALgAAB1", "body")).delete_blob()
    assert store.find(BOX, {"AAkALgAAB1": NOW})["AAkALgAAB1"].content == Content(parent_folder_id="folder")


def test_the_row_layout_of_the_contract(storage):
    TableMessageStore(storage).write(BOX, [a_message(1, "y" * 40_000)])
    rows = {row["RowKey"][0]: row for row in table_service(storage).get_table_client("messages").list_entities()}
    assert rows.keys() == {"m", "i"}
    assert len(rows["m"]["body"]) == 32_000
    assert rows["m"]["body1"] == "y" * 8_000
    assert rows["i"]["rowKey"] == rows["m"]["RowKey"]


def test_a_row_of_the_first_version_was_seen_in_no_enumeration(storage):
    key = row_key(NOW, "id")
    row = {"PartitionKey": BOX, "RowKey": key, "messageId": "id", "parentFolderId": "folder", "subject": "Hello"}
    index = {"PartitionKey": BOX, "RowKey": index_key("id"), "messageId": "id", "rowKey": key, "folderId": "folder"}
    index |= {"generation": 1, "removedGeneration": 0}
    table = Table(storage, "messages")
    table.transact([Change("create", each) for each in (row, index)])
    store = TableMessageStore(storage)
    [unseen] = store.unseen(BOX, "folder", 2, NOW)
    assert (unseen.message_id, unseen.generation) == ("id", 0)
    for sought in (NOW, None):
        found = store.find(BOX, {"id": sought})["id"]
        assert found.content == Content(subject="Hello", parent_folder_id="folder")
    store.write(BOX, [replace(found, generation=2)])
    assert list(store.unseen(BOX, "folder", 2, NOW)) == []


def test_a_missing_table_is_the_operators_business(storage):
    table_service(storage).delete_table("mailboxes")
    store = TableMailboxStore(storage)
    for attempt in (
        lambda: store.get(BOX),
        lambda: store.save(MAILBOX),
        lambda: list(store.list()),
        lambda: all_due(store, NOW),
        lambda: store.mark_queued([DueMailbox("due-x", BOX)], NOW),
        lambda: Table(storage, "mailboxes").replace(mailbox_rows.write(MAILBOX), 'W/"x"'),
    ):
        with pytest.raises(Misconfigured) as problem:
            attempt()
        assert problem.value.reason == "storage_missing"


@pytest.mark.filterwarnings("ignore:Testing an element's truth value")  # by the SDK, of an XML error body
def test_a_wrong_key_is_the_operators_business(azurite, trusted):
    wrong = azurite.connection_string.replace("AccountKey=Eby8", "AccountKey=Abc8")
    with pytest.raises(Misconfigured) as problem:
        TableMailboxStore(Storage(connection_string=wrong)).get(BOX)
    assert problem.value.reason == "storage_forbidden"


def test_nobody_listening_is_retried_later(azurite, trusted, monkeypatch):
    monkeypatch.setattr(HttpTransport, "sleep", lambda self, seconds: None)
    closed = azurite.connection_string.replace(azurite.tables, "https://127.0.0.1:1/devstoreaccount1")
    with pytest.raises(RetryLater) as problem:
        TableMailboxStore(Storage(connection_string=closed)).get(BOX)
    assert problem.value.reason == "storage_unavailable"


def test_rows_that_somebody_has_spoilt_by_hand_cost_no_other(storage, caplog):
    store, table = TableMailboxStore(storage), Table(storage, "mailboxes")
    shard = BOX[-1]
    store.save(MAILBOX)
    for number, odd in enumerate([{}, {"mailboxId": 5}, {"mailboxId": "owner"}, {"mailboxId": f"{BOX}0"}]):
        table.create({"PartitionKey": shard, "RowKey": f"due-2{number}"} | odd)
    later = mailbox_rows.due_key(replace(MAILBOX, next_poll_at=NOW - timedelta(seconds=1)))
    table.create({"PartitionKey": shard, "RowKey": later, "mailboxId": BOX, "queuedAt": "soon"})
    assert [(one.mailbox_id, one.queued_at) for page in store.due(shard, NOW) for one in page] == [(BOX, None)] * 2
    for number, odd in enumerate([{}, {"state": "paused"}, {"state": "active", "folder0": "no JSON"}]):
        table.create({"PartitionKey": "a", "RowKey": f"mailbox-{number}", "connectedAt": NOW} | odd)
    assert [mailbox.id for mailbox in store.list()] == [BOX]
    assert "mailbox-2" in caplog.text
    assert "due-20" in caplog.text
