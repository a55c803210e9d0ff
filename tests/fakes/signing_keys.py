"""In-memory stand-in for the signing keys."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailsync.clock import Clock
    from mailsync.errors import MailsyncError

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class FakeSigningKeys:
    """`SigningKeys`. Without a clock a new key signs at once; `failure`, where set, is raised by each call.

    Without `remembers` every `find` takes a call.
    """

    def __init__(self, clock: "Clock | None" = None) -> None:
        self.failure: MailsyncError | None = None
        self.remembers = True
        self._clock = clock or (lambda: _LONG_AGO)
        self._signs_after = timedelta(minutes=2) if clock else timedelta(0)
        self._keys: list[tuple[str, bytes, datetime]] = []
        self._made = 0

    def current(self) -> tuple[str, bytes]:
        self._fail()
        if not self._keys:
            self.rotate()
        known = [key for key in self._keys if self._clock() - key[2] >= self._signs_after]
        key_id, key, _ = known[0] if known else self._keys[-1]
        return key_id, key

    def find(self, key_id: str) -> bytes | None:
        self._fail()
        return next((key for known, key, _ in self._keys if known == key_id), None)

    def find_in_memory(self, key_id: str) -> bytes | None:
        if self.failure or not self.remembers:
            raise LookupError
        return self.find(key_id)

    def rotate(self) -> str:
        self._fail()
        self._made += 1
        made = f"key{self._made}", f"signing key {self._made}".encode(), self._clock()
        self._keys = [made, *self._keys[:1]]
        return made[0]

    def rotate_when_older(self, age: timedelta) -> str | None:
        self._fail()
        due = bool(self._keys) and self._clock() - self._keys[0][2] > age
        return self.rotate() if due else None

    def _fail(self) -> None:
        if self.failure:
            raise self.failure
