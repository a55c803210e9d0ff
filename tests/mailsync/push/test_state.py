"""What is to be done about push for one mailbox, and what is noted of it, as tables: one row a case.

What leads from one state of push to another is in `test_trust.py`.
"""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from mailsync.mailboxes.records import Folder, MailboxState, Push, PushState, Subscription
from mailsync.push import state, trust
from mailsync.push.state import Step
from mailsync.reasons import Reason
from mailsync.schedule.records import Hint
from tests.mailsync.world import BOX, MAILBOX, START

NOW = START + timedelta(days=1)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)

KEPT = Subscription("kept", "nonce", "key", NOW + 6 * DAY, made_at=NOW - 2 * DAY, renewed_at=NOW - HOUR)
INBOX = Folder(name="inbox", since=START, folder_id="id", subscription=KEPT)
BARE = msgspec.structs.replace(INBOX, subscription=None)
ARCHIVE = Folder(name="archive", since=START, subscription=msgspec.structs.replace(KEPT, id="other", nonce="another"))
LACKING = Folder(name="projects", since=START, problem=Reason.FOLDER_NOT_FOUND)

WELL = replace(MAILBOX, folders=(INBOX,), granted_at=START - DAY, push=Push(PushState.TRUSTED))
UNHEARD = Push(PushState.DEGRADED, Reason.SILENT, NOW - SECOND, 1)
SILENT = Push(PushState.SILENT, Reason.SILENT, failures=1)
FAILED = Push(PushState.DEGRADED, Reason.GRAPH_FORBIDDEN, NOW - SECOND, 1)
WAITING = replace(FAILED, until=NOW + SECOND)


def box(*folders, **changes):
    return replace(WELL, folders=folders or (INBOX,), **changes)


def folder(**changes):
    """The inbox with another subscription."""
    return msgspec.structs.replace(INBOX, subscription=msgspec.structs.replace(KEPT, **changes))


def hint(**fields):
    return Hint(**{"mailbox_id": BOX, "at": NOW} | fields)


LIFE = KEPT.expires_at - KEPT.renewed_at
EARLY = 0.0664
"""This mailbox renews so much of the quarter earlier, of at most a tenth."""
RENEWAL = KEPT.renewed_at + LIFE / 4 * (1 - EARLY)

STEPS = {
    "confirmed lately": (box(), INBOX, {}, NOW, Step.NONE),
    # There is none, or none any more.
    "none yet": (box(BARE), BARE, {}, NOW, Step.CREATE),
    "it has ended": (box(), INBOX, {}, KEPT.expires_at, Step.CREATE),
    "it ends in a second": (box(), INBOX, {}, KEPT.expires_at - SECOND, Step.RENEW),
    "none yet, and something is waited for": (box(BARE, push=WAITING), BARE, {}, NOW, Step.NONE),
    "none yet, and the wait is over": (box(BARE, push=FAILED), BARE, {}, NOW, Step.CREATE),
    "the wait is over at its time": (box(BARE, push=WAITING), BARE, {}, NOW + SECOND, Step.CREATE),
    "the mailbox lacks the folder": (box(LACKING), LACKING, {}, NOW, Step.NONE),
    # It is worth nothing as it is.
    "its key is kept no longer": (box(), folder(key_id=""), {}, NOW, Step.RECREATE),
    "its key is kept no longer, and something is waited for": (
        box(push=WAITING),
        folder(key_id=""),
        {},
        NOW,
        Step.NONE,
    ),
    "Graph did not tell of mail": (box(push=UNHEARD), INBOX, {}, NOW, Step.RECREATE),
    "it was made anew since": (box(push=SILENT), INBOX, {}, NOW, Step.NONE),
    "something else failed": (box(push=FAILED), INBOX, {}, NOW, Step.NONE),
    # It is renewed in time.
    "its renewal is due": (box(), INBOX, {}, RENEWAL, Step.RENEW),
    "its renewal is not due yet": (box(), INBOX, {}, RENEWAL - SECOND, Step.NONE),
    "Graph asks for it": (box(), INBOX, {"renew": ("kept",)}, NOW, Step.RENEW),
    "Graph asks for another": (box(), INBOX, {"renew": ("other",)}, NOW, Step.NONE),
    "Graph asked for it before it was confirmed": (
        box(),
        INBOX,
        {"renew": ("kept",), "at": KEPT.renewed_at - SECOND},
        NOW,
        Step.NONE,
    ),
    "Graph asked for it when it was confirmed": (
        box(),
        INBOX,
        {"renew": ("kept",), "at": KEPT.renewed_at},
        NOW,
        Step.RENEW,
    ),
    "its owner has consented anew": (box(granted_at=KEPT.renewed_at + SECOND), INBOX, {}, NOW, Step.RENEW),
    "it was confirmed at the consent": (box(granted_at=KEPT.renewed_at), INBOX, {}, NOW, Step.NONE),
    "nobody knows when they consented": (box(granted_at=None), INBOX, {}, NOW, Step.NONE),
}


@pytest.mark.parametrize(("mailbox", "of", "fields", "now", "expected"), STEPS.values(), ids=STEPS.keys())
def test_step(mailbox, of, fields, now, expected):
    assert state.step(mailbox, of, hint(**fields), now) is expected


ASKED = {
    "a poll asks for nothing": (box(), {}, False),
    "its renewal": (box(), {"renew": ("kept",)}, True),
    "its renewal, which was done since": (box(), {"renew": ("kept",), "at": KEPT.renewed_at - SECOND}, False),
    "another's renewal": (box(), {"renew": ("older",)}, False),
    "a removed one is to be made anew": (box(), {"removed": ("kept",)}, True),
    "one that was replaced already is not": (box(), {"removed": ("older",)}, False),
    "one of two": (box(INBOX, ARCHIVE), {"removed": ("other",)}, True),
    "mail, and push is well": (box(), {"pushed": True}, False),
    "mail, and push was silent": (box(push=SILENT), {"pushed": True}, True),
    "mail, and something else failed": (box(push=FAILED), {"pushed": True}, False),
    "a poll, and push was silent": (box(push=SILENT), {}, False),
}


@pytest.mark.parametrize(("mailbox", "fields", "expected"), ASKED.values(), ids=ASKED.keys())
def test_is_asked_for(mailbox, fields, expected):
    assert state.is_asked_for(mailbox, hint(**fields)) is expected


OLDER, NEWER = NOW - HOUR, NOW + HOUR

NOTED = {
    "a poll tells nothing": (box(push=SILENT), {}, {}),
    "a removed subscription is gone": (box(INBOX, ARCHIVE), {"removed": ("kept",)}, {"folders": (BARE, ARCHIVE)}),
    "a renewal alone tells of no mail": (box(), {"pushed": True, "renew": ("kept",)}, {}),
    "the first mail": (box(), {"pushed": True}, {"last_notification_at": NOW}),
    "the next": (box(last_notification_at=OLDER), {"pushed": True}, {"last_notification_at": NOW}),
    "a hint that comes late": (box(last_notification_at=NEWER), {"pushed": True}, {}),
    "Graph is heard again": (
        box(push=SILENT),
        {"pushed": True},
        {"last_notification_at": NOW, "push": Push(PushState.TRUSTED)},
    ),
    "Graph is heard of one folder, and another has none": (
        box(INBOX, BARE, push=SILENT),
        {"pushed": True},
        {"last_notification_at": NOW},
    ),
    "Graph is heard of a folder that it removes by the same word": (
        box(push=SILENT),
        {"pushed": True, "created": ("m",), "removed": ("kept",)},
        {"last_notification_at": NOW, "folders": (BARE,)},
    ),
}


@pytest.mark.parametrize(("mailbox", "fields", "changes"), NOTED.values(), ids=NOTED.keys())
def test_noted(mailbox, fields, changes):
    assert state.noted(mailbox, hint(**fields)) == replace(mailbox, **changes)


SUBSCRIBED = {
    "every folder has one": (box(INBOX, ARCHIVE), True),
    "one folder has none": (box(INBOX, BARE), False),
    "a folder that the mailbox lacks needs none": (box(INBOX, LACKING), True),
    "there is no other folder": (box(LACKING), False),
    "nothing is followed yet": (replace(WELL, folders=()), False),
}


@pytest.mark.parametrize(("mailbox", "expected"), SUBSCRIBED.values(), ids=SUBSCRIBED.keys())
def test_is_subscribed(mailbox, expected):
    assert state.is_subscribed(mailbox) is expected
    assert state.is_reliable(mailbox) is expected
    assert not state.is_reliable(replace(mailbox, push=SILENT))
    assert state.tended(replace(mailbox, push=FAILED)).push == trust.after_success(FAILED, subscribed=expected)


@pytest.mark.parametrize("retry_after", [None, 5_000])
def test_a_failure_is_that_of_trust(retry_after):
    after = state.degraded(WELL, Reason.GRAPH_FORBIDDEN, NOW, retry_after)
    assert after == replace(WELL, push=trust.after_failure(WELL.push, Reason.GRAPH_FORBIDDEN, NOW, retry_after))


ORPHANED = {
    "every key is kept": ((INBOX, BARE), set(), (INBOX, BARE)),
    "the key of one is dropped": ((INBOX, BARE, ARCHIVE), {"key"}, (folder(key_id=""), BARE)),
    "another's key is dropped": ((INBOX,), {"older"}, (INBOX,)),
    "it was noted before": ((folder(key_id=""),), {"", "key"}, (folder(key_id=""),)),
}


@pytest.mark.parametrize(("folders", "dropped", "expected"), ORPHANED.values(), ids=ORPHANED.keys())
def test_orphaned(folders, dropped, expected):
    mailbox = box(*folders[:2])
    after = state.orphaned(mailbox, dropped.__contains__)
    assert after == replace(mailbox, folders=expected)
    assert (after is mailbox) is (after == mailbox)


DUE = {
    "an active one is seen to at once": (MailboxState.ACTIVE, {"next_poll_at": NOW}),
    "one that waits for its owner is left": (MailboxState.NEEDS_RECONNECT, {}),
    "one that was let go is left": (MailboxState.DISCONNECTED, {}),
}


@pytest.mark.parametrize(("of", "changes"), DUE.values(), ids=DUE.keys())
def test_due(of, changes):
    mailbox = box(state=of)
    assert state.due(mailbox, NOW) == replace(mailbox, push=trust.after_key_dropped(mailbox.push), **changes)


def test_a_lost_grant_is_that_of_trust():
    after = state.lost(WELL, Reason.CONSENT_REQUIRED)
    assert after == replace(WELL, push=trust.after_lost_grant(WELL.push, Reason.CONSENT_REQUIRED))


LATE = timedelta(minutes=4)
"""Graph has so long to tell of a message."""
MAIL = NOW - LATE - SECOND

SILENCE = {
    "mail that Graph has not told of": (box(), {}, [MAIL], True),
    "one late message among others": (box(), {}, [NOW, MAIL], True),
    "no mail": (box(), {}, [], False),
    "mail of which Graph may still tell": (box(), {}, [NOW - LATE], False),
    "mail of before it was subscribed": (box(), {}, [KEPT.made_at], False),
    "mail of just after": (box(), {}, [KEPT.made_at + SECOND], True),
    "mail of before one folder was subscribed": (
        box(INBOX, msgspec.structs.replace(ARCHIVE, subscription=msgspec.structs.replace(KEPT, made_at=NOW))),
        {},
        [MAIL],
        False,
    ),
    "mail of before Graph last told of some": (box(last_notification_at=MAIL), {}, [MAIL], False),
    "mail after it": (box(last_notification_at=MAIL - SECOND), {}, [MAIL], True),
    "Graph last told before it was subscribed anew": (
        box(last_notification_at=START - DAY),
        {},
        [KEPT.made_at],
        False,
    ),
    "Graph has just told": (box(), {"pushed": True}, [MAIL], False),
    "a run that goes on": (box(), {"continues": True}, [MAIL], False),
    "a look": (box(), {"looks": 1}, [MAIL], False),
    "a renewal, and no mail": (box(), {"renew": ("kept",)}, [MAIL], True),
    "it is known already": (box(push=UNHEARD), {}, [MAIL], False),
    "it was subscribed anew, and is silent again": (box(push=SILENT), {}, [MAIL], True),
    "one folder has no subscription": (box(INBOX, BARE), {}, [MAIL], False),
    "no folder has": (box(LACKING), {}, [MAIL], False),
    "a folder that the mailbox lacks says nothing": (box(INBOX, LACKING), {}, [MAIL], True),
}


@pytest.mark.parametrize(("mailbox", "fields", "arrived", "expected"), SILENCE.values(), ids=SILENCE.keys())
def test_is_silent(mailbox, fields, arrived, expected):
    assert state.is_silent(mailbox, hint(**fields), arrived, NOW) is expected


NEXT = {
    "nothing to wait for": (box(BARE), None),
    "the renewal": (box(), RENEWAL),
    "the sooner of two": (
        box(folder(renewed_at=NOW), INBOX),
        RENEWAL,
    ),
    "what failed, before any renewal": (box(push=WAITING), NOW + SECOND),
    "what failed, without a subscription": (box(BARE, push=WAITING), NOW + SECOND),
    "one of before the latest consent, at once": (box(granted_at=NOW), KEPT.renewed_at),
}


@pytest.mark.parametrize(("mailbox", "expected"), NEXT.values(), ids=NEXT.keys())
def test_next_step_at(mailbox, expected):
    assert state.next_step_at(mailbox) == expected


def test_renewals_spread_over_a_tenth_of_the_quarter():
    def early(number):
        due = state.next_step_at(box(id=f"{BOX[:-3]}{number:03x}"))
        return 1 - (due - KEPT.renewed_at) / (LIFE / 4)

    spread = [early(number) for number in range(200)]
    assert min(spread) >= 0
    assert max(spread) < 0.1
    assert max(spread) - min(spread) > 0.09


def test_let_go_it_has_no_subscription_and_wants_none():
    before = box(INBOX, LACKING, push=FAILED, last_notification_at=NOW)
    after = replace(before, folders=(BARE, LACKING), push=Push(PushState.OFF))
    assert state.off(before) == after
    assert state.off(before, Reason.GRAPH_FORBIDDEN) == replace(after, push=Push(PushState.OFF, Reason.GRAPH_FORBIDDEN))


CHANGES = {
    "subscribed": (state.subscribed, KEPT, (msgspec.structs.replace(BARE, subscription=KEPT), ARCHIVE)),
    "subscribed no more": (state.subscribed, None, (BARE, ARCHIVE)),
    "missing": (state.missing, "a_reason", (msgspec.structs.replace(BARE, problem="a_reason"), ARCHIVE)),
}


@pytest.mark.parametrize(("change", "value", "folders"), CHANGES.values(), ids=CHANGES.keys())
def test_a_folder_changes_and_no_other(change, value, folders):
    mailbox = box(folder(id="older"), ARCHIVE)
    assert change(mailbox, "inbox", value) == replace(mailbox, folders=folders)
