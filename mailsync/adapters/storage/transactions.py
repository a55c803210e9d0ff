"""Entity group transactions on the wire: a batch of one changeset, and the answer to it. Pure functions.

A change is encoded by itself, once, so that whoever packs transactions knows its size; a transaction is put together
from changes that are encoded already.

https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions

The SDK builds and reads these with `email`, and lets the service send each inserted row back. This does neither:
docs/performance.md has the difference.
"""

import json
import re
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from mailsync.adapters.storage import entities
from mailsync.adapters.storage.entities import Change, path

_METHODS = {"create": "POST", "replace": "PUT", "upsert": "PUT", "merge": "PATCH", "delete": "DELETE"}
_STATUS = re.compile(rb"HTTP/1\.\d (\d{3})[^\r\n]*\r?\n")
_ETAG = re.compile(rb"^etag: *(\S+)\s*$", re.IGNORECASE | re.MULTILINE)
_BOUNDARY = re.compile(rb"boundary=\"?([^\s\"]+)")


class Part(NamedTuple):
    """The answer to one change: its status, the row's ETag where it has one, the service's code for an error."""

    status: int
    etag: str | None = None
    code: str = ""


def encode(change: Change, address: str) -> bytes:
    """One change. `address`: the table's own, such as https://account.table.core.windows.net/name."""
    row = change.row
    url = address if change.kind == "create" else path(address, row["PartitionKey"], row["RowKey"])
    lines = [f"{_METHODS[change.kind]} {url} HTTP/1.1", "Accept: application/json;odata=minimalmetadata"]
    lines += ["DataServiceVersion: 3.0"]
    if change.kind == "create":
        lines += ["Prefer: return-no-content"]
    if change.kind in ("merge", "delete") or change.etag:  # a merge without it would make the row where it is gone
        lines += [f"If-Match: {change.etag or '*'}"]
    if change.kind == "delete":
        return "\r\n".join([*lines, "", "", ""]).encode()
    content = entities.encode(row)
    lines += ["Content-Type: application/json", f"Content-Length: {len(content)}", "", ""]
    return b"%b%b\r\n" % ("\r\n".join(lines).encode(), content)


def size(encoded: bytes) -> int:
    """The bytes that a change takes in a transaction."""
    return len(encoded) + 200  # its boundary and the three headers before it


def together(changes: Sequence[bytes]) -> tuple[str, bytes]:
    """The content type and the body of a transaction of encoded changes."""
    batch, changeset = f"batch_{uuid.uuid4()}", f"changeset_{uuid.uuid4()}"
    pieces = [f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changeset}\r\n\r\n".encode()]
    for number, change in enumerate(changes):
        head = (
            f"--{changeset}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: {number}\r\n\r\n"
        )
        pieces += [head.encode(), change]
    pieces.append(f"--{changeset}--\r\n\r\n--{batch}--\r\n".encode())
    return f"multipart/mixed; boundary={batch}", b"".join(pieces)


def decode(body: bytes) -> list[Part]:
    """The parts in order; where the transaction failed, the one that says why. Raises ValueError."""
    boundary = _BOUNDARY.search(body)
    if boundary is None:
        raise ValueError("the answer to a transaction has no parts")
    parts = [_part(text) for text in body.split(b"--" + boundary[1])[1:-1]]
    if not parts:
        raise ValueError("the answer to a transaction has no parts")
    return parts


def _part(text: bytes) -> Part:
    start = _STATUS.search(text)
    if start is None:
        raise ValueError("a part of the answer to a transaction has no status")
    head, _, content = text[start.end() :].partition(b"\r\n\r\n")
    etag = _ETAG.search(head)
    status = int(start[1])
    return Part(status, etag[1].decode() if etag else None, "" if status < 300 else code_in(content))


def code_in(content: bytes) -> str:
    """The service's own code in the body of an error."""
    try:
        code = str(json.loads(content)["odata.error"]["code"])
    except (ValueError, KeyError, TypeError):
        return "no code"
    return code if code.isalnum() and code.isascii() else "no code"
