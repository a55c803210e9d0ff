"""How far Graph is trusted to tell of new mail: the state before, what happens, the state after."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from mailsync.mailboxes.records import Push, PushState
from mailsync.push import trust
from mailsync.reasons import Reason

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

OFF = Push()
LEFT = Push(PushState.OFF, "graph_unavailable")
TRUSTED = Push(PushState.TRUSTED)
SILENT = Push(PushState.SILENT, Reason.SILENT, failures=3)
UNHEARD = Push(PushState.DEGRADED, Reason.SILENT, NOW, failures=3)
DEGRADED = Push(PushState.DEGRADED, Reason.HANDSHAKE_FAILED, NOW, failures=3)
LOST = Push(PushState.LOST, Reason.GRANT_REVOKED, failures=3)
ALL = {
    "off": OFF,
    "let go": LEFT,
    "trusted": TRUSTED,
    "silent": SILENT,
    "degraded for silence": UNHEARD,
    "degraded": DEGRADED,
    "lost": LOST,
}

news = partial(trust.after_news, subscribed=True)
news_while_a_folder_lacks_one = partial(trust.after_news, subscribed=False)
success = partial(trust.after_success, subscribed=True)
success_without_a_folder = partial(trust.after_success, subscribed=False)
failure = partial(trust.after_failure, reason=Reason.SUBSCRIPTION_QUOTA, now=NOW)
lost_grant = partial(trust.after_lost_grant, reason=Reason.CONSENT_REQUIRED)


def degraded(minutes, failures):
    return Push(PushState.DEGRADED, Reason.SUBSCRIPTION_QUOTA, NOW + minutes * MINUTE, failures)


TABLE = {
    # Only where Graph was silent does its news say anything of push.
    ("off", news): OFF,
    ("let go", news): LEFT,
    ("trusted", news): TRUSTED,
    ("silent", news): TRUSTED,
    ("degraded for silence", news): TRUSTED,
    ("degraded", news): DEGRADED,
    ("lost", news): LOST,
    # News of one folder says nothing of another.
    ("silent", news_while_a_folder_lacks_one): SILENT,
    ("degraded for silence", news_while_a_folder_lacks_one): UNHEARD,
    # Subscribed to, it is trusted at once, unless it was silent.
    ("off", success): TRUSTED,
    ("let go", success): TRUSTED,
    ("trusted", success): TRUSTED,
    ("silent", success): SILENT,
    ("degraded for silence", success): SILENT,
    ("degraded", success): TRUSTED,
    ("lost", success): TRUSTED,
    # With nothing to subscribe to, nothing was shown; but no time is waited for any more.
    ("off", success_without_a_folder): OFF,
    ("trusted", success_without_a_folder): TRUSTED,
    ("silent", success_without_a_folder): SILENT,
    ("degraded for silence", success_without_a_folder): SILENT,
    ("degraded", success_without_a_folder): Push(PushState.LOST, Reason.HANDSHAKE_FAILED, failures=3),
    ("lost", success_without_a_folder): LOST,
    # The wait doubles with each failure, whatever it was.
    ("off", failure): degraded(1, 1),
    ("let go", failure): degraded(1, 1),
    ("trusted", failure): degraded(1, 1),
    ("silent", failure): degraded(8, 4),
    ("degraded for silence", failure): degraded(8, 4),
    ("degraded", failure): degraded(8, 4),
    ("lost", failure): degraded(8, 4),
    # Never subscribed, it has lost nothing.
    ("off", lost_grant): Push(PushState.OFF, Reason.CONSENT_REQUIRED),
    ("let go", lost_grant): Push(PushState.OFF, Reason.CONSENT_REQUIRED),
    ("trusted", lost_grant): Push(PushState.LOST, Reason.CONSENT_REQUIRED),
    ("silent", lost_grant): Push(PushState.LOST, Reason.CONSENT_REQUIRED, failures=3),
    ("degraded for silence", lost_grant): Push(PushState.LOST, Reason.CONSENT_REQUIRED, failures=3),
    ("degraded", lost_grant): Push(PushState.LOST, Reason.CONSENT_REQUIRED, failures=3),
    ("lost", lost_grant): Push(PushState.LOST, Reason.CONSENT_REQUIRED, failures=3),
    # A key is dropped by its age, whatever state its subscriptions are in.
    ("trusted", trust.after_key_dropped): Push(PushState.LOST, Reason.SIGNING_KEY_DROPPED),
    ("silent", trust.after_key_dropped): Push(PushState.LOST, Reason.SIGNING_KEY_DROPPED, failures=3),
    ("degraded for silence", trust.after_key_dropped): Push(PushState.LOST, Reason.SIGNING_KEY_DROPPED, failures=3),
    ("degraded", trust.after_key_dropped): Push(PushState.LOST, Reason.SIGNING_KEY_DROPPED, failures=3),
}

NAMES = {
    news: "news",
    news_while_a_folder_lacks_one: "news while a folder lacks a subscription",
    success: "success",
    success_without_a_folder: "success without a folder",
    failure: "failure",
    lost_grant: "lost grant",
    trust.after_key_dropped: "dropped key",
}


@pytest.mark.parametrize(
    ("before", "happens", "after"),
    [(ALL[before], happens, after) for (before, happens), after in TABLE.items()],
    ids=[f"{before}, then {NAMES[happens]}" for before, happens in TABLE],
)
def test_what_happens_leads_from_state_to_state(before, happens, after):
    assert happens(before) == after


@pytest.mark.parametrize(
    ("failures", "asked_for", "wait"),
    [
        (0, None, MINUTE),
        (1, None, 2 * MINUTE),
        (5, None, 32 * MINUTE),
        (6, None, 60 * MINUTE),
        (10_000, None, 60 * MINUTE),
        (0, 30, MINUTE),
        (0, 61, timedelta(seconds=61)),
        (9, 7200, 120 * MINUTE),
    ],
)
def test_the_wait_after_a_failure(failures, asked_for, wait):
    push = Push(PushState.LOST, Reason.SILENT, failures=failures)
    assert trust.after_failure(push, Reason.SUBSCRIPTION_QUOTA, NOW, asked_for).until == NOW + wait
