"""The table `mailboxes` as data. Operators look at it, so its properties are named for them. Pure functions."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from mailsync.adapters.storage.entities import Entity, Properties
from mailsync.mailboxes.ids import shard
from mailsync.mailboxes.records import Folder, LastError, Lease, Looking, Mailbox, MailboxState, Push, PushState
from mailsync.reasons import Reason

_PLAIN = {
    "accountId": "account_id",
    "address": "address",
    "mail": "mail",
    "displayName": "display_name",
    "connectedAt": "connected_at",
    "grantedAt": "granted_at",
    "nextPollAt": "next_poll_at",
    "notBefore": "not_before",
    "lastSyncStartedAt": "last_sync_started_at",
    "lastSuccessAt": "last_success_at",
    "deniedSince": "denied_since",
    "denials": "denials",
    "messages": "messages",
    "removed": "removed",
    "lastNotificationAt": "last_notification_at",
    "tokenHolder": "token_holder",
    "tokenHeldUntil": "token_held_until",
    "reservedUntil": "reserved_until",
}
"""The record's field for each property that holds it as it is."""


def key(mailbox_id: str) -> str:
    """The RowKey of the record."""
    return f"mailbox-{mailbox_id}"


def due_prefix(moment: datetime) -> str:
    """The RowKey of an entry of the schedule without its mailbox id: sorts by time, to the millisecond."""
    utc = moment.astimezone(UTC)
    return f"due-{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03d}Z"


def due_key(mailbox: Mailbox) -> str | None:
    """The RowKey of the mailbox's entry in the schedule, None where it has no next poll."""
    return f"{due_prefix(mailbox.next_poll_at)}-{mailbox.id}" if mailbox.next_poll_at else None


def due_row(mailbox_id: str, due: str) -> Properties:
    """An entry of the schedule."""
    return {"PartitionKey": shard(mailbox_id), "RowKey": due, "mailboxId": mailbox_id}


def write(mailbox: Mailbox) -> Properties:
    """The record's row. What is None or empty has no property, so that replacing the row clears it."""
    values: dict[str, Any] = {name: getattr(mailbox, field) for name, field in _PLAIN.items()}
    values["state"] = mailbox.state.value
    push, error = mailbox.push, mailbox.last_error
    values |= {"push": push.state.shown, "pushReason": push.reason, "pushRetryAt": push.until}
    values |= {"pushFailures": push.failures, "failures": mailbox.failures}
    if error:
        values |= {"lastErrorAt": error.at, "lastErrorReason": error.reason, "lastErrorMessage": error.message}
    if mailbox.lease:
        values["leaseOwner"] = mailbox.lease.owner
        values["leaseStartedAt"] = mailbox.lease.started_at
        values["leaseExpiresAt"] = mailbox.lease.expires_at
    if mailbox.looking:
        values["looking"] = msgspec.json.encode(mailbox.looking).decode()
    for number, folder in enumerate(mailbox.folders):
        values[f"folder{number}"] = msgspec.json.encode(folder).decode()
    row = {name: value for name, value in values.items() if value not in (None, "")}
    return {"PartitionKey": shard(mailbox.id), "RowKey": key(mailbox.id)} | row


def read(entity: Entity) -> Mailbox:
    """The record of a row."""
    row = entity.properties
    fields = {field: row[name] for name, field in _PLAIN.items() if name in row}
    folders = (row[name] for name in _folder_names(row))
    mailbox = Mailbox(
        id=row["RowKey"].removeprefix("mailbox-"),
        state=MailboxState(row["state"]),
        push=_push(row),
        last_error=_last_error(row),
        folders=tuple(msgspec.json.decode(text, type=Folder) for text in folders),
        looking=msgspec.json.decode(row["looking"], type=Looking) if "looking" in row else None,
        lease=Lease(row["leaseOwner"], row["leaseStartedAt"], row["leaseExpiresAt"]) if "leaseOwner" in row else None,
        version=entity.etag,
        **({"account_id": "", "address": ""} | fields),
    )
    return replace(mailbox, due_key=due_key(mailbox))


def _push(row: Properties) -> Push:
    reason, until, failures = row.get("pushReason", ""), row.get("pushRetryAt"), row.get("pushFailures", 0)
    match row.get("push", "off"):
        case "off":
            return Push(PushState.OFF, reason)
        case "healthy":
            return Push(PushState.TRUSTED)
        case _ if until:
            return Push(PushState.DEGRADED, reason, until, failures)
        case _:
            state = PushState.SILENT if reason == Reason.SILENT else PushState.LOST
            return Push(state, reason, failures=failures)


def _last_error(row: Properties) -> LastError | None:
    if "lastErrorAt" not in row:
        return None
    reason, message = row.get("lastErrorReason", ""), row.get("lastErrorMessage", "")
    return LastError(row["lastErrorAt"], reason, message, row.get("failures", 0))


def _folder_names(row: Properties) -> list[str]:
    count = sum(name.startswith("folder") for name in row)
    return [f"folder{number}" for number in range(count)]
