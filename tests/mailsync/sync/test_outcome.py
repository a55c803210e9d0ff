"""How a run changes its mailbox's status when it ends, as tables: one row a case."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailsync.errors import AccessDenied, GraphForbidden, LicenseLapsed, ReconnectRequired, Throttled
from mailsync.mailboxes.records import Folder, LastError, MailboxState, Push, PushState, Subscription
from mailsync.push import state as push
from mailsync.reasons import Reason
from mailsync.sync import outcome
from mailsync.sync.run import Limits
from tests.mailsync.world import MAILBOX, START

NOW = START + timedelta(hours=1)
BEGAN = NOW - timedelta(seconds=8)
BEFORE = NOW - timedelta(minutes=5)
LIMITS = Limits(first_retry=30, longest_retry=3_600, longest_wait=86_400, denial=1_000, denials=3)

SUBSCRIPTION = Subscription("s", "nonce", "key", NOW + timedelta(days=1), made_at=START, renewed_at=START)
FOLDERS = (Folder(name="inbox", since=START, cursor="a link", subscription=SUBSCRIPTION),)
WELL = replace(
    MAILBOX,
    folders=FOLDERS,
    push=Push(PushState.TRUSTED),
    messages=70,
    last_sync_started_at=BEFORE - timedelta(seconds=3),
    last_success_at=BEFORE,
    next_poll_at=BEFORE,
)
ILL = replace(
    WELL,
    last_error=LastError(BEFORE, Reason.GRAPH_UNREACHABLE, "An older sentence.", failures=2),
    denied_since=START,
    denials=4,
    not_before=NOW - timedelta(seconds=1),
)
ERROR = GraphForbidden("A sentence.")


def cured(mailbox):
    """What a run leaves that went well."""
    return replace(
        mailbox,
        last_error=None,
        denied_since=None,
        denials=0,
        not_before=None,
    )


def told(mailbox, error=ERROR):
    """The record with an error on it."""
    return replace(mailbox, last_error=LastError(NOW, error.reason, error.message, mailbox.failures + 1))


EARLY = timedelta(seconds=2.94)
"""This mailbox's poll comes so much earlier at NOW, of at most 30 seconds: a tenth of the interval of 300."""

SUCCESSES = {
    # By when a subscription needs a run; when the next poll is due.
    "after the interval, a little earlier": (None, NOW + timedelta(seconds=300) - EARLY),
    "a subscription needs a run later": (NOW + timedelta(hours=1), NOW + timedelta(seconds=300) - EARLY),
    "a subscription needs a run sooner": (NOW + timedelta(seconds=60), NOW + timedelta(seconds=60)),
    "a subscription has needed one already": (NOW - timedelta(seconds=60), NOW),
}


@pytest.mark.parametrize(("latest", "next_poll_at"), SUCCESSES.values(), ids=SUCCESSES.keys())
@pytest.mark.parametrize("before", [WELL, ILL], ids=["well", "ill"])
def test_success(before, latest, next_poll_at):
    after = outcome.succeeded(before, started_at=BEGAN, now=NOW, interval=300, latest=latest)
    assert after == replace(cured(before), last_sync_started_at=BEGAN, last_success_at=NOW, next_poll_at=next_poll_at)


def test_polls_spread_over_a_tenth_of_the_interval():
    def early(second):
        now = NOW + timedelta(seconds=second)
        due = outcome.succeeded(WELL, started_at=BEGAN, now=now, interval=1_000).next_poll_at
        return 1_000 - (due - now).total_seconds()

    spread = [early(second) for second in range(200)]
    assert min(spread) >= 0
    assert max(spread) < 100
    assert max(spread) - min(spread) > 90


CONTINUED = {
    "everything new was read": (BEGAN, {"last_sync_started_at": BEGAN, "last_success_at": NOW}),
    "not even everything new": (None, {}),
}


@pytest.mark.parametrize(("started_at", "changes"), CONTINUED.values(), ids=CONTINUED.keys())
@pytest.mark.parametrize("before", [WELL, ILL], ids=["well", "ill"])
def test_a_spent_budget_is_no_error_and_the_schedule_takes_up_a_lost_hint(before, started_at, changes):
    after = outcome.to_be_continued(before, started_at=started_at, now=NOW)
    assert after == replace(cured(before), next_poll_at=NOW + timedelta(minutes=2), **changes)


@pytest.mark.parametrize("before", [WELL, ILL], ids=["well", "ill"])
def test_a_failure_is_told_and_the_schedule_takes_up_a_lost_hint(before):
    after = outcome.failed(before, error=ERROR, now=NOW, delay=40)
    again = NOW + timedelta(seconds=40)
    assert after == replace(told(before), not_before=again, next_poll_at=again + timedelta(minutes=2))


DENIALS = {
    "the first begins the time": (WELL, {"denied_since": NOW, "denials": 1}),
    "another is counted": (ILL, {"denied_since": START, "denials": 5}),
}


@pytest.mark.parametrize(("before", "changes"), DENIALS.values(), ids=DENIALS.keys())
def test_a_denial_is_a_failure_that_is_counted(before, changes):
    failed = outcome.failed(before, error=ERROR, now=NOW, delay=40)
    assert outcome.denied(before, error=ERROR, now=NOW, delay=40) == replace(failed, **changes)


NO_FAILURES = replace(ILL.last_error, failures=0)
BEFORE_FAILURE = {
    "nothing was shown": (False, 0, {}),
    "Graph has given a page": (True, 0, {"denied_since": None, "denials": 0}),
    "mail was stored": (False, 1, {"last_error": NO_FAILURES}),
    "both": (True, 7, {"denied_since": None, "denials": 0, "last_error": NO_FAILURES}),
}


@pytest.mark.parametrize(("served", "added", "changes"), BEFORE_FAILURE.values(), ids=BEFORE_FAILURE.keys())
def test_before_failure(served, added, changes):
    assert outcome.before_failure(ILL, served=served, added=added) == replace(ILL, **changes)


LASTING = {
    # Seconds since the first denial, denials.
    "never denied": (None, 0, False),
    "long and often enough": (1_000, 3, True),
    "longer and oftener": (2_000, 4, True),
    "not long enough": (999, 9, False),
    "not often enough": (2_000, 2, False),
    "often, and nobody knows since when": (None, 9, False),
}


@pytest.mark.parametrize(("seconds", "denials", "expected"), LASTING.values(), ids=LASTING.keys())
def test_is_lasting(seconds, denials, expected):
    since = None if seconds is None else NOW - timedelta(seconds=seconds)
    denied = replace(WELL, denied_since=since, denials=denials)
    assert outcome.is_lasting(denied, now=NOW, limits=LIMITS) is expected


LOST = ReconnectRequired(Reason.CONSENT_REQUIRED, "The owner must connect again.")


def test_a_lost_grant_waits_for_the_owner():
    expected = replace(push.lost(told(ILL, LOST), LOST.reason), state=MailboxState.NEEDS_RECONNECT, next_poll_at=None)
    assert outcome.lost_grant(ILL, error=LOST, now=NOW, granted_at=ILL.granted_at) == expected


def test_a_disconnected_mailbox_keeps_messages_and_cursors():
    after = outcome.disconnected(ILL, now=NOW, granted_at=ILL.granted_at)
    assert after == replace(push.off(cured(ILL)), state=MailboxState.DISCONNECTED, next_poll_at=None)
    assert [folder.cursor for folder in after.folders] == ["a link"]
    assert after.messages == 70


def test_why_push_had_ended_is_still_to_be_seen_of_a_disconnected_mailbox():
    degraded = push.degraded(WELL, Reason.GRAPH_FORBIDDEN, NOW)
    assert outcome.disconnected(degraded, now=NOW, granted_at=WELL.granted_at).push.reason == Reason.GRAPH_FORBIDDEN


@pytest.mark.parametrize("granted_at", [None, BEFORE])
def test_a_consent_that_came_meanwhile_counts_and_is_read_at_once(granted_at):
    assert outcome.lost_grant(ILL, error=LOST, now=NOW, granted_at=granted_at) == replace(ILL, next_poll_at=NOW)
    assert outcome.disconnected(ILL, now=NOW, granted_at=granted_at) == replace(ILL, next_poll_at=NOW)


def test_what_nobody_foresaw_is_told_and_changes_nothing_else():
    after = outcome.broken(ILL, reason=Reason.UNEXPECTED, message="ValueError", now=NOW)
    assert after == replace(ILL, last_error=LastError(NOW, Reason.UNEXPECTED, "ValueError", failures=3))


DELAYS = {
    # What the other side asked for is obeyed, within bounds.
    "asked for": (0, Throttled(Reason.GRAPH_THROTTLED, "", 90), 90),
    "asked for, whatever has failed before": (9, GraphForbidden("", 90), 90),
    "asked for nothing": (0, Throttled(Reason.GRAPH_THROTTLED, "", 0), 1),
    "asked for more than a second": (0, Throttled(Reason.GRAPH_THROTTLED, "", 1.5), 1.5),
    "asked for a week": (0, Throttled(Reason.GRAPH_THROTTLED, "", 604_800), 86_400),
    # A licence may come.
    "without a licence": (0, LicenseLapsed(""), 86_400),
    # Else it doubles.
    "after the first failure": (0, GraphForbidden(""), 30),
    "after the second": (1, GraphForbidden(""), 60),
    "after the third": (2, AccessDenied(Reason.ACCESS_DENIED, ""), 120),
    "after the seventh": (6, GraphForbidden(""), 1_920),
    "an hour at the most": (7, GraphForbidden(""), 3_600),
    "after thousands": (5_000, GraphForbidden(""), 3_600),
}


@pytest.mark.parametrize(("failures", "error", "expected"), DELAYS.values(), ids=DELAYS.keys())
def test_retry_delay(failures, error, expected):
    failed = replace(ILL, last_error=replace(ILL.last_error, failures=failures))
    assert outcome.retry_delay(failed, error, LIMITS) == expected


def test_retry_delay_after_success():
    assert outcome.retry_delay(WELL, GraphForbidden(""), LIMITS) == 30
