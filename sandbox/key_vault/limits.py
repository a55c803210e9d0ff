"""The limits of a vault.

https://learn.microsoft.com/azure/key-vault/general/service-limits
"""

import math
import re
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta

from sandbox.key_vault.state import VaultError

WINDOW = timedelta(seconds=10)
SETS_IN_WINDOW = 300
OTHERS_IN_WINDOW = 4000

MAX_VALUE_BYTES = 25_000
"""The documents say 25k bytes and 25 KB; this is the harsher reading."""

MAX_TAGS = 15
MAX_TAG_LENGTH = 256
MAX_CONTENT_TYPE_LENGTH = 255

_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")


class Throttle:
    """Counts requests of the last ten seconds, secrets that are set apart from everything else."""

    def __init__(self) -> None:
        self._times: dict[bool, deque[datetime]] = {True: deque(), False: deque()}

    def wait(self, now: datetime, *, is_set: bool) -> int:
        """Seconds until another request is welcome; 0, and the request is counted, if it is so now."""
        times = self._times[is_set]
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) >= (SETS_IN_WINDOW if is_set else OTHERS_IN_WINDOW):
            return math.ceil((times[0] + WINDOW - now).total_seconds())
        times.append(now)
        return 0


def check_name(name: str) -> None:
    """Raises 400 for a name that no secret can have."""
    if not _NAME.fullmatch(name):
        raise VaultError(
            400,
            "BadParameter",
            f"The request URI contains an invalid name: {name}. A name is 1 to 127 letters, digits and hyphens.",
        )


def check_value(value: object) -> None:
    """Raises 400 for a value that is missing or too long; the message never holds it."""
    if not isinstance(value, str):
        raise VaultError(400, "BadParameter", "Property value is required.")
    if len(value.encode()) > MAX_VALUE_BYTES:
        raise VaultError(400, "BadParameter", f"The secret value exceeds {MAX_VALUE_BYTES} bytes.")


def check_content_type(content_type: object) -> None:
    """Raises 400 for a content type that is too long."""
    if content_type is not None and (not isinstance(content_type, str) or len(content_type) > MAX_CONTENT_TYPE_LENGTH):
        raise VaultError(400, "BadParameter", f"contentType is longer than {MAX_CONTENT_TYPE_LENGTH} characters.")


def check_tags(tags: object) -> None:
    """Raises 400 for too many tags, or one that is too long."""
    if not isinstance(tags, Mapping) or not all(isinstance(v, str) for v in tags.values()):
        raise VaultError(400, "BadParameter", "Property tags must map strings to strings.")
    if len(tags) > MAX_TAGS:
        raise VaultError(400, "BadParameter", f"There are more than {MAX_TAGS} tags.")
    if any(len(text) > MAX_TAG_LENGTH for pair in tags.items() for text in pair):
        raise VaultError(400, "BadParameter", f"A tag's name or value is longer than {MAX_TAG_LENGTH} characters.")
