"""The time of the stand-in."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(slots=True)
class Clock:
    """The time of the stand-in: the machine's, moved by `advance`."""

    _offset: timedelta = timedelta()

    def now(self) -> datetime:
        """The present, aware, UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        """Moves time on for everything but managed-identity tokens, which others check by the machine's clock."""
        self._offset += timedelta(seconds=seconds)
