"""The table `mailboxes` as an older version of the program has written it and reads it."""

from datetime import UTC, datetime

import pytest

from mailsync.adapters.storage import mailbox_rows
from mailsync.adapters.storage.entities import Entity
from mailsync.mailboxes.records import LastError, Mailbox, Push, PushState

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
BOX = "aaaaaaaa-0000-4000-8000-000000000001-bbbbbbbb-0000-4000-8000-000000000001"
ROW = {
    "PartitionKey": "1",
    "RowKey": f"mailbox-{BOX}",
    "accountId": "acme",
    "address": "sales@acme.example",
    "connectedAt": NOW,
    "state": "active",
    "denials": 0,
    "messages": 0,
    "removed": 0,
}
WELL = {"failures": 0}
OFF = {"push": "off", "pushFailures": 0}


def mailbox(**fields) -> Mailbox:
    return Mailbox(id=BOX, account_id="acme", address="sales@acme.example", connected_at=NOW, version="e", **fields)


PUSH = {
    "never subscribed": (OFF, Push()),
    "let go, and Graph may have some": (
        OFF | {"pushReason": "graph_unavailable"},
        Push(PushState.OFF, "graph_unavailable"),
    ),
    "trusted": ({"push": "healthy", "pushFailures": 0}, Push(PushState.TRUSTED)),
    "tried again at a time": (
        {"push": "degraded", "pushReason": "handshake_failed", "pushRetryAt": NOW, "pushFailures": 2},
        Push(PushState.DEGRADED, "handshake_failed", NOW, 2),
    ),
    "silent, and made anew at a time": (
        {"push": "degraded", "pushReason": "silent", "pushRetryAt": NOW, "pushFailures": 1},
        Push(PushState.DEGRADED, "silent", NOW, 1),
    ),
    "silent, and made anew": (
        {"push": "degraded", "pushReason": "silent", "pushFailures": 1},
        Push(PushState.SILENT, "silent", failures=1),
    ),
    "lost": (
        {"push": "degraded", "pushReason": "signing_key_dropped", "pushFailures": 0},
        Push(PushState.LOST, "signing_key_dropped"),
    ),
    "a reason of another version": (
        {"push": "degraded", "pushReason": "unheard_of", "pushFailures": 0},
        Push(PushState.LOST, "unheard_of"),
    ),
}


@pytest.mark.parametrize(("columns", "push"), PUSH.values(), ids=PUSH.keys())
def test_push_has_the_columns_that_it_always_had(columns, push):
    row = ROW | WELL | columns
    assert mailbox_rows.read(Entity(row, "e")) == mailbox(push=push)
    assert mailbox_rows.write(mailbox(push=push)) == row


ERRORS = {
    "none": (WELL, None),
    "an error": (
        {"lastErrorAt": NOW, "lastErrorReason": "graph_throttled", "lastErrorMessage": "Wait.", "failures": 3},
        LastError(NOW, "graph_throttled", "Wait.", 3),
    ),
    "without words": (
        {"lastErrorAt": NOW, "lastErrorReason": "graph_throttled", "failures": 1},
        LastError(NOW, "graph_throttled", ""),
    ),
    "a reason of another version": (
        {"lastErrorAt": NOW, "lastErrorReason": "unheard_of", "lastErrorMessage": "?", "failures": 0},
        LastError(NOW, "unheard_of", "?", 0),
    ),
}


@pytest.mark.parametrize(("columns", "error"), ERRORS.values(), ids=ERRORS.keys())
def test_the_last_error_has_the_columns_that_it_always_had(columns, error):
    row = ROW | OFF | columns
    assert mailbox_rows.read(Entity(row, "e")) == mailbox(last_error=error)
    assert mailbox_rows.write(mailbox(last_error=error)) == row


def test_a_row_from_before_push_is_read():
    assert mailbox_rows.read(Entity(ROW | WELL, "e")) == mailbox()
