import logging
from datetime import UTC, datetime, timedelta

import pytest

from mailsync.adapters import azure_sdk
from mailsync.adapters.key_vault.tokens import KeyVaultTokenVault
from mailsync.errors import Misconfigured, ReconnectRequired, RetryLater
from mailsync.mailboxes.ids import mailbox_id
from mailsync.settings import Settings
from mailsync.tokens.keeper import TokenKeeper
from mailsync.tokens.records import Grant, StoredToken
from sandbox import constants
from sandbox.key_vault.state import SecretVersion
from tests.fakes.queue_and_vault import FakeTokenVault

BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")
OTHER_BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002")
TOKEN = StoredToken(
    refresh_token="1.AXoA_first", scopes=("Mail.Read", "User.Read"), saved_at=datetime(2026, 11, 25, tzinfo=UTC)
)
NEXT = StoredToken(
    refresh_token="1.AXoA_second", scopes=("Mail.Read", "User.Read"), saved_at=datetime(2026, 11, 26, tzinfo=UTC)
)


@pytest.fixture
def azure(microsoft365, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", microsoft365.ca_file)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{microsoft365.entra}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", constants.IDENTITY_HEADER)
    azure_sdk.credential.cache_clear()
    settings = Settings.load(
        {
            "PUBLIC_BASE_URL": "https://localhost:7071",
            "ENTRA_CLIENT_ID": constants.APP_CLIENT_ID,
            "AZURE_CLIENT_ID": constants.MANAGED_IDENTITY_CLIENT_ID,
            "KEY_VAULT_URL": microsoft365.key_vault,
            "MAIL_STORAGE": "UseDevelopmentStorage=true",
        }
    )
    yield KeyVaultTokenVault(settings, sleep=microsoft365.world.clock.advance)
    azure_sdk.credential.cache_clear()


@pytest.fixture(params=["fake", "azure"])
def vault(request):
    return FakeTokenVault() if request.param == "fake" else request.getfixturevalue("azure")


def test_nothing_is_there_at_first(vault):
    assert vault.load(BOX) is None
    vault.delete(BOX)


def test_a_token_comes_back_as_it_was_saved(vault):
    vault.save(BOX, TOKEN)
    vault.save(OTHER_BOX, NEXT)
    assert vault.load(BOX) == TOKEN
    assert vault.load(OTHER_BOX) == NEXT


def test_the_newest_counts(vault):
    vault.save(BOX, TOKEN)
    vault.save(BOX, NEXT)
    assert vault.load(BOX) == NEXT


def test_deleted_is_gone(vault):
    vault.save(BOX, TOKEN)
    vault.delete(BOX)
    assert vault.load(BOX) is None
    vault.delete(BOX)


def test_a_deleted_one_can_be_saved_again(vault):
    vault.save(BOX, TOKEN)
    vault.delete(BOX)
    vault.save(BOX, NEXT)
    assert vault.load(BOX) == NEXT


class Meanwhile:
    """`Directory` whose every refresh gives a new token, and during which something else happens first."""

    def __init__(self, happens=lambda: None):
        self.happens = happens
        self.redeemed = []

    def refresh(self, refresh_token):
        self.redeemed.append(refresh_token)
        self.happens()
        return Grant("access", NEXT.saved_at + timedelta(hours=1), f"{refresh_token}+", frozenset({"Mail.Read"}))


def test_a_renewal_is_written_over_the_token_that_it_came_of_and_no_other(vault):
    vault.save(BOX, TOKEN)
    keeper = TokenKeeper(Meanwhile(), vault, lambda: NEXT.saved_at)
    assert keeper.token(BOX) == "access"
    assert vault.load(BOX).refresh_token == "1.AXoA_first+"
    keeper = TokenKeeper(Meanwhile(lambda: vault.save(BOX, NEXT)), vault, lambda: NEXT.saved_at)
    assert keeper.token(BOX) == "access"
    assert vault.load(BOX) == NEXT
    keeper = TokenKeeper(Meanwhile(lambda: vault.delete(BOX)), vault, lambda: NEXT.saved_at)
    assert keeper.token(BOX) == "access"
    assert vault.load(BOX) is None


@pytest.mark.parametrize("status", [403, 503])
def test_a_vault_that_takes_no_writes_costs_no_token(azure, world, monkeypatch, status):
    monkeypatch.setattr("azure.core.pipeline.transport.RequestsTransport.sleep", lambda *_: None)
    azure.save(BOX, TOKEN)
    directory = Meanwhile()
    keeper = TokenKeeper(directory, azure, lambda: NEXT.saved_at)
    world.faults.order("vault-read-only", status=status)
    assert keeper.token(BOX) == "access"
    with pytest.raises(Misconfigured if status == 403 else RetryLater):
        keeper.fresh(BOX)
    assert directory.redeemed == ["1.AXoA_first"]
    world.faults.clear()
    keeper.fresh(BOX)
    assert directory.redeemed == ["1.AXoA_first", "1.AXoA_first+"]
    assert azure.load(BOX).refresh_token == "1.AXoA_first++"


def test_the_secret_says_nothing_of_the_owner(azure, world):
    azure.save(BOX, TOKEN)
    version = world.vault.get(f"mailbox-{BOX}")
    assert version.content_type == "application/vnd.siftrock.mailbox-token+json; version=1"
    assert version.tags == {"app": "siftrock-inbox-connector"}
    assert world.vault.names() == [f"mailbox-{BOX}"]


def test_a_name_that_is_still_being_deleted_is_waited_for(azure, world):
    azure.save(BOX, TOKEN)
    world.faults.order("vault-deleting", count=1, seconds=2)
    azure.delete(BOX)
    azure.save(BOX, NEXT)
    assert azure.load(BOX) == NEXT


@pytest.mark.parametrize("seconds", [1, 2, 3, 6])
def test_a_name_that_is_still_being_recovered_is_waited_for(azure, world, seconds):
    azure.save(BOX, TOKEN)
    azure.delete(BOX)
    world.clock.advance(3)
    world.faults.order("vault-deleting", count=1, seconds=seconds)
    azure.save(BOX, NEXT)
    assert azure.load(BOX) == NEXT


def test_a_secret_that_is_coming_back_is_read_once_it_is_there(azure, world):
    """The operator recovers it; for seconds Key Vault says 404, which must not cost the owner a new consent."""
    azure.save(BOX, TOKEN)
    azure.delete(BOX)
    world.clock.advance(3)
    world.vault.recover(f"mailbox-{BOX}", 3)
    assert azure.load(BOX) == TOKEN


def test_a_secret_that_is_coming_back_is_deleted_all_the_same(azure, world):
    azure.save(BOX, TOKEN)
    azure.delete(BOX)
    world.clock.advance(3)
    world.vault.recover(f"mailbox-{BOX}", 3)
    azure.delete(BOX)
    world.clock.advance(30)
    assert azure.load(BOX) is None


def test_waiting_to_delete_is_bounded(azure, world):
    azure.save(BOX, TOKEN)
    azure.delete(BOX)
    world.clock.advance(3)
    world.vault.recover(f"mailbox-{BOX}", 3600)
    with pytest.raises(RetryLater, match="key_vault_busy"):
        azure.delete(BOX)


def test_a_disabled_secret_names_itself(azure, world):
    azure.save(BOX, TOKEN)
    world.vault.update(f"mailbox-{BOX}", "", enabled=False)
    with pytest.raises(Misconfigured) as problem:
        azure.load(BOX)
    assert problem.value.reason == "token_disabled"
    assert f"mailbox-{BOX}" in problem.value.message
    azure.save(BOX, NEXT)
    assert azure.load(BOX) == NEXT


def test_the_wait_is_bounded(azure, world):
    azure.save(BOX, TOKEN)
    world.faults.order("vault-deleting", count=1, seconds=3600)
    azure.delete(BOX)
    with pytest.raises(RetryLater) as problem:
        azure.save(BOX, NEXT)
    assert problem.value.reason == "key_vault_busy"
    assert problem.value.retry_after


@pytest.mark.parametrize("value", ["", "not JSON", "{}", '{"refresh_token": 5}', "[1.AXoA]"])
def test_a_secret_that_is_not_ours_asks_the_owner_to_reconnect(azure, world, value):
    put(world, value)
    with pytest.raises(ReconnectRequired) as problem:
        azure.load(BOX)
    assert problem.value.reason == "token_unreadable"
    assert "AXoA" not in f"{problem.value} {problem.value.__cause__}"


def test_a_secret_of_a_later_shape_asks_the_owner_to_reconnect(azure, world):
    put(world, '{"version": 2, "refresh_token": "x", "scopes": [], "saved_at": "2026-11-25T00:00:00Z"}')
    with pytest.raises(ReconnectRequired):
        azure.load(BOX)


def test_a_token_that_key_vault_cannot_hold(azure):
    huge = StoredToken(refresh_token="x" * 25_000, scopes=(), saved_at=TOKEN.saved_at)
    with pytest.raises(Misconfigured) as problem:
        azure.save(BOX, huge)
    assert problem.value.reason == "token_too_large"


def test_long_throttling_goes_back_to_the_queue(azure, world, caplog):
    world.faults.order("vault-throttle", count=1, retryAfter=77)
    with caplog.at_level(logging.WARNING, logger="mailsync"), pytest.raises(RetryLater) as problem:
        azure.load(BOX)
    assert (problem.value.reason, problem.value.retry_after) == ("key_vault_throttled", 77)
    assert "key_vault_throttled retry_after=77" in caplog.text


def test_short_throttling_is_waited_for_in_place(azure, world):
    azure.save(BOX, TOKEN)
    world.faults.order("vault-throttle", count=1, retryAfter=0)
    assert azure.load(BOX) == TOKEN


def test_a_refused_identity_is_the_operators_business(azure, world, monkeypatch):
    monkeypatch.setattr(world, "vault_officers", set())
    with pytest.raises(Misconfigured) as problem:
        azure.save(BOX, TOKEN)
    assert problem.value.reason == "key_vault_forbidden"
    assert "ForbiddenByRbac" in problem.value.message
    assert "AXoA" not in str(problem.value)


def put(world, value):
    now = world.clock.now()
    version = SecretVersion(value=value, content_type=None, tags={}, created=now, updated=now)
    world.vault.add(f"mailbox-{BOX}", version)
