import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.pipeline.transport import RequestsTransport

from mailsync.adapters import azure_sdk
from mailsync.adapters.key_vault import signing_keys
from mailsync.adapters.key_vault.signing_keys import KeyVaultSigningKeys
from mailsync.errors import MailsyncError, Misconfigured, RetryLater
from mailsync.one_time import OneTimeRecord
from mailsync.settings import Settings
from sandbox import constants
from sandbox.key_vault.state import SecretVersion
from tests.fakes.signing_keys import FakeSigningKeys
from tests.fakes.stores import FakeOneTimeStore


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += timedelta(seconds=seconds)


class Azure:
    """Instances of the program on one vault."""

    def __init__(self, microsoft365):
        self.clock = Clock()
        self.locks = FakeOneTimeStore()
        self.world = microsoft365.world
        self.settings = Settings.load(
            {
                "PUBLIC_BASE_URL": "https://localhost:7071",
                "ENTRA_CLIENT_ID": constants.APP_CLIENT_ID,
                "AZURE_CLIENT_ID": constants.MANAGED_IDENTITY_CLIENT_ID,
                "KEY_VAULT_URL": microsoft365.key_vault,
                "MAIL_STORAGE": "UseDevelopmentStorage=true",
            }
        )
        self.keys = self.instance()

    def instance(self):
        return KeyVaultSigningKeys(self.settings, lambda: self.locks, self.clock, self.world.clock.advance)

    def put(self, value):
        now = self.world.clock.now()
        version = SecretVersion(value=value, content_type=None, tags={}, created=now, updated=now)
        self.world.vault.add(signing_keys.SECRET, version)


class Fake:
    def __init__(self):
        self.clock = Clock()
        self.keys = FakeSigningKeys(self.clock)


@pytest.fixture
def azure(microsoft365, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", microsoft365.ca_file)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{microsoft365.entra}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", constants.IDENTITY_HEADER)
    azure_sdk.credential.cache_clear()
    yield Azure(microsoft365)
    azure_sdk.credential.cache_clear()


@pytest.fixture
def calls(azure, monkeypatch):
    """Reads and writes of the vault, in order."""
    made = []

    def noted(name):
        original = getattr(signing_keys.VaultSecrets, name)

        def call(self, *arguments):
            made.append(name)
            return original(self, *arguments)

        monkeypatch.setattr(signing_keys.VaultSecrets, name, call)

    noted("get")
    noted("set")
    return made


@pytest.fixture(params=["fake", "azure"])
def parts(request):
    return Fake() if request.param == "fake" else request.getfixturevalue("azure")


class TestContract:
    def test_the_first_key_is_made_when_it_is_needed(self, parts):
        assert parts.keys.find("key1") is None
        key_id, key = parts.keys.current()
        assert key_id.isalnum()
        assert len(key_id) <= 16
        assert parts.keys.current() == (key_id, key)
        assert parts.keys.find(key_id) == key

    def test_what_was_found_is_found_in_memory(self, parts):
        key_id, key = parts.keys.current()
        assert parts.keys.find_in_memory(key_id) == key
        assert parts.keys.find("forged") is parts.keys.find_in_memory("forged") is None

    def test_a_new_key_signs_once_every_instance_can_know_it(self, parts):
        first_id, first = parts.keys.current()
        second_id = parts.keys.rotate()
        assert second_id != first_id
        assert parts.keys.current() == (first_id, first)
        parts.clock.advance(119)
        assert parts.keys.current() == (first_id, first)
        parts.clock.advance(1)
        assert parts.keys.current() == (second_id, parts.keys.find(second_id))

    def test_two_keys_are_good(self, parts):
        first_id, first = parts.keys.current()
        second_id = parts.keys.rotate()
        assert parts.keys.find(first_id) == first
        second = parts.keys.find(second_id)
        assert second
        assert second != first
        third_id = parts.keys.rotate()
        assert parts.keys.find(first_id) is None
        assert parts.keys.find(second_id) == second
        assert parts.keys.find(third_id)

    def test_a_key_of_an_age_is_followed_by_another_once(self, parts):
        month = timedelta(days=30)
        assert parts.keys.rotate_when_older(month) is None
        assert parts.keys.find("key1") is None
        first_id, first = parts.keys.current()
        parts.clock.advance(month.total_seconds())
        assert parts.keys.rotate_when_older(month) is None
        parts.clock.advance(1)
        second_id = parts.keys.rotate_when_older(month)
        assert second_id not in (None, first_id)
        assert parts.keys.find(first_id) == first
        assert parts.keys.find(second_id)
        assert parts.keys.rotate_when_older(month) is None

    def test_a_rotation_may_make_the_first_key(self, parts):
        key_id = parts.keys.rotate()
        assert parts.keys.current() == (key_id, parts.keys.find(key_id))


def test_all_instances_have_the_same_keys(azure):
    key_id, key = azure.keys.current()
    other = azure.instance()
    assert other.find(key_id) == key
    assert azure.instance().current() == (key_id, key)


def test_a_key_that_signs_is_known_to_all_even_in_a_flood_of_unknown_ones(azure):
    """An instance that has just looked for a forged key's id looks again before a new key can have signed."""
    azure.keys.current()
    verifier = azure.instance()
    assert verifier.find("forged") is None
    new = azure.keys.rotate()
    for _ in range(120):
        azure.clock.advance(1)
        verifier.find("forged")
    assert azure.keys.current()[0] == new
    assert verifier.find(new)


def test_known_keys_cost_no_call_and_unknown_ones_one_a_minute(azure, calls):
    key_id, _ = azure.keys.current()
    calls.clear()
    for _ in range(100):
        assert azure.keys.find(key_id)
        assert azure.keys.find("forged") is None
    assert calls == []
    azure.clock.advance(60)
    for _ in range(100):
        assert azure.keys.find(key_id)
        assert azure.keys.find("forged") is None
    assert calls == ["get"]


def test_what_takes_a_call_is_not_found_in_memory(azure, calls):
    key_id, key = azure.keys.current()
    verifier = azure.instance()
    calls.clear()
    with pytest.raises(LookupError):
        verifier.find_in_memory(key_id)
    verifier.find(key_id)
    azure.clock.advance(3599)
    assert verifier.find_in_memory(key_id) == key
    with pytest.raises(LookupError):
        verifier.find_in_memory("forged")
    azure.clock.advance(1)
    with pytest.raises(LookupError):
        verifier.find_in_memory(key_id)
    assert calls == ["get"]


def test_a_key_taken_away_is_gone_within_the_hour(azure, calls):
    verifier = azure.instance()
    first, _ = azure.keys.current()
    assert verifier.find(first)
    azure.keys.rotate()
    azure.keys.rotate()
    azure.clock.advance(3599)
    assert verifier.find(first)
    calls.clear()
    azure.clock.advance(1)
    assert verifier.find(first) is None
    assert calls == ["get"]


def test_the_secret_is_of_a_known_shape(azure, world):
    first_id, _ = azure.keys.current()
    second_id = azure.keys.rotate()
    version = world.vault.get(signing_keys.SECRET)
    assert version.content_type == "application/vnd.siftrock.signing-keys+json; version=1"
    assert version.tags == {"app": "siftrock-inbox-connector"}
    assert world.vault.names() == ["webhook-signing-key"]
    assert version.value.startswith('{"version":1,"keys":[{"id":')
    assert version.value.index(second_id) < version.value.index(first_id)


def test_of_many_instances_one_makes_the_key(azure, calls):
    instances = [azure.instance() for _ in range(6)]
    together = threading.Barrier(6, timeout=20)

    def ask(instance):
        together.wait()
        try:
            return instance.current()
        except RetryLater as error:
            return error.reason, error.retry_after

    with ThreadPoolExecutor(6) as pool:
        got = set(pool.map(ask, instances))
    assert calls.count("set") == 1
    assert {instance.current() for instance in instances} == got - {("signing_key_being_made", 2)}
    assert azure.locks.rows == {}


def test_of_many_instances_one_makes_the_months_key(azure, calls):
    azure.keys.current()
    azure.clock.advance(31 * 86_400)
    calls.clear()
    instances = [azure.instance() for _ in range(6)]
    together = threading.Barrier(6, timeout=20)

    def ask(instance):
        together.wait()
        return instance.rotate_when_older(timedelta(days=30))

    with ThreadPoolExecutor(6) as pool:
        made = [key_id for key_id in pool.map(ask, instances) if key_id]
    assert len(made) == calls.count("set") == 1
    azure.clock.advance(120)
    assert {instance.current()[0] for instance in instances} == set(made)
    assert azure.locks.rows == {}


def test_a_month_that_is_not_over_costs_one_read(azure, calls):
    azure.keys.current()
    calls.clear()
    assert azure.keys.rotate_when_older(timedelta(days=30)) is None
    assert calls == ["get"]
    assert azure.locks.rows == {}


def test_an_instance_that_has_signed_an_hour_ago_signs_with_no_key_that_was_dropped_since(azure):
    other = azure.instance()
    first, _ = other.current()
    for _ in range(2):
        azure.keys.rotate()
        azure.clock.advance(120)
    assert azure.keys.find(first) is None
    assert other.current()[0] != first


def test_a_lock_left_behind_is_broken_once_it_has_expired(azure):
    azure.locks.put(OneTimeRecord("signing-key-lock", "locked", azure.clock() + timedelta(minutes=2)))
    with pytest.raises(RetryLater):
        azure.keys.current()
    azure.clock.advance(120)
    assert azure.keys.current()
    assert azure.locks.rows == {}


def test_a_vault_that_fails_leaves_no_lock(azure, world):
    world.faults.order("vault-throttle", count=1, retryAfter=77)
    with pytest.raises(RetryLater):
        azure.keys.rotate()
    assert azure.locks.rows == {}


def test_a_deleted_secret_is_made_anew(azure, world):
    key_id, _ = azure.keys.current()
    world.vault.delete(signing_keys.SECRET)
    other = azure.instance()
    assert other.find(key_id) is None
    assert other.current()[0] != key_id


def test_keys_in_memory_outlive_an_outage_of_the_vault(azure, world, calls):
    key_id, key = azure.keys.current()
    calls.clear()
    azure.clock.advance(3600)
    world.faults.order("vault-throttle", retryAfter=77)
    for _ in range(50):
        assert azure.keys.find(key_id) == key
        assert azure.keys.current() == (key_id, key)
    assert calls == ["get"]


def test_threads_that_need_the_first_key_together_all_get_it(azure, calls):
    """Inboxes that connect at the same moment to a new deployment."""
    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(lambda _: azure.keys.current(), range(8)))
    assert len(got) == 1
    assert calls.count("set") == 1


def test_nobody_waits_for_another_threads_reading_of_known_keys(azure):
    key_id, key = azure.keys.current()
    azure.clock.advance(3600)
    with azure.keys._reading:  # noqa: SLF001 - as another thread has it that waits for Key Vault
        assert azure.keys.find(key_id) == key


def test_nobody_waits_for_another_threads_reading_for_an_unknown_key(azure):
    """Forged ids while Key Vault hangs: the one that reads is held up, and no other."""
    key_id, key = azure.keys.current()
    azure.clock.advance(60)
    with azure.keys._reading:  # noqa: SLF001 - as another thread has it that waits for Key Vault
        with pytest.raises(RetryLater) as problem:
            azure.keys.find("forged")
        assert azure.keys.find(key_id) == key
    assert problem.value.reason == "signing_key_being_read"
    assert azure.keys.find("forged") is None


def test_a_flood_of_forged_keys_in_an_outage_costs_a_call_a_minute(azure, world, calls):
    key_id, key = azure.keys.current()
    azure.clock.advance(60)
    calls.clear()
    world.faults.order("vault-throttle", retryAfter=77)
    for _ in range(50):
        with pytest.raises(RetryLater) as problem:
            azure.keys.find("forged")
        assert problem.value.reason == "key_vault_throttled"
        assert azure.keys.find(key_id) == key
        azure.clock.advance(1)
    assert calls == ["get"]


def test_a_new_key_in_an_outage_is_asked_about_later_and_never_taken_for_a_forged_one(azure, world):
    azure.keys.current()
    other = azure.instance()
    other.current()
    new = azure.keys.rotate()
    azure.clock.advance(120)
    world.faults.order("vault-throttle", retryAfter=77)
    with pytest.raises(RetryLater):
        other.find(new)
    world.faults.clear()
    with pytest.raises(RetryLater):
        other.find(new)
    azure.clock.advance(60)
    assert other.find(new)


def test_keys_in_memory_are_read_again_in_one_short_attempt(azure, world, monkeypatch):
    sent = []
    send = RequestsTransport.send

    def noted(self, request, **options):
        sent.append((options.get("connection_timeout"), options.get("read_timeout")))
        return send(self, request, **options)

    azure.keys.current()
    azure.clock.advance(60)
    world.faults.order("vault-throttle", retryAfter=1)
    monkeypatch.setattr(RequestsTransport, "send", noted)
    with pytest.raises(RetryLater):
        azure.keys.find("forged")
    assert sent == [(2, 2)]


def test_an_outage_is_no_judgement_on_an_unknown_key_and_costs_a_call_now_and_then(azure, world, calls):
    world.faults.order("vault-throttle", retryAfter=77)
    for _ in range(50):
        with pytest.raises(RetryLater) as problem:
            azure.keys.find("unknown")
        assert problem.value.reason == "key_vault_throttled"
    assert calls == ["get"]
    world.faults.clear()
    azure.clock.advance(5)
    assert azure.keys.find("unknown") is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "not JSON",
        "{}",
        '{"version": 1, "keys": [{"id": "a", "key": "?", "made_at": "2026-11-25T00:00:00Z"}]}',
        '{"version": 2, "keys": []}',
    ],
)
def test_a_secret_that_is_not_ours_is_the_operators_business(azure, value):
    azure.put(value)
    for ask in (azure.keys.current, azure.keys.rotate, lambda: azure.keys.find("key")):
        with pytest.raises(Misconfigured) as problem:
            ask()
        assert problem.value.reason == "signing_key_unreadable"
    assert azure.locks.rows == {}


def test_a_disabled_secret_names_itself(azure, world):
    azure.keys.current()
    world.vault.update("webhook-signing-key", "", enabled=False)
    fresh = azure.instance()
    for ask in (fresh.current, fresh.rotate, lambda: fresh.find("key")):
        with pytest.raises(Misconfigured) as problem:
            ask()
        assert problem.value.reason == "signing_key_disabled"
        assert "webhook-signing-key" in problem.value.message


def test_keys_show_in_no_text(azure, caplog):
    key_id, key = azure.keys.current()
    content = azure.world.vault.get(signing_keys.SECRET).value
    stored = content.split('"key":"')[1].split('"')[0]
    texts = [repr(azure.keys), repr(vars(azure.keys)), caplog.text]
    with caplog.at_level(logging.DEBUG):
        azure.put(content.replace('"version":1', '"version":"1"'))
        with pytest.raises(MailsyncError) as problem:
            azure.instance().current()
    texts += [str(problem.value), repr(problem.value.__cause__), caplog.text]
    for text in texts:
        assert stored not in text
        assert key.hex() not in text
        assert repr(key) not in text
    assert key_id in repr(vars(azure.keys))
