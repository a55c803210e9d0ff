"""What a vault holds: secrets with their versions, and deleted secrets until they are recovered or purged."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sandbox.microsoft365.clock import Clock

RECOVERABLE_DAYS = 90
"""How long a deleted secret can be recovered. https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview"""


class VaultError(Exception):
    """What Key Vault would answer: HTTP status, `error.code`, message, `error.innererror.code`."""

    def __init__(self, status: int, code: str, message: str, inner_code: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.inner_code = inner_code


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersion:
    """One version of a secret. Only its attributes, content type and tags can change, never its value."""

    value: str = field(repr=False)
    content_type: str | None
    tags: Mapping[str, str]
    created: datetime
    updated: datetime
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    version: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class DeletedSecret:
    """A soft-deleted secret; the deletion is complete at `ready_at`."""

    versions: list[SecretVersion]
    deleted_at: datetime
    ready_at: datetime

    @property
    def purge_at(self) -> datetime:
        """When it can no longer be recovered."""
        return self.deleted_at + timedelta(days=RECOVERABLE_DAYS)


@dataclass(slots=True)
class Vault:
    """The secrets of one vault, by name, without regard to case. Values are kept out of `repr`."""

    clock: Clock
    _secrets: dict[str, list[SecretVersion]] = field(default_factory=dict, repr=False)
    _deleted: dict[str, DeletedSecret] = field(default_factory=dict, repr=False)
    _recovered_at: dict[str, datetime] = field(default_factory=dict)

    def names(self) -> list[str]:
        """The names of the secrets that are neither deleted nor still being recovered, sorted."""
        now = self.clock.now()
        return sorted(name for name in self._secrets if self._recovered_at.get(name, now) <= now)

    def deleted_names(self) -> list[str]:
        """The names of the secrets whose deletion is complete, sorted."""
        return sorted(name for name, deleted in self._deleted.items() if deleted.ready_at <= self.clock.now())

    def versions(self, name: str) -> list[SecretVersion]:
        """All versions, oldest first. Raises 404."""
        name = name.lower()
        if name not in self._secrets or self._recovered_at.get(name, self.clock.now()) > self.clock.now():
            raise _not_found(name)
        return self._secrets[name]

    def get(self, name: str, version: str = "") -> SecretVersion:
        """One version, the newest without `version`. Raises 404."""
        found = next((v for v in reversed(self.versions(name)) if version in ("", v.version)), None)
        if found is None:
            raise _not_found(f"{name}/{version}")
        return found

    def add(self, name: str, version: SecretVersion) -> None:
        """Adds a version. Raises 409 while the name is deleted, or on its way there or back."""
        name = name.lower()
        if deleted := self._deleted.get(name):
            raise _taken(name, being_deleted=deleted.ready_at > self.clock.now())
        self._check_recovered(name)
        self._secrets.setdefault(name, []).append(version)

    def update(self, name: str, version: str, **changes: object) -> SecretVersion:
        """Changes what can be changed of a version. Raises 404."""
        old = self.get(name, version)
        new = replace(old, updated=self.clock.now(), **changes)  # type: ignore[arg-type]
        versions = self._secrets[name.lower()]
        versions[versions.index(old)] = new
        return new

    def delete(self, name: str, lag: float = 0) -> DeletedSecret:
        """Soft-deletes; complete after `lag` seconds. Raises 404; 409 while it is being recovered."""
        self._check_recovered(name.lower())
        versions, now = self.versions(name), self.clock.now()
        del self._secrets[name.lower()]
        deleted = self._deleted[name.lower()] = DeletedSecret(versions, now, now + timedelta(seconds=lag))
        return deleted

    def deleted(self, name: str) -> DeletedSecret:
        """The deleted secret. Raises 404, also while the deletion is not complete."""
        found = self._deleted.get(name.lower())
        if found is None or found.ready_at > self.clock.now():
            raise _not_found(name)
        return found

    def recover(self, name: str, lag: float = 0) -> SecretVersion:
        """Brings a deleted secret back with all its versions, after `lag` seconds. Raises 404."""
        name, found = name.lower(), self.deleted(name)
        del self._deleted[name]
        self._secrets[name] = found.versions
        self._recovered_at[name] = self.clock.now() + timedelta(seconds=lag)
        return found.versions[-1]

    def _check_recovered(self, name: str) -> None:
        if self._recovered_at.get(name, self.clock.now()) > self.clock.now():
            raise VaultError(409, "Conflict", f"Secret {name} is being recovered.", "ObjectIsBeingRecovered")

    def purge(self, name: str) -> None:
        """Removes a deleted secret for good. Raises 404."""
        self.deleted(name)
        del self._deleted[name.lower()]


def _not_found(name: str) -> VaultError:
    return VaultError(
        404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault. If you recently "
        "deleted this secret you may be able to recover it using the correct recovery command."
    )  # fmt: skip


def _taken(name: str, *, being_deleted: bool) -> VaultError:
    if being_deleted:
        return VaultError(409, "Conflict", f"Secret {name} is currently being deleted.", "ObjectIsBeingDeleted")
    return VaultError(
        409,
        "Conflict",
        f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this "
        "state, the secret can only be recovered or purged.",
        "ObjectIsDeletedButRecoverable",
    )
