"""New keys for clientStates: made when the operator asks, and by themselves each month.

Two keys are kept. A subscription takes the newest when it is renewed, within days at the latest. Notifications signed
with a key that is kept no longer cannot be told from forged ones, so that their subscription is made anew.
"""

from contextlib import suppress
from datetime import timedelta

from mailsync import optimistic
from mailsync.clock import Clock
from mailsync.errors import StaleWrite
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import Mailbox
from mailsync.push import state as push
from mailsync.push.ports import SigningKeys
from mailsync.reasons import Reason
from mailsync.telemetry import Event, emit

AGE = timedelta(days=30)
"""The age of the newest key at which another is made. Subscriptions live for a week at the most."""

_KEY_DROPPED = "The key that signed the subscription is kept no longer."


class KeyRotation:
    """Rotates the keys, and wakes the mailboxes that lose push by it."""

    def __init__(self, keys: SigningKeys, mailboxes: MailboxStore, clock: Clock) -> None:
        self._keys = keys
        self._mailboxes = mailboxes
        self._clock = clock

    def rotate(self) -> str:
        """Makes a new key; returns its id. Raises RetryLater, Misconfigured."""
        key_id = self._keys.rotate()
        self._follow_up(key_id)
        return key_id

    def rotate_when_due(self) -> str | None:
        """Rotates where the newest key is older than AGE; the new id, else None. Several instances make one key."""
        key_id = self._keys.rotate_when_older(AGE)
        if key_id:
            self._follow_up(key_id)
        return key_id

    def _follow_up(self, key_id: str) -> None:
        """Degrades the mailboxes that are signed with a key that has gone, and makes them due.

        One that is missed, because a run holds it, sees for itself with its next poll.
        """
        orphans = sum(self._degraded(mailbox) for mailbox in self._mailboxes.list())
        emit(Event.SIGNING_KEY_ROTATED, key=key_id, degraded=orphans)

    def _degraded(self, mailbox: Mailbox) -> bool:
        """Whether the mailbox has lost push by the rotation, which its record says from now on."""

        def reread() -> Mailbox:
            fresh = self._mailboxes.get(mailbox.id)
            if fresh is None:
                raise StaleWrite("the mailbox is gone")
            return fresh

        saved = None
        with suppress(StaleWrite):
            saved = optimistic.write(mailbox, self._degrade, reread, contended=StaleWrite("a run has the mailbox"))
        if saved is None:
            return False
        failures = saved.push.failures
        emit(
            Event.PUSH_DEGRADED,
            mailbox=saved.id,
            reason=Reason.SIGNING_KEY_DROPPED,
            failures=failures,
            detail=_KEY_DROPPED,
        )
        return True

    def _degrade(self, mailbox: Mailbox) -> Mailbox | None:
        """The record as saved, where a dropped key has signed a subscription of it; else None."""
        orphaned = push.orphaned(mailbox, lambda key_id: self._keys.find(key_id) is None)
        return None if orphaned == mailbox else self._mailboxes.save(push.due(orphaned, self._clock()))
