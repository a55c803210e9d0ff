"""What an older version has stored is read by this one: see `tests/samples_before/README.md`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from mailsync.accounts.records import Account
from mailsync.adapters import azure_sdk
from mailsync.adapters.key_vault.signing_keys import KeyVaultSigningKeys
from mailsync.adapters.key_vault.tokens import KeyVaultTokenVault
from mailsync.adapters.storage.accounts import TableAccountStore
from mailsync.adapters.storage.mailboxes import TableMailboxStore
from mailsync.adapters.storage.messages import TableMessageStore
from mailsync.adapters.storage.services import BODIES, blob_service, table_service
from mailsync.mailboxes import status
from mailsync.mailboxes.records import Lease
from mailsync.schedule.hints import decode_hint
from mailsync.schedule.records import Hint
from mailsync.settings import Settings
from mailsync.sync.records import Header, Person
from mailsync.tokens.records import StoredToken
from sandbox import constants
from sandbox.key_vault.state import SecretVersion
from tests.fakes.stores import FakeOneTimeStore, all_due

SAMPLES = Path(__file__).parent.parent / "samples_before"
TABLES, BLOBS, HINTS, SECRETS, STATUS = (
    json.loads((SAMPLES / f"{name}.json").read_text()) for name in ("tables", "blobs", "hints", "secrets", "status")
)

ANN = "887b9e98-3e8b-51f3-939f-1d26af89fb6d-b17e2ed9-95b5-5da6-9f3a-eccc5c9970e8"
OTHERS = [f"aaaaaaaa-0000-4000-8000-00000000000a-bbbbbbbb-0000-4000-8000-00000000000{n}" for n in range(1, 6)]
REMOVED, HUGE, LONG = (
    "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AHfEcqgUXuNmK4VUa-uI0dFiEzlTdlNIDD2Ab-NTPq_AAA=",
    "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AxumY_8pOvAyCJaDQ_qEr0P7UBvSmnL3PN5MS14niQ_AAA=",
    "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AeQVe6YBZcsXPHSgPFKswlyCW6CXugZT65Ue5Otdkq_AAA=",
)
RECEIVED = datetime(2026, 11, 26, 2, 1, 37, tzinfo=UTC)


def native(row):
    """A row of the samples as the SDK takes it."""
    kinds = {"Edm.DateTime": datetime.fromisoformat}
    return {
        name: kinds.get(row.get(f"{name}@odata.type"), lambda value: value)(value)
        for name, value in row.items()
        if not name.endswith("@odata.type")
    }


def row_of(mailbox_id):
    return next(native(row) for row in TABLES["mailboxes"] if row["RowKey"] == f"mailbox-{mailbox_id}")


@pytest.fixture
def older(storage):
    """The storage account as the older version has left it."""
    tables = table_service(storage)
    for name, rows in TABLES.items():
        for row in rows:
            tables.get_table_client(name).create_entity(native(row))
    bodies = blob_service(storage).get_container_client(BODIES)
    for name, text in BLOBS.items():
        bodies.upload_blob(name, text, overwrite=True)
    return storage


@pytest.mark.parametrize("mailbox_id", [ANN, *OTHERS])
class TestMailbox:
    def test_status_says_what_it_said(self, older, mailbox_id):
        mailbox = TableMailboxStore(older).get(mailbox_id)
        shown = status.mailbox_json(mailbox)
        before = STATUS[mailbox_id]
        assert {name: shown[name] for name in before if name != "folders"} == {
            name: value for name, value in before.items() if name != "folders"
        }
        for folder, folder_before in zip(shown["folders"], before["folders"], strict=True):
            assert folder | folder_before == folder

    def test_folders_are_where_they_were(self, older, mailbox_id):
        mailbox, row = TableMailboxStore(older).get(mailbox_id), row_of(mailbox_id)
        folders = [json.loads(value) for name, value in sorted(row.items()) if name.startswith("folder")]
        assert [msgspec.json.decode(msgspec.json.encode(folder)) for folder in mailbox.folders] == folders

    def test_saved_again_it_is_the_row_that_it_was(self, older, mailbox_id):
        mailboxes = TableMailboxStore(older)
        mailboxes.save(mailboxes.get(mailbox_id))
        row = row_of(mailbox_id)
        saved = table_service(older).get_table_client("mailboxes").get_entity(row["PartitionKey"], row["RowKey"])
        assert {name: saved.get(name) for name in row} == row


def test_the_lease_of_a_run_of_the_older_version_counts(older):
    began = datetime(2026, 11, 25, 9, 10, tzinfo=UTC)
    assert TableMailboxStore(older).get(OTHERS[2]).lease == Lease("worker-1", began, began + timedelta(minutes=1))


def test_the_schedule_goes_on(older):
    def due(now):
        return {entry.mailbox_id for entry in all_due(TableMailboxStore(older), now)}

    now = datetime(2026, 11, 25, 9, 30, 0, 123_000, tzinfo=UTC)
    assert due(now - timedelta(milliseconds=1)) == {OTHERS[2], OTHERS[4]}
    assert due(now) == {OTHERS[2], OTHERS[3], OTHERS[4]}
    assert due(now + timedelta(days=1)) == {OTHERS[2], OTHERS[3], OTHERS[4], ANN}


def test_every_mailbox_is_listed(older):
    assert sorted(mailbox.id for mailbox in TableMailboxStore(older).list()) == sorted([ANN, *OTHERS])


def test_the_account_admits_whom_it_admitted(older):
    accounts = TableAccountStore(older)
    tenant = "887b9e98-3e8b-51f3-939f-1d26af89fb6d"
    account = Account("pull-example", "Pull", domains=("pull.example",), tenant_ids={"pull.example": tenant})
    assert accounts.get("pull-example") == account
    assert accounts.claimed_by("ann@pull.example") == (account, "pull.example")
    assert accounts.pin_tenant("pull-example", "pull.example", OTHERS[0][:36]) == tenant


class TestMessages:
    @pytest.fixture
    def messages(self, older):
        return TableMessageStore(older)

    @pytest.mark.parametrize("received", [None, RECEIVED], ids=["by index", "by time"])
    def test_rows_are_read_whole(self, messages, received):
        found = messages.find(ANN, dict.fromkeys([REMOVED, HUGE, LONG], received))
        assert {message_id: row.content.subject for message_id, row in found.items()} == {
            REMOVED: "Re: 春のキャンペーンについて",
            HUGE: "Huge",
            LONG: "Long",
        }
        row = found[REMOVED]
        assert row.row_key == "m251606642302999-ee8d01f061b228d8e8c672c67f20a769"
        assert row.content.author == Person("hanako.yamada@example.jp", "山田 花子")
        assert row.content.to_recipients == (Person("hello@contoso.com", "hello@contoso.com"),)
        assert row.content.cc_recipients == ()
        assert row.content.headers[0] == Header("Return-Path", "<hanako.yamada@example.jp>")
        assert row.content.received == RECEIVED
        assert row.content.is_read is False

    def test_long_texts_are_joined_and_fetched(self, messages):
        found = messages.find(ANN, {HUGE: RECEIVED, LONG: RECEIVED})
        assert found[HUGE].content.body.startswith("0123456789" * 7)
        long = next(row for row in TABLES["messages"] if row.get("messageId") == LONG and "body" in row)
        assert found[LONG].content.body == long["body"] + long["body1"]

    def test_what_was_removed_is_removed(self, messages):
        found = messages.find(ANN, {REMOVED: RECEIVED, LONG: RECEIVED})
        assert found[REMOVED].removed_generation > 0
        assert found[REMOVED].removed_at == datetime(2026, 11, 26, 2, 1, 39, 815_288, tzinfo=UTC)
        assert found[LONG].removed_generation == 0
        assert found[LONG].removed_at is None

    def test_a_removal_that_came_before_its_message_is_remembered(self, messages):
        entry = messages.find(OTHERS[2], {"AAMkGone=": None})["AAMkGone="]
        assert (entry.row_key, entry.folder_id, entry.generation, entry.removed_generation) == (None, "AAMkAD=", 1, 1)

    def test_rows_of_no_generation_are_asked_for_after_an_enumeration(self, messages):
        """The removed one too, whose row does not say in which it was; that it is removed is known all the same."""
        folder_id = messages.find(ANN, {LONG: RECEIVED})[LONG].folder_id
        unseen = messages.unseen(ANN, folder_id, 2, RECEIVED - timedelta(days=30))
        assert {row.message_id: row.removed_generation for row in unseen} == {HUGE: 0, LONG: 0, REMOVED: 1}

    def test_a_row_that_is_written_again_keeps_its_columns(self, older, messages):
        row = messages.find(ANN, {LONG: RECEIVED})[LONG]
        messages.write(ANN, [row])
        written = table_service(older).get_table_client("messages").get_entity(ANN, row.row_key)
        before = next(native(each) for each in TABLES["messages"] if each["RowKey"] == row.row_key)
        assert {name: written.get(name) for name in before if name not in ("body", "body1")} == {
            name: value for name, value in before.items() if name not in ("body", "body1")
        }
        assert messages.known(ANN, [LONG, "unknown"]) == {LONG}


AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
HINTS_BEFORE = {
    "plain": Hint(ANN, AT),
    "continues": Hint(ANN, AT, continues=True),
    "pushed": Hint(ANN, AT, pushed=True, created=("AAMkAD=", "BBMkAD=")),
    "looks": Hint(ANN, AT, created=("AAMkAD=",), looks=2),
    "pushed look": Hint(ANN, AT, pushed=True, created=("AAMkAD=",), looks=1),
    "lifecycle": Hint(
        ANN,
        AT,
        renew=("7f105c7d-2dc5-4530-97cd-4e7ae6534c07",),
        removed=("7f105c7d-2dc5-4530-97cd-4e7ae6534c08",),
    ),
    "lifecycle missed": Hint(ANN, AT, pushed=True),
}


@pytest.mark.parametrize("name", HINTS)
def test_a_queue_message_says_what_it_said(name):
    assert decode_hint(HINTS[name]) == HINTS_BEFORE[name]


class TestSecrets:
    @pytest.fixture
    def settings(self, microsoft365, monkeypatch):
        """The vault as the older version has left it."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", microsoft365.ca_file)
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{microsoft365.entra}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", constants.IDENTITY_HEADER)
        now = microsoft365.world.clock.now()
        for name, secret in SECRETS.items():
            version = SecretVersion(
                value=secret["value"],
                content_type=secret["contentType"],
                tags=secret["tags"],
                created=now,
                updated=now,
            )
            microsoft365.world.vault.add(name, version)
        azure_sdk.credential.cache_clear()
        yield Settings.load(
            {
                "PUBLIC_BASE_URL": "https://localhost:7071",
                "ENTRA_CLIENT_ID": constants.APP_CLIENT_ID,
                "AZURE_CLIENT_ID": constants.MANAGED_IDENTITY_CLIENT_ID,
                "KEY_VAULT_URL": microsoft365.key_vault,
                "MAIL_STORAGE": "UseDevelopmentStorage=true",
            }
        )
        azure_sdk.credential.cache_clear()

    def test_the_refresh_token_is_read(self, settings):
        assert KeyVaultTokenVault(settings).load(ANN) == StoredToken(
            refresh_token="1.QflX9N1AL5McmbptQkSbdGcLhG",
            scopes=("Mail.Read", "User.Read", "openid"),
            saved_at=datetime(2026, 11, 26, 2, 1, 39, 141_111, tzinfo=UTC),
        )

    def test_the_signing_key_signs_and_verifies_what_it_did(self, settings):
        now = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
        keys = KeyVaultSigningKeys(settings, FakeOneTimeStore, lambda: now)
        assert keys.find("10918bb2").hex().startswith("3e15c1bcc3dc9130d6")
        assert keys.current() == ("10918bb2", keys.find("10918bb2"))
