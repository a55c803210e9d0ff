"""The app's own identity, for whoever needs its tokens: one judgement of what its endpoint answers."""

import asyncio
from dataclasses import replace

import pytest
import requests

from mailsync.adapters import azure_sdk
from mailsync.adapters.azure_identity import is_passing
from mailsync.adapters.entra.directory import EntraDirectory
from mailsync.adapters.key_vault.tokens import KeyVaultTokenVault
from mailsync.adapters.storage.async_queue import AsyncStorageHintQueue
from mailsync.adapters.storage.mailboxes import TableMailboxStore
from mailsync.clock import utc_now
from mailsync.errors import Misconfigured, RetryLater
from mailsync.schedule.records import Hint
from mailsync.settings import Settings, Storage
from sandbox import constants

BOX = "aaaaaaaa-0000-4000-8000-000000000001-bbbbbbbb-0000-4000-8000-000000000001"


@pytest.fixture
def settings(microsoft365, monkeypatch):
    """Settings on the stand-in, with nothing of another test's identity in memory, and no pauses."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", microsoft365.ca_file)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{microsoft365.entra}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", constants.IDENTITY_HEADER)
    monkeypatch.setattr("azure.core.pipeline.transport.RequestsTransport.sleep", lambda *_: None)
    azure_sdk.credential.cache_clear()
    environ = {
        "PUBLIC_BASE_URL": "https://localhost:7071",
        "ENTRA_CLIENT_ID": constants.APP_CLIENT_ID,
        "ENTRA_AUTHORITY_HOST": microsoft365.entra,
        "AZURE_CLIENT_ID": constants.MANAGED_IDENTITY_CLIENT_ID,
        "KEY_VAULT_URL": microsoft365.key_vault,
        "MAIL_STORAGE": "UseDevelopmentStorage=true",
    }
    away = "https://localhost:1"
    storage = Storage(table_uri=away, queue_uri=away, blob_uri=away, client_id=constants.MANAGED_IDENTITY_CLIENT_ID)
    yield replace(Settings.load(environ), storage=storage)
    azure_sdk.credential.cache_clear()


def entra(settings):
    with requests.Session() as session:
        EntraDirectory(settings, clock=utc_now, session=session).refresh("any")


def vault(settings):
    KeyVaultTokenVault(settings).load(BOX)


def tables(settings):
    TableMailboxStore(settings.storage).get(BOX)


def webhook(settings):
    asyncio.run(AsyncStorageHintQueue(settings.storage).send(Hint(BOX, utc_now())))


WAYS = pytest.mark.parametrize("way", [entra, vault, tables, webhook], ids=lambda way: way.__name__)


@WAYS
@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("status", [404, 408, 410, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again_later(settings, world, way, status, html):
    world.faults.order("identity-outage", status=status, html=html)
    with pytest.raises(RetryLater) as problem:
        way(settings)
    assert problem.value.reason == "identity_unavailable"
    assert str(status) in problem.value.message


@WAYS
@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 405])
def test_the_rest_is_the_operators(settings, world, way, status, html):
    world.faults.order("identity-outage", status=status, html=html)
    with pytest.raises(Misconfigured) as problem:
        way(settings)
    assert problem.value.reason == "identity_unavailable"
    assert "AZURE_CLIENT_ID" in problem.value.message


@WAYS
def test_an_identity_that_is_not_the_apps_is_the_operators(settings, world, way):
    world.identities.clear()
    with pytest.raises(Misconfigured, match="identity_unavailable"):
        way(settings)


@WAYS
def test_an_answer_that_is_no_token_passes(settings, world, way):
    world.faults.order("identity-outage", status=200, html=True)
    with pytest.raises(RetryLater, match="identity_unavailable"):
        way(settings)


@pytest.mark.parametrize("status", [404, 410, 503])
def test_a_short_outage_is_passed_over_in_place(settings, world, status):
    world.faults.order("identity-outage", count=2, status=status)
    assert KeyVaultTokenVault(settings).load(BOX) is None


def test_the_statuses_that_pass():
    assert [status for status in range(400, 600) if is_passing(status)] == [404, 408, 410, 429, *range(500, 600)]
