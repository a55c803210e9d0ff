"""How Graph's answers are read and times are written, for all adapters of Graph."""

from collections.abc import Callable
from datetime import UTC, datetime

from mailsync.adapters import json_reader
from mailsync.errors import GraphUnavailable


def read_answer[Content](operation: str, raw: bytes, decode: Callable[[bytes], Content]) -> Content:
    """Decodes an answer. Raises GraphUnavailable for one that is not what it should be: that is Graph's, and passes."""
    try:
        return decode(raw)
    except json_reader.Unreadable as error:
        raise GraphUnavailable(f"{operation}: the answer is not what Graph documents") from error


def time_text(value: datetime) -> str:
    """An Edm.DateTimeOffset; fractions only where there are some, as Graph's own times have none."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
