"""The clock of everything that is not a test."""

from collections.abc import Callable
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present, as an aware UTC datetime."""
    return datetime.now(UTC)


Clock = Callable[[], datetime]
"""The present, as an aware UTC datetime."""
