"""`SigningKeys` on Azure Key Vault: one secret holds the current key and the one before."""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from mailsync.adapters.key_vault.secrets import VaultSecrets
from mailsync.clock import Clock
from mailsync.errors import MailsyncError, Misconfigured, RetryLater, StaleWrite
from mailsync.one_time import OneTimeRecord, OneTimeStore
from mailsync.reasons import Reason
from mailsync.settings import Settings

SECRET = "webhook-signing-key"  # noqa: S105 - the secret's name
CONTENT_TYPE = "application/vnd.siftrock.signing-keys+json; version=1"

SIGNS_AFTER = timedelta(minutes=2)
"""The age at which a key begins to sign: by then each instance has had the time to read it."""

_REREAD_FOR_UNKNOWN = timedelta(minutes=1)
"""The age at which keys in memory are read again for a key that is not among them."""
_REREAD = timedelta(hours=1)
"""The age at which they are read again in any case: so long, a key that was taken away may still be good."""
_REREAD_AFTER_FAILURE = timedelta(seconds=5)
_REREAD_WITHIN = 2.0
"""Seconds to connect, and again to the answer, while keys are in memory."""

_LOCK = "signing-key-lock"
_LOCKED = timedelta(minutes=2)
"""How long the lock lasts: more than reading and writing the secret can take with all their attempts."""


class _BeingMade(RetryLater):
    """Another instance has the lock."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.SIGNING_KEY_BEING_MADE, message, 2)


class _Key(msgspec.Struct, frozen=True):
    id: str
    key: Annotated[bytes, msgspec.Meta(min_length=16)]
    made_at: Annotated[datetime, msgspec.Meta(tz=True)]

    def __repr__(self) -> str:
        return f"_Key(id={self.id!r}, made_at={self.made_at.isoformat()})"


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    """The secret. `keys`: newest first, two at the most. `version` is that of this shape."""

    version: int = 1
    keys: tuple[_Key, ...]


class KeyVaultSigningKeys:
    """Keys in memory, read from Key Vault when they are first needed. Threads may share it.

    `locks`: where one program at a time gets the right to change the secret; asked for only then, because
    the webhook, which reads only, should not import the SDK of tables.
    """

    def __init__(
        self,
        settings: Settings,
        locks: Callable[[], OneTimeStore],
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._secrets = VaultSecrets(settings, sleep, disabled=Reason.SIGNING_KEY_DISABLED)
        self._make_locks = locks
        self._clock = clock
        self._keys: tuple[_Key, ...] = ()
        self._read_at: datetime | None = None
        self._failed_at: datetime | None = None
        self._failure: MailsyncError | None = None
        self._reading = threading.Lock()
        self._making = threading.Lock()

    def current(self) -> tuple[str, bytes]:
        """The newest key that is older than SIGNS_AFTER; where there is none, the oldest. A call a minute at the most.

        Keys in memory are read again after a minute, so that none signs that two rotations have dropped since.
        """
        if not self._is_fresh(_REREAD_FOR_UNKNOWN):
            self._read()
        keys = self._keys or self._first()
        known = [key for key in keys if self._clock() - key.made_at >= SIGNS_AFTER]
        key = known[0] if known else keys[-1]
        return key.id, key.key

    def find(self, key_id: str) -> bytes | None:
        """A call an hour for a key in memory, a call a minute at the most for unknown ones.

        Raises RetryLater for an unknown key while Key Vault cannot be asked: it may be a new one.
        """
        with suppress(LookupError):
            return self.find_in_memory(key_id)
        self._read()
        key = self._known(key_id)
        if key is None and not self._is_fresh(_REREAD_FOR_UNKNOWN):
            raise self._error()
        return key

    def find_in_memory(self, key_id: str) -> bytes | None:
        """What was read, while that is fresh: an hour for a known key, a minute for an unknown one."""
        key = self._known(key_id)
        if self._is_fresh(_REREAD if key else _REREAD_FOR_UNKNOWN):
            return key
        raise LookupError("Key Vault has to be asked")

    def rotate(self) -> str:
        """A few calls, under the lock."""
        return self._change(lambda known: (self._new(), *known[:1]))[0].id

    def rotate_when_older(self, age: timedelta) -> str | None:
        """One read. Where a rotation is due, a few calls more: under the lock the age is looked at again."""
        made: list[_Key] = []

        def rotated(known: tuple[_Key, ...]) -> tuple[_Key, ...]:
            if not self._is_older(known, age):
                return known
            made.append(self._new())
            return made[0], known[0]

        if self._is_older(self._load(), age):
            with suppress(_BeingMade):
                self._change(rotated)
        return made[0].id if made else None

    def _is_older(self, keys: tuple[_Key, ...], age: timedelta) -> bool:
        return bool(keys) and self._clock() - keys[0].made_at > age

    def _first(self) -> tuple[_Key, ...]:
        """Makes the key. Threads that need it meanwhile wait, rather than do without push because of each other."""
        with self._making:
            return self._keys or self._change(lambda known: known or (self._new(),))

    def _known(self, key_id: str) -> bytes | None:
        return next((key.key for key in self._keys if key.id == key_id), None)

    def _new(self) -> _Key:
        return _Key(secrets.token_hex(4), secrets.token_bytes(32), self._clock())

    def _is_fresh(self, age: timedelta) -> bool:
        return self._read_at is not None and self._clock() - self._read_at < age

    def _read(self) -> None:
        """Reads the secret unless that has just been done. Raises Misconfigured, RetryLater.

        Where keys are in memory, one thread reads, in a single short attempt, and a failure is borne; nobody
        waits for that thread. Else forged ids would hold up genuine notifications while Key Vault hangs.
        """
        bearable = bool(self._keys)
        if not self._reading.acquire(blocking=not bearable):
            return
        try:
            if not self._is_fresh(_REREAD_FOR_UNKNOWN):
                self._try_to_read()
            failed = self._failure is not None
        finally:
            self._reading.release()
        if failed and not bearable:
            raise self._error()

    def _try_to_read(self) -> None:
        """After a failure there is no other attempt for a while, so that a flood costs Key Vault nothing."""
        now = self._clock()
        pause = _REREAD_FOR_UNKNOWN if self._keys else _REREAD_AFTER_FAILURE
        if self._failed_at is not None and now - self._failed_at < pause:
            return
        try:
            self._keep(self._load(_REREAD_WITHIN if self._keys else None))
        except MailsyncError as error:
            self._failed_at, self._failure = now, error

    def _error(self) -> MailsyncError:
        """Why the secret is not known now, made anew: an exception collects the traceback of each that raises it."""
        failure = self._failure
        if failure is None:
            made: MailsyncError = RetryLater(Reason.SIGNING_KEY_BEING_READ, "The signing keys are being read.", 2)
        elif isinstance(failure, Misconfigured):
            made = Misconfigured(failure.reason, failure.message)
        else:
            made = RetryLater(failure.reason, failure.message, _REREAD_AFTER_FAILURE.seconds)
        made.__cause__ = failure
        return made

    def _keep(self, keys: tuple[_Key, ...]) -> None:
        self._keys, self._read_at = keys, self._clock()
        self._failed_at = self._failure = None

    def _load(self, within: float | None = None) -> tuple[_Key, ...]:
        value = self._secrets.get(SECRET, within)
        if value is None:
            return ()
        try:
            content = msgspec.json.decode(value, type=_Content)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise Misconfigured(
                Reason.SIGNING_KEY_UNREADABLE, f"The secret {SECRET} is not readable; delete it."
            ) from error
        if content.version != 1:
            raise Misconfigured(Reason.SIGNING_KEY_UNREADABLE, f"The secret {SECRET} is of a version not known here.")
        return content.keys

    def _change(self, change: Callable[[tuple[_Key, ...]], tuple[_Key, ...]]) -> tuple[_Key, ...]:
        """Reads, changes and writes the secret; Key Vault has no conditional write, so this is done under a lock."""
        locks = self._make_locks()
        lock = self._lock(locks)
        try:
            known = self._load()
            keys = change(known)
            if keys != known:
                self._secrets.set(SECRET, msgspec.json.encode(_Content(keys=keys)).decode(), CONTENT_TYPE)
        finally:
            locks.take(lock)
        with self._reading:
            self._keep(keys)
        return keys

    def _lock(self, locks: OneTimeStore) -> OneTimeRecord:
        now = self._clock()
        held = locks.get(_LOCK)
        if held and held.expires_at <= now:
            locks.take(held)
        try:
            locks.put(OneTimeRecord(_LOCK, "locked", now + _LOCKED))
        except StaleWrite as error:
            raise _BeingMade("Another instance is making the signing key.") from error
        taken = locks.get(_LOCK)
        if taken is None:
            raise _BeingMade("The lock on the signing key was lost.")
        return taken
