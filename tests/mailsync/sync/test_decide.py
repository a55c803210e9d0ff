"""What becomes of a hint, as a table: one row a case, named by what is wrong where it fails."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from mailsync.mailboxes.records import Folder, History, Lease, Looking, MailboxState, Push, PushState, Subscription
from mailsync.reasons import Reason
from mailsync.schedule.records import Hint
from mailsync.sync.decide import Later, Skip, Start, decide
from tests.mailsync.world import BOX, MAILBOX, START

NOW = START + timedelta(hours=1)


def ago(seconds: float):
    return NOW - timedelta(seconds=seconds)


def ahead(seconds: float):
    return NOW + timedelta(seconds=seconds)


SUBSCRIPTION = Subscription("kept", "nonce", "key", ahead(86_400), made_at=START, renewed_at=ago(600))
READ = Folder(name="inbox", since=START, enumerating=False, subscription=SUBSCRIPTION)
IDLE = replace(MAILBOX, folders=(READ,), last_sync_started_at=ago(600))
"""Everything was read ten minutes ago, and nothing is in the way of another run."""


def box(**changes):
    return replace(IDLE, **changes)


def hint(**more) -> Hint:
    return Hint(**{"mailbox_id": BOX, "at": ago(1), **more})


def leased(*, started: float, ends: float = 60, **changes):
    return box(lease=Lease("other", ago(started), ahead(ends)), **changes)


CASES = {
    "a mailbox at rest is read": (box(), hint(), Start),
    "a mailbox that was never read is read": (box(last_sync_started_at=None, folders=()), hint(at=ago(3_600)), Start),
    # Only an active mailbox is read.
    "an unknown mailbox is left": (None, hint(), Skip("not_active")),
    "one whose grant is lost is left": (box(state=MailboxState.NEEDS_RECONNECT), hint(), Skip("not_active")),
    "a disconnected one is left": (box(state=MailboxState.DISCONNECTED), hint(), Skip("not_active")),
    # What a later run has read needs no other.
    "what a later run has read is not read again": (box(), hint(at=ago(603)), Skip("covered")),
    "clocks may be two seconds apart": (box(), hint(at=ago(602)), Start),
    "Graph's word of mail that was read since is covered": (
        box(),
        hint(at=ago(700), pushed=True, created=("a",)),
        Skip("covered"),
    ),
    "a continuation goes on, whatever was read since": (
        box(folders=(msgspec.structs.replace(READ, history=History()),)),
        hint(at=ago(700), continues=True),
        Start,
    ),
    "a poll is covered by a run that has read everything new, though history is left": (
        box(folders=(msgspec.structs.replace(READ, history=History()),)),
        hint(at=ago(700)),
        Skip("covered"),
    ),
    "a continuation of what is complete is covered": (box(), hint(at=ago(700), continues=True), Skip("covered")),
    "a covered hint does not wait": (box(not_before=ahead(60)), hint(at=ago(700)), Skip("covered")),
    "a covered hint does not step aside": (leased(started=5), hint(at=ago(700)), Skip("covered")),
    # What it says of push counts as long as it was not done.
    "a removed subscription is made anew, whatever was read since": (
        box(),
        hint(at=ago(700), removed=("kept",)),
        Start,
    ),
    "one that was replaced already is not": (box(), hint(at=ago(700), removed=("older",)), Skip("covered")),
    "a renewal that Graph asks for is done, whatever was read since": (
        box(last_sync_started_at=ago(10)),
        hint(at=ago(600), renew=("kept",)),
        Start,
    ),
    "one that was done since is not": (box(), hint(at=ago(700), renew=("kept",)), Skip("covered")),
    "one that another subscription needed is not": (
        box(last_sync_started_at=ago(10)),
        hint(at=ago(500), renew=("older",)),
        Skip("covered"),
    ),
    "silent push is heard of again, whatever was read since": (
        box(push=Push(PushState.SILENT, Reason.SILENT)),
        hint(at=ago(700), pushed=True),
        Start,
    ),
    "a poll does not end the silence": (
        box(push=Push(PushState.SILENT, Reason.SILENT)),
        hint(at=ago(700)),
        Skip("covered"),
    ),
    # One chain of looks a mailbox.
    "a look that is due is done": (box(looking=Looking(("a",), ago(1))), hint(looks=1), Start),
    "a look whose chain has ended is not": (box(), hint(looks=1), Skip("covered")),
    "a look that another run has done is not": (
        box(looking=Looking(("a",), ahead(4))),
        hint(looks=1),
        Skip("covered"),
    ),
    "a look of an older version, with its own ids, is done": (box(), hint(looks=1, created=("a",)), Start),
    # Graph is left alone for as long as it asked for.
    "a hint before the time is not kept": (box(not_before=ahead(60)), hint(), Skip("waiting")),
    "a notification of mail before the time is not kept": (
        box(not_before=ahead(60)),
        hint(pushed=True, created=("a",)),
        Skip("waiting"),
    ),
    "a removal before the time comes again": (box(not_before=ahead(60)), hint(removed=("x",)), Later(61, "waiting")),
    "a renewal before the time comes again": (box(not_before=ahead(60)), hint(renew=("x",)), Later(61, "waiting")),
    "the wait ends at its time": (box(not_before=NOW), hint(), Start),
    "the wait comes before the lease": (leased(started=5, not_before=ahead(60)), hint(), Skip("waiting")),
    # One run at a time.
    "a run that began later covers the hint, unless it dies": (
        leased(started=5, ends=40),
        hint(at=ago(8)),
        Later(41, "in_progress"),
    ),
    "a hint of the run's own start steps aside": (leased(started=2), hint(at=ago(4)), Later(2, "busy")),
    "a hint steps aside for a second at the least": (leased(started=0.2), hint(at=NOW), Later(1, "busy")),
    "it steps aside for as long as the run is at it": (leased(started=3), hint(), Later(3, "busy")),
    "it steps aside for five seconds at the most": (leased(started=30), hint(), Later(5, "busy")),
    "ids of new mail are not left to the run": (
        leased(started=3),
        hint(at=ago(100), created=("a",), pushed=True),
        Later(3, "busy"),
    ),
    "a continuation is not left to the run": (
        leased(started=3, last_sync_started_at=None),
        hint(at=ago(100), continues=True),
        Later(3, "busy"),
    ),
    "a removal is not left to the run": (leased(started=3), hint(at=ago(100), removed=("x",)), Later(3, "busy")),
    "a renewal is not left to the run": (leased(started=3), hint(at=ago(100), renew=("x",)), Later(3, "busy")),
    "a lease that has ended keeps nobody": (leased(started=60, ends=0), hint(), Start),
    "the lease comes before the subscription's end": (leased(started=3), hint(nonces=("older",)), Later(3, "busy")),
    # Notifications of present subscriptions alone wake a run.
    "notifications of a subscription of before wake nothing": (
        box(),
        hint(pushed=True, nonces=("older",)),
        Skip("stale_subscription"),
    ),
    "one present subscription among them is enough": (box(), hint(pushed=True, nonces=("older", "nonce")), Start),
    "a hint of an older version names none": (box(), hint(pushed=True), Start),
    # Some wait for the mailbox and cannot step aside.
    "the mailbox is kept for whoever waits for it": (box(reserved_until=ahead(15)), hint(), Later(10, "reserved")),
    "a reservation ends": (box(reserved_until=NOW), hint(), Start),
}


@pytest.mark.parametrize(("mailbox", "given", "expected"), CASES.values(), ids=CASES.keys())
def test_decision(mailbox, given, expected):
    decision = decide(mailbox, given, NOW, token_is_elsewhere=False)
    assert decision == (Start(mailbox) if expected is Start else expected)


def test_the_instance_that_has_the_token_is_left_to_go_on():
    assert decide(box(), hint(), NOW, token_is_elsewhere=True) == Later(10, "token_held")
    assert decide(box(reserved_until=ahead(15)), hint(), NOW, token_is_elsewhere=True) == Later(10, "reserved")
