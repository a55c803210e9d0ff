"""The keys of rows in the table `messages`, which its readers rely on (docs/storage-schema.md). Pure."""

import hashlib
from datetime import UTC, datetime, timedelta

_END_OF_TIME = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z in milliseconds since 1970: no later time has four digits of year."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def row_key(received: datetime, message_id: str) -> str:
    """The RowKey of a message: newest first in key order, the same for the same message always."""
    return f"{_prefix(received)}-{digest(message_id)[:32]}"


def row_bound(since: datetime) -> str:
    """All messages received at `since` or later, and no others, have a RowKey below this."""
    return f"{_prefix(since)}."  # the full stop follows the hyphen


def index_key(message_id: str) -> str:
    """The RowKey of a message's index entry. Ids that differ in case only stay apart."""
    return f"i{digest(message_id)}"


def digest(message_id: str) -> str:
    """What stands for a message id in a name: 64 hex digits, for ids hold characters that keys must not."""
    return hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()


def _prefix(moment: datetime) -> str:
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return f"m{_END_OF_TIME - milliseconds:015d}"
