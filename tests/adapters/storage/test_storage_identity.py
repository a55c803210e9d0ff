"""Storage as it is reached in Azure: by service URIs and the managed identity's tokens, with no key anywhere."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailsync.adapters import azure_sdk
from mailsync.adapters.azure_identity import Identity
from mailsync.adapters.key_vault.secrets import VaultSecrets
from mailsync.adapters.storage.async_queue import AsyncStorageHintQueue
from mailsync.adapters.storage.messages import TableMessageStore
from mailsync.adapters.storage.queue import StorageHintQueue
from mailsync.adapters.storage.services import blob_service, create_all, queue_service, table_service
from mailsync.errors import Misconfigured
from mailsync.mailboxes.ids import mailbox_id
from mailsync.reasons import Reason
from mailsync.schedule.records import Hint
from mailsync.settings import Storage
from mailsync.sync.records import Content, StoredMessage
from mailsync.sync.row_keys import row_key
from sandbox import constants
from tests.mailsync.connect.sign_in import SETTINGS
from tests.sandbox.conftest import microsoft365, signing_key, stand_in, tls_files, world

__all__ = ["microsoft365", "signing_key", "stand_in", "tls_files", "world"]

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")


@pytest.fixture
def authorities(certificates, microsoft365, tmp_path):
    """One file with the CAs of Azurite and of the stand-in."""
    bundle = tmp_path / "both.pem"
    bundle.write_bytes(certificates.ca.read_bytes() + Path(microsoft365.ca_file).read_bytes())
    return str(bundle)


@pytest.fixture
def by_identity(storage, azurite, microsoft365, authorities, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authorities)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{microsoft365.entra}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", constants.IDENTITY_HEADER)
    azure_sdk.credential.cache_clear()
    yield Storage(
        table_uri=azurite.tables,
        queue_uri=azurite.queues,
        blob_uri=azurite.blobs,
        client_id=constants.MANAGED_IDENTITY_CLIENT_ID,
    )
    azure_sdk.credential.cache_clear()


def test_tables_blobs_and_queue_take_the_identitys_token(by_identity, storage):
    create_all(by_identity)
    message = StoredMessage("AAkALg=", row_key(NOW, "AAkALg="), "folder", 1, content=Content(body="x" * 600_000))
    TableMessageStore(by_identity).write(BOX, [message])
    assert TableMessageStore(storage).find(BOX, {"AAkALg=": None})["AAkALg="].content.body == message.content.body
    StorageHintQueue(by_identity).send(Hint(BOX, NOW))
    asyncio.run(AsyncStorageHintQueue(by_identity).send(Hint(BOX, NOW)))
    [properties] = [queue for queue in queue_service(storage).list_queues() if queue.name == "mailbox-sync"]
    assert (
        queue_service(storage).get_queue_client(properties.name).get_queue_properties().approximate_message_count == 2
    )


@pytest.fixture
def asked(monkeypatch):
    """What credentials are asked for, each as client id and kind."""
    asked = []

    def credential(client_id, kind):
        asked.append((client_id, kind))
        return Identity(client_id, kind)

    monkeypatch.setattr(azure_sdk, "credential", credential)
    return asked


@pytest.mark.parametrize("service", [table_service, queue_service, blob_service])
def test_every_storage_service_signs_in_as_the_setting_says(asked, service):
    uri = "https://account.example.net"
    service(Storage(table_uri=uri, queue_uri=uri, blob_uri=uri, client_id="id", credential="azurecli"))
    assert asked == [("id", "azurecli")]


def test_the_vault_signs_in_as_its_setting_says(asked):
    VaultSecrets(
        replace(SETTINGS, identity_client_id="id", key_vault_credential="azurecli"), disabled=Reason.TOKEN_DISABLED
    )
    assert asked == [("id", "azurecli")]


@pytest.mark.parametrize(
    "use",
    [
        lambda storage: TableMessageStore(storage).find(BOX, {"AAkALg=": None}),
        lambda storage: asyncio.run(AsyncStorageHintQueue(storage).send(Hint(BOX, NOW))),
    ],
)
def test_an_unknown_identity_gets_no_token(by_identity, use):
    stranger = replace(by_identity, client_id=constants.APP_CLIENT_ID)
    with pytest.raises(Misconfigured) as problem:
        use(stranger)
    assert problem.value.reason == "identity_unavailable"


def test_the_webhooks_queue_gets_one_token_for_many_hints(by_identity, monkeypatch):
    identity = azure_sdk.credential(by_identity.client_id, by_identity.credential)
    asked = []
    get_token = identity.get_token
    monkeypatch.setattr(identity, "get_token", lambda *scopes: asked.append(scopes) or get_token(*scopes))
    queue = AsyncStorageHintQueue(by_identity)

    async def send():
        for _ in range(3):
            await queue.send(Hint(BOX, NOW))

    asyncio.run(send())
    asyncio.run(send())
    assert asked == [("https://storage.azure.com/.default",)]
