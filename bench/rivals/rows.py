"""The two rows of a message as the program stores them, and their JSON: written anew, for scripts that have no more."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

MAILBOX = "aaaaaaaa-0000-4000-8000-00000000000a-bbbbbbbb-0000-4000-8000-00000000000b"
SELECT = (
    "internetMessageId,conversationId,parentFolderId,receivedDateTime,sentDateTime,subject,from,sender,replyTo,"
    "toRecipients,ccRecipients,importance,isRead,hasAttachments,webLink,body,bodyPreview,internetMessageHeaders"
)
_END = 253_402_300_799_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = 32_000
_TEXTS = ("internetMessageId", "conversationId", "subject", "importance", "webLink", "bodyPreview")
_PEOPLE = ("replyTo", "toRecipients", "ccRecipients")


def rows(message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A message of Graph's JSON as row and index entry; times as datetimes, long texts in parts."""
    received = datetime.fromisoformat(message["receivedDateTime"])
    columns: dict[str, Any] = {name: message[name] or "" for name in _TEXTS}
    columns |= {"isRead": message["isRead"], "hasAttachments": message["hasAttachments"]}
    columns |= {"receivedDateTime": received, "sentDateTime": datetime.fromisoformat(message["sentDateTime"])}
    columns |= {name: _json([entry["emailAddress"] for entry in message[name]], "address", "name") for name in _PEOPLE}
    author, body = message["from"]["emailAddress"], message["body"]
    columns |= {"fromAddress": author["address"], "fromName": author["name"]}
    columns |= {"senderAddress": message["sender"]["emailAddress"]["address"]}
    columns |= {"bodyContentType": body["contentType"], "body": body["content"]}
    columns |= {"headers": _json(message["internetMessageHeaders"], "name", "value")}
    return finished(columns, message["id"], message["parentFolderId"], received)


def finished(
    columns: dict[str, Any], message_id: str, folder_id: str, received: datetime
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Row and index entry of columns that are converted."""
    digest = hashlib.sha256(message_id.encode()).hexdigest()
    key = f"m{_END - (received - _EPOCH) // timedelta(milliseconds=1):015d}-{digest[:32]}"
    columns |= {"messageId": message_id, "parentFolderId": folder_id, "syncedDateTime": datetime.now(UTC)}
    row = {"PartitionKey": MAILBOX, "RowKey": key}
    for name, value in columns.items():
        if isinstance(value, str) and len(value) > _UNITS:
            row |= {f"{name}{number or ''}": part for number, part in enumerate(_parts(value))}
        else:
            row[name] = value
    row |= {"generation": 1, "removedGeneration": 0}
    return row, {"PartitionKey": MAILBOX, "RowKey": f"i{digest}", "messageId": message_id, "rowKey": key}


def encoded(row: dict[str, Any]) -> bytes:
    """A row as Table Storage takes it."""
    properties: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            properties[f"{name}@odata.type"] = "Edm.DateTime"
            properties[name] = value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        else:
            properties[name] = value
    return orjson.dumps(properties)


def _json(entries: list[dict[str, Any]], first: str, second: str) -> str:
    return orjson.dumps([{first: entry[first], second: entry[second]} for entry in entries]).decode()


def _parts(text: str) -> Iterator[str]:
    """The corpus is in ASCII, so that a character is a unit."""
    for start in range(0, len(text), _UNITS):
        yield text[start : start + _UNITS]
