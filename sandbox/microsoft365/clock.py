"""The time of the stand-in."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_FURTHEST = timedelta(days=3_660)


@dataclass(slots=True)
class Clock:
    """The time of the stand-in: the machine's, moved by `advance`."""

    _offset: timedelta = timedelta()

    def now(self) -> datetime:
        """The present, aware, UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        """Moves time on for everything but managed-identity tokens, which others check by the machine's clock.

        Raises ValueError where that would lead further than ten years away, where dates begin to run out.
        """
        offset = self._offset + timedelta(seconds=seconds)
        if abs(offset) > _FURTHEST:
            raise ValueError("the clock goes up to ten years ahead or back")
        self._offset = offset
