"""How far Graph is trusted to tell of new mail, and what changes that. Pure; the table is in `test_trust.py`.

Whatever fails leads to DEGRADED, and the next success from there to TRUSTED; but to SILENT where Graph had not told
of mail, and from there only news leads on. A lost grant or a dropped signing key leads to LOST.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from mailsync.mailboxes.records import Push, PushState
from mailsync.reasons import Reason

_FIRST_RETRY = timedelta(minutes=1)
_LONGEST_RETRY = timedelta(hours=1)
"""The first wait after a failure, and the longest, as each is twice the one before."""


def is_unheard(push: Push) -> bool:
    """Whether Graph has yet to tell of mail before it is trusted again."""
    return push.reason == Reason.SILENT


def after_news(push: Push, *, subscribed: bool) -> Push:
    """Graph has told of mail, so it is silent no more. `subscribed`: each folder has a subscription."""
    return Push(PushState.TRUSTED) if is_unheard(push) and subscribed else push


def after_success(push: Push, *, subscribed: bool) -> Push:
    """Each step that was due went well. Where Graph was silent, it is trusted only once it tells of something.

    `subscribed`: each folder has a subscription; False where the mailbox has none of the folders.
    """
    if is_unheard(push):
        return replace(push, state=PushState.SILENT, until=None)
    if subscribed:
        return Push(PushState.TRUSTED)
    return replace(push, state=PushState.LOST, until=None) if push.state is PushState.DEGRADED else push


def after_failure(push: Push, reason: str, now: datetime, retry_after: float | None = None) -> Push:
    """A step failed, or Graph did not tell of mail: `retry_after` as Graph asks for, in seconds."""
    wait = min(_FIRST_RETRY * 2.0 ** min(push.failures, 16), _LONGEST_RETRY)
    until = now + max(wait, timedelta(seconds=retry_after or 0))
    return Push(PushState.DEGRADED, reason, until, push.failures + 1)


def after_key_dropped(push: Push) -> Push:
    """What Graph tells counts as forged from now on."""
    return Push(PushState.LOST, Reason.SIGNING_KEY_DROPPED, failures=push.failures)


def after_lost_grant(push: Push, reason: str) -> Push:
    """The subscriptions ended with the grant."""
    if push.state is PushState.OFF:
        return Push(PushState.OFF, reason)
    return Push(PushState.LOST, reason, failures=push.failures)
