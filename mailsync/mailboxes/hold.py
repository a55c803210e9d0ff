"""A hold on one mailbox: its lease, and the one way in which whoever has it changes the record."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from mailsync import optimistic
from mailsync.clock import Clock
from mailsync.errors import StaleWrite
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import Lease, Mailbox

type Change = Callable[[Mailbox], Mailbox]
"""A change of the record. It has no effects, as it is called again where somebody else has written the record."""

LEASE = timedelta(seconds=60)
"""How long a hold lasts without a save: longer than any one step of a run."""

_CONTENDED = "the mailbox record kept changing while it was written"


class MailboxHold:
    """Has a mailbox's lease, from when it is made (`started_at`) until `release`.

    Somebody who needs no lease, such as a rotation of the signing keys, may write the record meanwhile: then the
    changes since the last save are made again, on the record as it is now. Where the lease has run out and somebody
    else has taken it, every method that writes raises StaleWrite.

    `granted_at`: when the consent was given under which the hold began.
    """

    def __init__(self, mailbox: Mailbox, mailboxes: MailboxStore, clock: Clock) -> None:
        """Raises StaleWrite where `mailbox` is not what is stored: somebody was faster."""
        self._mailboxes = mailboxes
        self._clock = clock
        self._owner = uuid.uuid4().hex
        self._changes: list[Change] = []
        self.started_at = clock()
        self.granted_at = mailbox.granted_at
        self._mailbox = mailboxes.save(self._leased(mailbox))

    @property
    def mailbox(self) -> Mailbox:
        """The record with every change."""
        return self._mailbox

    def change(self, change: Change) -> None:
        """Changes the record; the next save writes it."""
        self._mailbox = change(self._mailbox)
        self._changes.append(change)

    def ensure(self, within: timedelta = LEASE / 2) -> None:
        """Makes sure of the lease, and of what was changed: saves where the last save is longer ago than `within`."""
        lease = self._mailbox.lease
        if lease is None or lease.expires_at - self._clock() < LEASE - within:
            self.save()

    def save(self) -> None:
        """Writes what was changed, and extends the lease."""
        self._write(self._leased)

    def release(self, outcome: Change = lambda mailbox: mailbox) -> None:
        """Writes what was changed and the outcome, and gives the lease back, all at once."""
        self._write(lambda mailbox: replace(outcome(mailbox), lease=None))

    def _leased(self, mailbox: Mailbox) -> Mailbox:
        return replace(mailbox, lease=Lease(self._owner, self.started_at, self._clock() + LEASE))

    def _write(self, last: Change) -> None:
        def save(mailbox: Mailbox) -> Mailbox:
            return self._mailboxes.save(last(mailbox))

        self._mailbox = optimistic.write(self._mailbox, save, self._rebased, contended=StaleWrite(_CONTENDED))
        self._changes.clear()

    def _rebased(self) -> Mailbox:
        fresh = self._mailboxes.get(self._mailbox.id)
        if fresh is None or fresh.lease is None or fresh.lease.owner != self._owner:
            raise StaleWrite("somebody else has taken the mailbox over")
        for change in self._changes:
            fresh = change(fresh)
        return fresh
