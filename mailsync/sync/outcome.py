"""How a run changes its mailbox's status when it ends. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta
from zlib import crc32

from mailsync.errors import LicenseLapsed, MailsyncError, RetryLater
from mailsync.mailboxes.records import LastError, Mailbox, MailboxState
from mailsync.push import state as push
from mailsync.sync.run import Limits

_GRACE = timedelta(minutes=2)
"""How long after a hint is due the schedule wakes the mailbox all the same, for the hint may be lost."""


def succeeded(
    mailbox: Mailbox, *, started_at: datetime, now: datetime, interval: float, latest: datetime | None = None
) -> Mailbox:
    """Everything is read; the next poll is due after `interval` seconds, some earlier so that polls spread.

    `latest`: by when a subscription needs a run, whatever the interval.
    """
    early = crc32(f"{mailbox.id} {now.isoformat()}".encode()) % 1000 / 10_000
    next_poll_at = now + timedelta(seconds=interval * (1 - early))
    return replace(
        _without_error(mailbox),
        last_sync_started_at=started_at,
        last_success_at=now,
        next_poll_at=max(now, min(next_poll_at, latest or next_poll_at)),
    )


def to_be_continued(mailbox: Mailbox, *, started_at: datetime | None, now: datetime) -> Mailbox:
    """The budget ended first. `started_at`: the run's start where everything new was read, else None."""
    return replace(
        _without_error(mailbox),
        last_sync_started_at=started_at or mailbox.last_sync_started_at,
        last_success_at=now if started_at else mailbox.last_success_at,
        next_poll_at=now + _GRACE,
    )


def failed(mailbox: Mailbox, *, error: MailsyncError, now: datetime, delay: float) -> Mailbox:
    """It will be tried again after `delay` seconds and not before."""
    not_before = now + timedelta(seconds=delay)
    return replace(
        _with_error(mailbox, error.reason, error.message, now), not_before=not_before, next_poll_at=not_before + _GRACE
    )


def denied(mailbox: Mailbox, *, error: MailsyncError, now: datetime, delay: float) -> Mailbox:
    """As `failed`, because Graph denied access."""
    return replace(
        failed(mailbox, error=error, now=now, delay=delay),
        denied_since=mailbox.denied_since or now,
        denials=mailbox.denials + 1,
    )


def before_failure(mailbox: Mailbox, *, served: bool, added: int) -> Mailbox:
    """The record of a run that fails, without what the run itself has shown to be over.

    `served`: Graph has given a page, so it denies nothing for good. `added`: messages that are in the table now,
    so that their mailbox gets on.
    """
    mailbox = replace(mailbox, denied_since=None, denials=0) if served else mailbox
    error = mailbox.last_error
    return replace(mailbox, last_error=replace(error, failures=0)) if added and error else mailbox


def is_lasting(mailbox: Mailbox, *, now: datetime, limits: Limits) -> bool:
    """Whether access, denied once more just now, has been denied for so long that the grant must be gone."""
    since = mailbox.denied_since
    return since is not None and (now - since).total_seconds() >= limits.denial and mailbox.denials >= limits.denials


def lost_grant(mailbox: Mailbox, *, error: MailsyncError, now: datetime, granted_at: datetime | None) -> Mailbox:
    """The owner must connect again, unless they have since the consent of the run, which was at `granted_at`."""
    if mailbox.granted_at != granted_at:
        return replace(mailbox, next_poll_at=now)
    lost = push.lost(_with_error(mailbox, error.reason, error.message, now), error.reason)
    return replace(lost, state=MailboxState.NEEDS_RECONNECT, next_poll_at=None)


def disconnected(mailbox: Mailbox, *, now: datetime, granted_at: datetime | None) -> Mailbox:
    """The operator has let it go, unless the owner has consented anew since `granted_at`, which counts then.

    Its messages stay, and so do its cursors, for the owner may connect again.
    """
    if mailbox.granted_at != granted_at:
        return replace(mailbox, next_poll_at=now)
    without = push.off(_without_error(mailbox), left=mailbox.push.reason)
    return replace(without, state=MailboxState.DISCONNECTED, next_poll_at=None)


def broken(mailbox: Mailbox, *, reason: str, message: str, now: datetime) -> Mailbox:
    """Something nobody foresaw; the queue tries again, and the schedule goes on."""
    return _with_error(mailbox, reason, message, now)


def retry_delay(mailbox: Mailbox, error: MailsyncError, limits: Limits) -> float:
    """Seconds until the next attempt: what the other side asked for, else doubling with each failure."""
    if isinstance(error, RetryLater) and error.retry_after is not None:
        return min(max(error.retry_after, 1), limits.longest_wait)
    if isinstance(error, LicenseLapsed):
        return limits.longest_wait
    return min(limits.first_retry * 2.0 ** min(mailbox.failures, 16), limits.longest_retry)


def _with_error(mailbox: Mailbox, reason: str, message: str, now: datetime) -> Mailbox:
    return replace(mailbox, last_error=LastError(now, reason, message, mailbox.failures + 1))


def _without_error(mailbox: Mailbox) -> Mailbox:
    return replace(
        mailbox,
        last_error=None,
        denied_since=None,
        denials=0,
        not_before=None,
    )
