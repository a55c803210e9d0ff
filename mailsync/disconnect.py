"""Lets a mailbox go: no more subscriptions, no token, no polls. Its messages and its place in them stay."""

import time
import uuid
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial

from mailsync import outcome, push
from mailsync.errors import MailsyncError, Rejected, RetryLater, StaleWrite
from mailsync.ports import Clock, MailboxStore, TokenVault
from mailsync.run import Limits, Run
from mailsync.subscriptions import SubscriptionKeeper
from mailsync.tokens import TokenKeeper

_PATIENCE = 45.0
"""Seconds to wait for a run that has the mailbox: longer than its budget, far below the 230 that a request may take."""
_TRY_AGAIN = 60.0
"""Seconds: as long as the lease of a dead run."""
_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Disconnector:
    """The use case. `sleep` takes seconds."""

    mailboxes: MailboxStore
    _: KW_ONLY
    vault: TokenVault
    tokens: TokenKeeper
    keeper: SubscriptionKeeper
    clock: Clock
    sleep: Callable[[float], None] = time.sleep

    def disconnect(self, mailbox_id: str) -> str:
        """Disconnects a mailbox, or finishes what an attempt before has begun.

        Subscriptions first, for deleting them takes the token. Graph may refuse that, or the grant be gone
        already: they end by themselves then, and what they notify of until then is dropped. Returns the reason
        code of that, "" where no subscription is left.
        Raises Rejected for an unknown mailbox, RetryLater where it is at work too long or a service is away.
        """
        run = self._leased(mailbox_id)
        left = self.keeper.retire_all(run.mailbox)
        run.mailbox = push.off(run.mailbox)
        self.tokens.forget(mailbox_id)
        finish = partial(outcome.disconnected, now=self.clock(), granted_at=run.granted_at)
        fresh = self.mailboxes.get(mailbox_id)
        if fresh and fresh.granted_at != run.granted_at:
            run.finish(finish)  # the owner has consented anew meanwhile; the token is of that consent
            return left
        try:
            self.vault.delete(mailbox_id)
        except MailsyncError:
            run.finish(lambda mailbox: mailbox)
            raise
        run.finish(finish)
        return left

    def _leased(self, mailbox_id: str) -> Run:
        """The mailbox with its lease, once nobody else has it."""
        waited = 0.0
        while True:
            mailbox = self.mailboxes.get(mailbox_id)
            if mailbox is None:
                raise Rejected("unknown_mailbox", "There is no such mailbox.")
            if mailbox.lease is None or mailbox.lease.expires_at <= self.clock():
                try:
                    return Run(mailbox, self.mailboxes, uuid.uuid4().hex, self.clock, Limits())
                except StaleWrite:
                    pass  # somebody was faster
            if waited >= _PATIENCE:
                raise RetryLater("mailbox_busy", "The mailbox is being synced; try again in a minute.", _TRY_AGAIN)
            self.sleep(_PAUSE)
            waited += _PAUSE
