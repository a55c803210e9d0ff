"""Takes a mailbox's lease for work that cannot step aside: connecting it anew, and disconnecting it."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from mailsync.clock import Clock
from mailsync.errors import Rejected, RetryLater, StaleWrite
from mailsync.mailboxes.hold import MailboxHold
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import Mailbox
from mailsync.reasons import Reason

_PATIENCE = 45.0
"""Seconds to wait for a run that has the mailbox: more than a run's budget, far below the 230 of an HTTP request."""
_TRY_AGAIN = 60.0
"""Seconds after which whoever asked may try again: as long as the lease of a dead run lasts."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
"""Seconds between two tries: of the first pause, and of the longest, as each is twice the one before."""
_RESERVED = timedelta(seconds=15)
"""How long a reservation lasts, unless whoever waits makes it again."""


@dataclass(frozen=True, slots=True)
class Leases:
    """Takes leases, waiting where somebody else has one. Threads may share it. `sleep` takes seconds."""

    mailboxes: MailboxStore
    clock: Clock
    sleep: Callable[[float], None] = time.sleep

    def take(self, mailbox_id: str) -> MailboxHold:
        """A hold on the mailbox, once nobody else has one.

        While it waits, the mailbox is reserved: the run that has it ends after its page, and no other begins.
        Raises Rejected for an unknown mailbox, RetryLater where the run does not end in time.
        """
        waited, pause = 0.0, _FIRST_PAUSE
        while True:
            mailbox = self.mailboxes.get(mailbox_id)
            if mailbox is None:
                raise Rejected(Reason.UNKNOWN_MAILBOX, "There is no such mailbox.")
            with suppress(StaleWrite):  # somebody was faster, with the lease or with a reservation
                if mailbox.lease is None or mailbox.lease.expires_at <= self.clock():
                    return MailboxHold(replace(mailbox, reserved_until=None), self.mailboxes, self.clock)
                self._reserve(mailbox)
            if waited >= _PATIENCE:
                raise RetryLater(Reason.MAILBOX_BUSY, "The mailbox is being synced; try again in a minute.", _TRY_AGAIN)
            self.sleep(pause)
            waited += pause
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _reserve(self, mailbox: Mailbox) -> None:
        now = self.clock()
        if mailbox.reserved_until is None or mailbox.reserved_until - now < _RESERVED / 2:
            self.mailboxes.save(replace(mailbox, reserved_until=now + _RESERVED))
