"""Lets a mailbox go: no more subscriptions, no token, no polls. Its messages and its place in them stay."""

import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial

from mailsync.clock import Clock
from mailsync.errors import MailsyncError
from mailsync.mailboxes.leases import Leases
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import MailboxState
from mailsync.push import state as push
from mailsync.push.keeper import SubscriptionKeeper
from mailsync.sync import outcome
from mailsync.telemetry import Event, emit
from mailsync.tokens.keeper import TokenKeeper
from mailsync.tokens.ports import TokenVault


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
        """Disconnects a mailbox, or finishes an earlier attempt that came to no end.

        Subscriptions are deleted first, while there is still a token to ask Graph with. Where Graph refuses, or the
        grant is gone already, subscriptions stay until they expire, and what they notify of is dropped. Returns the
        reason code of that, "" where no subscription is left; where the mailbox was disconnected before, the code of
        that time. Raises Rejected for an unknown mailbox, RetryLater where a run has it for too long or a service is
        away.
        """
        hold = Leases(self.mailboxes, self.clock, self.sleep).take(mailbox_id)
        if hold.mailbox.state is MailboxState.DISCONNECTED:
            left = hold.mailbox.push.reason  # the token is gone: there is nothing to ask Graph with
        else:
            left = self.keeper.retire_all(hold.mailbox)
        hold.change(partial(push.off, left=left))
        self.tokens.forget(mailbox_id)
        finish = partial(outcome.disconnected, now=self.clock(), granted_at=hold.granted_at)
        fresh = self.mailboxes.get(mailbox_id)
        if fresh and fresh.granted_at != hold.granted_at:
            hold.release(finish)  # the owner has consented anew meanwhile; the token is of that consent
            return left
        try:
            self.vault.delete(mailbox_id)
        except MailsyncError:
            hold.release()
            raise
        hold.release(finish)
        emit(Event.MAILBOX_DISCONNECTED, mailbox=mailbox_id)
        return left
