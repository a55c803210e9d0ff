"""What is done with a hint: the mailbox's record says whether it starts a run, comes again, or is needed no more. Pure.

A hint is only a reason to look, so none is refused: it is skipped where a run has done, or surely will do, all that
it asks for, and otherwise comes again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mailsync.mailboxes.records import Lease, Mailbox, MailboxState
from mailsync.push import state as push
from mailsync.schedule.records import Hint
from mailsync.sync import looks

SKEW = timedelta(seconds=2)
"""How far the clocks of two instances may be apart."""

BRIEFLY = 1.0
"""Seconds for which a hint steps aside at the least."""

LONGEST = 5.0
"""Seconds for which it steps aside at the most where a run has the mailbox."""

ASIDE = 10.0
"""Seconds for which a hint steps aside where the mailbox waits for somebody in particular."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing needs to be done. `why`: as telemetry shows it."""

    why: str


@dataclass(frozen=True, slots=True)
class Later:
    """The hint comes again after `seconds`. `why`: as telemetry shows it."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Start:
    """A run begins."""

    mailbox: Mailbox


type Decision = Skip | Later | Start


def decide(mailbox: Mailbox | None, hint: Hint, now: datetime, *, token_is_elsewhere: bool) -> Decision:
    """The first case that applies. `mailbox`: the record as it is stored, None where there is none.

    `token_is_elsewhere`: another instance has the mailbox's newest token in memory alone.
    """
    # The mailbox is disconnected, or waits for its owner to connect it again, which sends a hint of its own.
    if mailbox is None or mailbox.state is not MailboxState.ACTIVE:
        return Skip("not_active")
    # The look was done by another run, or a run has found what it was for.
    if looks.is_over(mailbox, hint):
        return Skip("covered")
    # A run that began later has read all that the hint is about, and nothing of push is left undone.
    if _is_covered(mailbox, hint) and not push.is_asked_for(mailbox, hint):
        return Skip("covered")
    # Graph is left alone until `not_before`. The poll that ends the wait brings the mail, but what the hint says of
    # subscriptions is said only once.
    if mailbox.not_before and now < mailbox.not_before:
        left = (mailbox.not_before - now).total_seconds()
        return Later(left + 1, "waiting") if hint.is_of_subscriptions else Skip("waiting")
    # Another run has the mailbox.
    if mailbox.lease and now < mailbox.lease.expires_at:
        return _beside(mailbox.lease, hint, now)
    # All its notifications were of subscriptions that are gone: whoever posts them again wakes nothing.
    if _is_stale(mailbox, hint):
        return Skip("stale_subscription")
    # Somebody who cannot step aside waits for the mailbox: its owner, or the operator.
    if mailbox.reserved_until and now < mailbox.reserved_until:
        return Later(ASIDE, "reserved")
    # The instance that has the token meets the hint sooner or later.
    if token_is_elsewhere:
        return Later(ASIDE, "token_held")
    return Start(mailbox)


def _is_covered(mailbox: Mailbox, hint: Hint) -> bool:
    """Whether a run that began after the hint has read everything that the hint is about."""
    if hint.continues and not all(folder.complete for folder in mailbox.folders):
        return False
    started_at = mailbox.last_sync_started_at
    return started_at is not None and hint.at + SKEW < started_at


def _beside(lease: Lease, hint: Hint, now: datetime) -> Later:
    # The run that has the mailbox began later and covers the hint. Should that run die, the hint starts the next.
    if hint.is_plain and hint.at + SKEW < lease.started_at:
        return Later((lease.expires_at - now).total_seconds() + 1, "in_progress")
    # A newer hint waits longer, the longer that run has been at work.
    age = (now - lease.started_at).total_seconds()
    return Later(min(max(age, BRIEFLY), LONGEST), "busy")


def _is_stale(mailbox: Mailbox, hint: Hint) -> bool:
    """Whether the notifications were all of subscriptions that this mailbox has no more.

    The run that subscribed anew has read delta since, so what they told of is there.
    """
    return bool(hint.nonces) and not {one.nonce for one in push.subscriptions(mailbox)} & set(hint.nonces)
