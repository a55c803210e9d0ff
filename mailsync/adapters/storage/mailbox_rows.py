"""The table `mailboxes` as data. Operators look at it, so its properties are named for them. Pure functions."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from mailsync.adapters.storage.entities import Entity, Properties
from mailsync.mailboxes.ids import shard
from mailsync.mailboxes.records import Folder, Lease, Looking, Mailbox, MailboxState, PushState

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
    "lastErrorAt": "last_error_at",
    "lastErrorReason": "last_error_reason",
    "lastErrorMessage": "last_error_message",
    "failures": "failures",
    "deniedSince": "denied_since",
    "denials": "denials",
    "messages": "messages",
    "removed": "removed",
    "pushReason": "push_reason",
    "pushRetryAt": "push_retry_at",
    "pushFailures": "push_failures",
    "lastNotificationAt": "last_notification_at",
    "tokenHolder": "token_holder",
    "tokenHeldUntil": "token_held_until",
    "reservedUntil": "reserved_until",
}
"""Property by field, of those that are stored as they are."""


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
    values["push"] = mailbox.push.value
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
        push=PushState(row.get("push", PushState.OFF)),
        folders=tuple(msgspec.json.decode(text, type=Folder) for text in folders),
        looking=msgspec.json.decode(row["looking"], type=Looking) if "looking" in row else None,
        lease=Lease(row["leaseOwner"], row["leaseStartedAt"], row["leaseExpiresAt"]) if "leaseOwner" in row else None,
        version=entity.etag,
        **({"account_id": "", "address": ""} | fields),
    )
    return replace(mailbox, due_key=due_key(mailbox))


def _folder_names(row: Properties) -> list[str]:
    count = sum(name.startswith("folder") for name in row)
    return [f"folder{number}" for number in range(count)]
