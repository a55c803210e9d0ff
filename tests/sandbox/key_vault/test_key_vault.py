"""azure-keyvault-secrets, unchanged, against the stand-in."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from sandbox import constants
from sandbox.entra.directory import ManagedIdentity
from sandbox.entra.tokens import STORAGE_AUDIENCE, VAULT_AUDIENCE, managed_identity_token
from sandbox.key_vault import limits as key_vault_limits


class Identity:
    """A credential that gets tokens straight from the world."""

    def __init__(self, world, resource=VAULT_AUDIENCE, principal_id=constants.MANAGED_IDENTITY_PRINCIPAL_ID):
        self._args = world, ManagedIdentity(principal_id=principal_id), resource

    def get_token(self, *scopes, **kwargs):
        return AccessToken(*managed_identity_token(*self._args))


def connect(microsoft365, credential):
    return SecretClient(
        microsoft365.key_vault,
        credential,
        verify_challenge_resource=False,
        connection_verify=microsoft365.ca_file,
        retry_total=0,
    )


@pytest.fixture
def vault(microsoft365):
    with connect(microsoft365, Identity(microsoft365.world)) as client:
        yield client


def test_set_and_get(vault):
    written = vault.set_secret("mailbox-1", "value", content_type="application/json", tags={"kind": "token"})
    read = vault.get_secret("mailbox-1")
    assert (read.value, read.properties.content_type, read.properties.tags) == (
        "value",
        "application/json",
        {"kind": "token"},
    )
    assert read.properties.version == written.properties.version
    assert (read.properties.enabled, read.properties.recoverable_days) == (True, 90)


def test_name_does_not_depend_on_case(vault):
    vault.set_secret("Mailbox-A", "value")
    assert vault.get_secret("mailbox-a").value == "value"


def test_versions_add_up(vault):
    first = vault.set_secret("mailbox-1", "one").properties.version
    vault.set_secret("mailbox-1", "two")
    assert vault.get_secret("mailbox-1").value == "two"
    assert vault.get_secret("mailbox-1", first).value == "one"
    assert len(list(vault.list_properties_of_secret_versions("mailbox-1"))) == 2


def test_update_and_disable(vault):
    vault.set_secret("mailbox-1", "value", tags={"a": "b"})
    expiry = datetime(2030, 1, 1, tzinfo=UTC)
    updated = vault.update_secret_properties("mailbox-1", enabled=False, expires_on=expiry)
    assert (updated.enabled, updated.expires_on, updated.tags) == (False, expiry, {"a": "b"})
    with pytest.raises(HttpResponseError) as refused:
        vault.get_secret("mailbox-1")
    assert refused.value.status_code == 403
    assert refused.value.error.innererror["code"] == "SecretDisabled"


def test_list_pages_of_25(vault):
    for number in range(30):
        vault.set_secret(f"mailbox-{number:02}", "value")
    names = [properties.name for properties in vault.list_properties_of_secrets()]
    assert names == [f"mailbox-{number:02}" for number in range(30)]
    assert [len(list(page)) for page in vault.list_properties_of_secrets().by_page()] == [25, 5]


def test_missing(vault):
    with pytest.raises(ResourceNotFoundError) as error:
        vault.get_secret("mailbox-1")
    assert error.value.error.code == "SecretNotFound"


def test_soft_delete_recover_and_purge(microsoft365, vault):
    clock = microsoft365.world.clock
    vault.set_secret("mailbox-1", "one")
    vault.begin_delete_secret("mailbox-1")
    clock.advance(3)
    assert vault.get_deleted_secret("mailbox-1").scheduled_purge_date > datetime.now(UTC) + timedelta(days=89)
    with pytest.raises(ResourceNotFoundError):
        vault.get_secret("mailbox-1")
    with pytest.raises(ResourceExistsError) as taken:
        vault.set_secret("mailbox-1", "two")
    assert (taken.value.error.code, taken.value.error.innererror["code"]) == (
        "Conflict",
        "ObjectIsDeletedButRecoverable",
    )
    assert [deleted.name for deleted in vault.list_deleted_secrets()] == ["mailbox-1"]
    vault.begin_recover_deleted_secret("mailbox-1")
    clock.advance(3)
    assert vault.get_secret("mailbox-1").value == "one"
    vault.begin_delete_secret("mailbox-1")
    clock.advance(3)
    vault.purge_deleted_secret("mailbox-1")
    vault.set_secret("mailbox-1", "three")
    assert len(list(vault.list_properties_of_secret_versions("mailbox-1"))) == 1


def test_deleting_and_recovering_take_seconds_unordered(microsoft365, vault):
    clock, waits = microsoft365.world.clock, []

    def settled(call):
        for second in range(9):
            try:
                call()
            except (ResourceNotFoundError, ResourceExistsError):
                clock.advance(1)
            else:
                return second
        raise AssertionError("it never ends")

    vault.set_secret("mailbox-1", "one")
    for _ in range(3):
        vault.begin_delete_secret("mailbox-1")
        waits.append(settled(lambda: vault.get_deleted_secret("mailbox-1")))
        vault.begin_recover_deleted_secret("mailbox-1")
        waits.append(settled(lambda: vault.get_secret("mailbox-1")))
    assert set(waits) == {1, 2, 3}


def test_slow_deletion(microsoft365, vault):
    vault.set_secret("mailbox-1", "one")
    microsoft365.world.faults.order("vault-deleting", seconds=30, count=1)
    vault.begin_delete_secret("mailbox-1")
    with pytest.raises(ResourceNotFoundError):
        vault.get_deleted_secret("mailbox-1")
    with pytest.raises(ResourceExistsError) as taken:
        vault.set_secret("mailbox-1", "two")
    assert taken.value.error.innererror["code"] == "ObjectIsBeingDeleted"
    microsoft365.world.clock.advance(30)
    assert vault.get_deleted_secret("mailbox-1").name == "mailbox-1"


def test_slow_recovery(microsoft365, vault):
    vault.set_secret("mailbox-1", "one")
    vault.begin_delete_secret("mailbox-1")
    microsoft365.world.clock.advance(3)
    microsoft365.world.faults.order("vault-deleting", seconds=30, count=1)
    vault.begin_recover_deleted_secret("mailbox-1")
    assert list(vault.list_properties_of_secrets()) == []
    with pytest.raises(ResourceNotFoundError):
        vault.get_secret("mailbox-1")
    for call in (lambda: vault.set_secret("mailbox-1", "two"), lambda: vault.begin_delete_secret("mailbox-1")):
        with pytest.raises(ResourceExistsError) as taken:
            call()
        assert taken.value.error.innererror["code"] == "ObjectIsBeingRecovered"
    microsoft365.world.clock.advance(30)
    assert vault.get_secret("mailbox-1").value == "one"


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        ("mailbox_1", "value", {}),
        ("m" * 128, "value", {}),
        ("mailbox-1", "é" * 12_501, {}),
        ("mailbox-1", "value", {"tags": {str(number): "" for number in range(16)}}),
        ("mailbox-1", "value", {"tags": {"t" * 257: ""}}),
        ("mailbox-1", "value", {"tags": {"t": "v" * 257}}),
        ("mailbox-1", "value", {"content_type": "c" * 256}),
    ],
)
def test_limits(vault, name, value, options):
    with pytest.raises(HttpResponseError) as error:
        vault.set_secret(name, value, **options)
    assert error.value.status_code == 400
    assert error.value.error.code == "BadParameter"
    assert value not in str(error.value) or len(value) < 10


def test_longest_value(vault):
    vault.set_secret("m" * 127, "v" * 25_000, tags={str(number): "v" * 256 for number in range(15)})


def test_throttling(microsoft365, vault, monkeypatch):
    monkeypatch.setattr(key_vault_limits, "SETS_IN_WINDOW", 2)
    vault.set_secret("mailbox-1", "value")
    vault.set_secret("mailbox-1", "value")
    with pytest.raises(HttpResponseError) as throttled:
        vault.set_secret("mailbox-1", "value")
    assert (throttled.value.status_code, throttled.value.error.code) == (429, "Throttled")
    assert 1 <= int(throttled.value.response.headers["Retry-After"]) <= 10
    assert vault.get_secret("mailbox-1").value == "value"
    microsoft365.world.clock.advance(10)
    vault.set_secret("mailbox-1", "value")


@pytest.mark.parametrize(("is_set", "allowed"), [(True, 300), (False, 4000)])
def test_window_of_ten_seconds(is_set, allowed):
    throttle, start = key_vault_limits.Throttle(), datetime(2030, 1, 1, tzinfo=UTC)
    assert not any(throttle.wait(start, is_set=is_set) for _ in range(allowed))
    assert throttle.wait(start + timedelta(seconds=4), is_set=is_set) == 6
    assert not throttle.wait(start + timedelta(seconds=4), is_set=not is_set)
    assert not throttle.wait(start + timedelta(seconds=10), is_set=is_set)


@pytest.mark.parametrize(
    ("resource", "principal_id", "status"),
    [
        (STORAGE_AUDIENCE, constants.MANAGED_IDENTITY_PRINCIPAL_ID, 401),
        (VAULT_AUDIENCE, "99999999-9999-4999-8999-999999999999", 403),
    ],
)
def test_wrong_callers(microsoft365, resource, principal_id, status):
    with (
        connect(microsoft365, Identity(microsoft365.world, resource, principal_id)) as client,
        pytest.raises(HttpResponseError) as error,
    ):
        client.get_secret("mailbox-1")
    assert error.value.status_code == status


def test_challenge_names_authority_and_resource(microsoft365, browser):
    response = browser.get(f"{microsoft365.key_vault}/secrets/mailbox-1", params={"api-version": "7.4"})
    assert response.status_code == 401
    authority = f"{microsoft365.entra}/{constants.HOME_TENANT_ID}"
    assert response.headers["WWW-Authenticate"] == f'Bearer authorization="{authority}", resource="{VAULT_AUDIENCE}"'


@pytest.mark.parametrize("version", ["", "2012-01-01"])
def test_api_version_is_required(microsoft365, browser, version):
    token, _ = managed_identity_token(microsoft365.world, ManagedIdentity(), VAULT_AUDIENCE)
    response = browser.get(
        f"{microsoft365.key_vault}/secrets/mailbox-1?api-version={version}",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (response.status_code, response.json()["error"]["code"]) == (400, "BadParameter")


def test_ordered_faults(microsoft365, vault):
    vault.set_secret("mailbox-1", "value")
    microsoft365.world.faults.order("vault-throttle", count=1, retryAfter=7)
    with pytest.raises(HttpResponseError) as throttled:
        vault.get_secret("mailbox-1")
    assert (throttled.value.status_code, throttled.value.response.headers["Retry-After"]) == (429, "7")
    microsoft365.world.faults.order("vault-outage", count=1)
    with pytest.raises(HttpResponseError) as outage:
        vault.get_secret("mailbox-1")
    assert outage.value.status_code == 503
    assert vault.get_secret("mailbox-1").value == "value"


def test_a_vault_that_takes_no_writes(microsoft365, vault):
    vault.set_secret("mailbox-1", "value")
    microsoft365.world.faults.order("vault-read-only")
    with pytest.raises(HttpResponseError) as refused:
        vault.set_secret("mailbox-1", "another")
    assert (refused.value.status_code, refused.value.error.innererror["code"]) == (403, "ForbiddenByRbac")
    assert vault.get_secret("mailbox-1").value == "value"


def test_secrets_do_not_show_in_repr(microsoft365, vault):
    vault.set_secret("mailbox-1", "hidden value")
    assert "hidden value" not in repr(microsoft365.world)
