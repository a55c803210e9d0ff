"""What is known of push for one mailbox, and what is to be done about it. Pure; `keeper.py` does it.

Push only wakes the sync sooner: a subscription that fails costs polls, never mail. The record of a folder's
subscription says what Graph granted; the mailbox's `push` says whether it is to be relied on (see `trust.py`).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from zlib import crc32

import msgspec

from mailsync.mailboxes.records import Folder, Mailbox, MailboxState, Push, PushState, Subscription
from mailsync.push import trust
from mailsync.schedule.records import Hint

_LATE = timedelta(minutes=4)
"""The age at which mail that Graph has not told of counts as missed: Graph tells of a message within three minutes
(https://learn.microsoft.com/graph/change-notifications-overview#latency)."""


class Step(Enum):
    """What a folder's subscription needs."""

    NONE = "none"
    CREATE = "create"
    RENEW = "renew"
    RECREATE = "recreate"


def step(mailbox: Mailbox, folder: Folder, hint: Hint, now: datetime) -> Step:
    """What a run that `hint` woke has to do for a folder."""
    kept = folder.subscription
    if folder.problem or is_waiting(mailbox, now):
        return Step.NONE
    if kept is None or kept.expires_at <= now:
        return Step.CREATE
    if not kept.key_id or (mailbox.push.state is PushState.DEGRADED and trust.is_unheard(mailbox.push)):
        return Step.RECREATE
    return Step.RENEW if _wants_renewed(hint, kept) or _renewal_due(mailbox, kept) <= now else Step.NONE


def is_waiting(mailbox: Mailbox, now: datetime) -> bool:
    """Whether something failed and its time to be tried again has not come."""
    return mailbox.push.until is not None and now < mailbox.push.until


def is_asked_for(mailbox: Mailbox, hint: Hint) -> bool:
    """Whether a hint wants something of push that has not been done since, whatever delta has read.

    Mail that Graph tells of is wanted where push was silent: it shows that push is well again.
    """
    wanted = any(one.id in hint.removed or _wants_renewed(hint, one) for one in subscriptions(mailbox))
    return wanted or (hint.is_of_mail and trust.is_unheard(mailbox.push))


def noted(mailbox: Mailbox, hint: Hint) -> Mailbox:
    """The record with what a hint tells of push: Graph has spoken, or has removed subscriptions."""
    folders = tuple(
        unsubscribed(folder) if folder.subscription and folder.subscription.id in hint.removed else folder
        for folder in mailbox.folders
    )
    mailbox = replace(mailbox, folders=folders)
    if not hint.is_of_mail:
        return mailbox
    last = mailbox.last_notification_at
    heard = trust.after_news(mailbox.push, subscribed=is_subscribed(mailbox))
    return replace(mailbox, last_notification_at=max(last, hint.at) if last else hint.at, push=heard)


def tended(mailbox: Mailbox) -> Mailbox:
    """Every step went well."""
    return replace(mailbox, push=trust.after_success(mailbox.push, subscribed=is_subscribed(mailbox)))


def degraded(mailbox: Mailbox, reason: str, now: datetime, retry_after: float | None = None) -> Mailbox:
    """Push is not to be relied on; it is tried again after `retry_after` seconds, or later with each failure."""
    return replace(mailbox, push=trust.after_failure(mailbox.push, reason, now, retry_after))


def orphaned(mailbox: Mailbox, is_dropped: Callable[[str], bool]) -> Mailbox:
    """The record with a note at each subscription whose signing key is kept no longer; the same where none is.

    Its notifications count as forged, so it has to be made anew.
    """
    folders = tuple(
        msgspec.structs.replace(folder, subscription=msgspec.structs.replace(folder.subscription, key_id=""))
        if folder.subscription and folder.subscription.key_id and is_dropped(folder.subscription.key_id)
        else folder
        for folder in mailbox.folders
    )
    return mailbox if folders == mailbox.folders else replace(mailbox, folders=folders)


def due(mailbox: Mailbox, now: datetime) -> Mailbox:
    """The record of a mailbox whose signing key was dropped: not to be relied on, and seen to at once."""
    without = replace(mailbox, push=trust.after_key_dropped(mailbox.push))
    return replace(without, next_poll_at=now) if mailbox.state is MailboxState.ACTIVE else without


def lost(mailbox: Mailbox, reason: str) -> Mailbox:
    """The grant is gone, and the subscriptions with it; a new consent makes them due."""
    return replace(mailbox, push=trust.after_lost_grant(mailbox.push, reason))


def is_silent(mailbox: Mailbox, hint: Hint, arrived: Iterable[datetime], now: datetime) -> bool:
    """Whether a run that Graph did not wake has found mail that Graph should have told of.

    `arrived`: when the messages that are new to the table were received.
    """
    kept = subscriptions(mailbox)
    if (
        mailbox.push.state is PushState.DEGRADED
        or hint.is_of_mail
        or hint.is_sequel
        or not kept
        or not is_subscribed(mailbox)
    ):
        return False
    since = max(one.made_at for one in kept)
    if mailbox.last_notification_at:
        since = max(since, mailbox.last_notification_at)
    return any(since < received < now - _LATE for received in arrived)


def subscriptions(mailbox: Mailbox) -> list[Subscription]:
    """Those there are; a folder that the mailbox lacks has none."""
    return [folder.subscription for folder in mailbox.folders if folder.subscription]


def is_subscribed(mailbox: Mailbox) -> bool:
    """Whether every folder has a subscription, of those that this mailbox has."""
    followed = [folder for folder in mailbox.folders if not folder.problem]
    return bool(followed) and all(folder.subscription for folder in followed)


def is_reliable(mailbox: Mailbox) -> bool:
    """Whether polling may be left to the safety poll."""
    return mailbox.push.state is PushState.TRUSTED and is_subscribed(mailbox)


def next_step_at(mailbox: Mailbox) -> datetime | None:
    """When a subscription next needs something; None where that is up to the polls."""
    if mailbox.push.until:
        return mailbox.push.until
    return min((_renewal_due(mailbox, one) for one in subscriptions(mailbox)), default=None)


def off(mailbox: Mailbox, left: str = "") -> Mailbox:
    """No subscription wanted any more. `left`: why Graph may have some all the same, a reason code."""
    bare = tuple(unsubscribed(folder) for folder in mailbox.folders)
    return replace(mailbox, folders=bare, push=Push(PushState.OFF, left))


def unsubscribed(folder: Folder) -> Folder:
    """The folder without its subscription."""
    return msgspec.structs.replace(folder, subscription=None)


def subscribed(mailbox: Mailbox, name: str, subscription: Subscription | None) -> Mailbox:
    """The record with a folder's subscription, or without."""
    return _with_folder(mailbox, name, subscription=subscription)


def missing(mailbox: Mailbox, name: str, reason: str) -> Mailbox:
    """The record with a folder that the mailbox lacks: there is nothing to subscribe to until the sync finds it."""
    return _with_folder(mailbox, name, subscription=None, problem=reason)


def _wants_renewed(hint: Hint, kept: Subscription) -> bool:
    """Whether Graph has asked for it since it was last confirmed."""
    return kept.id in hint.renew and kept.renewed_at <= hint.at


def _with_folder(mailbox: Mailbox, name: str, **changes: object) -> Mailbox:
    folders = (
        msgspec.structs.replace(folder, **changes) if folder.name == name else folder for folder in mailbox.folders
    )
    return replace(mailbox, folders=tuple(folders))


def _renewal_due(mailbox: Mailbox, kept: Subscription) -> datetime:
    """A quarter of the granted life after it was confirmed, up to a tenth of that earlier so that renewals spread.

    A subscription older than the latest consent stands on a grant that may be gone, and is due at once.
    """
    if mailbox.granted_at and kept.renewed_at < mailbox.granted_at:
        return kept.renewed_at
    early = crc32(mailbox.id.encode()) % 1000 / 10_000
    return kept.renewed_at + (kept.expires_at - kept.renewed_at) / 4 * (1 - early)
