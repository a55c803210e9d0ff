"""Keeps one mailbox's subscriptions at Graph: made, renewed, made anew. `state.py` decides what is to be done.

It runs under the mailbox's lease and before the delta, so that nothing arrives between the two unseen.
"""

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import msgspec

from mailsync.clock import Clock
from mailsync.errors import (
    FolderNotFound,
    MailsyncError,
    ReconnectRequired,
    RetryLater,
    StaleWrite,
    SubscriptionExists,
    SubscriptionGone,
    SubscriptionTooLong,
)
from mailsync.mailboxes.hold import MailboxHold
from mailsync.mailboxes.records import Folder, Mailbox, Subscription
from mailsync.push import client_state
from mailsync.push import state as push
from mailsync.push.ports import SigningKeys, SubscriptionService, SubscriptionServiceFactory
from mailsync.push.state import Step
from mailsync.reasons import Reason
from mailsync.schedule.records import Hint
from mailsync.settings import Settings
from mailsync.telemetry import Event, emit
from mailsync.tokens.keeper import TokenKeeper

_LASTING = timedelta(minutes=30)
"""What the token that makes or renews a subscription has to be good for: Graph notifies only while it is
(https://learn.microsoft.com/graph/change-notifications-lifecycle-events)."""

_OLDER_CAP = timedelta(minutes=4_230)
"""The longest life that Graph granted before it allowed seven days, which some of its pages still name
(https://learn.microsoft.com/graph/change-notifications-overview#subscription-lifetime)."""


class SubscriptionKeeper:
    """Gives each followed folder its subscription. Safe for threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        keys: SigningKeys,
        subscriptions: SubscriptionServiceFactory,
        tokens: TokenKeeper,
        clock: Clock,
        new_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(9),
    ) -> None:
        self._life = timedelta(minutes=settings.subscription_minutes)
        self._keys = keys
        self._subscriptions = subscriptions
        self._tokens = tokens
        self._clock = clock
        self._new_nonce = new_nonce

    def tend(self, hold: MailboxHold, hint: Hint) -> None:
        """Does what is due for the folders of the mailbox, and notes it in its record.

        A failure only degrades push. Raises ReconnectRequired where the grant is gone, StaleWrite where the
        lease is.
        """
        if push.is_waiting(hold.mailbox, self._clock()):
            return
        if not hint.is_notified:  # else the webhook has just verified a clientState
            hold.change(partial(push.orphaned, is_dropped=self._is_dropped))
        try:
            for folder in hold.mailbox.folders:
                self._tend_or_miss(hold, folder, push.step(hold.mailbox, folder, hint, self._clock()))
        except (ReconnectRequired, StaleWrite):
            raise
        except MailsyncError as error:
            wait = error.retry_after if isinstance(error, RetryLater) else None
            self._degrade(hold, error.reason, wait, detail=error.message)
        else:
            hold.change(push.tended)

    def judge(self, hold: MailboxHold, hint: Hint, arrived: Iterable[datetime]) -> None:
        """Notes that push is silent, where the run that `hint` woke has found mail that Graph never told of."""
        now = self._clock()
        if push.is_silent(hold.mailbox, hint, arrived, now):
            self._degrade(hold, Reason.SILENT, None, detail="Graph did not tell of mail that a poll has found.")

    def retire(self, mailbox_id: str, subscriptions: Iterable[Subscription]) -> None:
        """Deletes subscriptions that nothing needs any more, as far as Graph lets it: one that stays ends by itself."""
        for one in subscriptions:
            with suppress(MailsyncError):
                self._service(mailbox_id).delete(one.id)

    def retire_all(self, mailbox: Mailbox) -> str:
        """Deletes every subscription of the mailbox, those that no record knows among them.

        Returns why not all could be deleted, as a reason code; "" where none is left.
        """
        service = self._service(mailbox.id)
        try:
            for folder in mailbox.folders:
                if folder.subscription:
                    service.delete(folder.subscription.id)
            for subscription_id in service.existing():
                service.delete(subscription_id)
        except MailsyncError as error:
            return error.reason
        return ""

    def _tend_or_miss(self, hold: MailboxHold, folder: Folder, step: Step) -> None:
        try:
            self._tend(hold, folder, step)
        except FolderNotFound as error:
            hold.change(partial(push.missing, name=folder.name, reason=error.reason))

    def _tend(self, hold: MailboxHold, folder: Folder, step: Step) -> None:
        if step is Step.NONE:
            return
        hold.ensure()
        service = self._service(hold.mailbox.id)
        kept = folder.subscription
        if kept is not None:
            # A clientState is as old as its subscription, so a new signing key means a new subscription.
            renewable = step is Step.RENEW and kept.key_id == self._keys.current()[0]
            if renewable and self._renewed(hold, folder, kept, service):
                return
            service.delete(kept.id)
            hold.change(partial(push.subscribed, name=folder.name, subscription=None))
        self._create(hold, folder, service)

    def _renewed(self, hold: MailboxHold, folder: Folder, kept: Subscription, service: SubscriptionService) -> bool:
        """Renews; False where Graph has it no longer."""
        try:
            expires_at = self._granted(partial(service.renew, kept.id))
        except SubscriptionGone:
            return False
        renewed = msgspec.structs.replace(kept, expires_at=expires_at, renewed_at=self._clock())
        hold.change(partial(push.subscribed, name=folder.name, subscription=renewed))
        return True

    def _create(self, hold: MailboxHold, folder: Folder, service: SubscriptionService) -> None:
        """Makes the folder's subscription; Graph calls this app back meanwhile.

        One that Graph has already is deleted: it notifies an earlier URL, or nobody knows its clientState.
        """
        nonce = self._new_nonce()
        text, key_id = client_state.make(self._keys, hold.mailbox.id, nonce)
        ask = partial(service.create, folder.name, text)
        hold.ensure()
        try:
            subscription_id, expires_at = self._granted(ask)
        except SubscriptionExists:
            if not _make_room(folder, service):
                raise
            subscription_id, expires_at = self._granted(ask)
        now = self._clock()
        made = Subscription(subscription_id, nonce, key_id, expires_at, made_at=now, renewed_at=now)
        hold.change(partial(push.subscribed, name=folder.name, subscription=made))

    def _is_dropped(self, key_id: str) -> bool:
        """Whether a signing key is kept no longer. Where the keys cannot be had now, the next poll looks again."""
        try:
            return self._keys.find(key_id) is None
        except MailsyncError:
            return False

    def _granted[Granted](self, ask: Callable[[datetime], Granted]) -> Granted:
        """What Graph grants of the life asked for, or of the older cap where it refuses that."""
        try:
            return ask(self._clock() + self._life)
        except SubscriptionTooLong:
            if self._life <= _OLDER_CAP:
                raise
        return ask(self._clock() + _OLDER_CAP)

    def _service(self, mailbox_id: str) -> SubscriptionService:
        token = partial(self._tokens.token, mailbox_id, _LASTING)
        return self._subscriptions(token, partial(self._tokens.fresh, mailbox_id))

    def _degrade(self, hold: MailboxHold, reason: Reason, retry_after: float | None, *, detail: str) -> None:
        hold.change(partial(push.degraded, reason=reason, now=self._clock(), retry_after=retry_after))
        mailbox = hold.mailbox
        emit(Event.PUSH_DEGRADED, mailbox=mailbox.id, reason=reason, failures=mailbox.push.failures, detail=detail)


def _make_room(folder: Folder, service: SubscriptionService) -> bool:
    """Deletes what this app has for the folder; whether there was anything."""
    found = [one for one, name in service.existing().items() if name in (folder.name, folder.folder_id)]
    for subscription_id in found:
        service.delete(subscription_id)
    return bool(found)
