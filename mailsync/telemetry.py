"""What the program emits: one log line an event, its name first, then `key=value` pairs.

Application Insights receives the lines as traces; the alerts and the workbook in `infra/` query them by
these names, and a test holds the two together.
"""

import base64
import logging
import secrets
import time
from collections.abc import Callable
from enum import StrEnum
from threading import Lock

_log = logging.getLogger("mailsync")


class Event(StrEnum):
    """Every event name."""

    MAILBOX_CONNECTED = "mailbox_connected"
    MAILBOX_DISCONNECTED = "mailbox_disconnected"
    CONNECT_REFUSED = "connect_refused"
    SYNC_COMPLETED = "sync_completed"
    SYNC_SKIPPED = "sync_skipped"
    SYNC_DEFERRED = "sync_deferred"
    SYNC_RESET = "sync_reset"
    SYNC_FAILED = "sync_failed"
    SYNC_POISONED = "sync_poisoned"
    ROW_REFUSED = "row_refused"
    MESSAGE_REFUSED = "message_refused"
    HISTORY_SHORT = "history_short"
    DELTA_ENDLESS = "delta_endless"
    NEEDS_RECONNECT = "needs_reconnect"
    MISCONFIGURED = "misconfigured"
    POLL_TICK = "poll_tick"
    KEY_VAULT_THROTTLED = "key_vault_throttled"
    TOKEN_UNSAVED = "token_unsaved"  # noqa: S105 - an event's name
    NOTIFICATIONS_ACCEPTED = "notifications_accepted"
    NOTIFICATIONS_FORGED = "notifications_forged"
    NOTIFICATIONS_NOT_QUEUED = "notifications_not_queued"
    PUSH_DEGRADED = "push_degraded"
    SIGNING_KEY_ROTATED = "signing_key_rotated"
    UNEXPECTED_ERROR = "unexpected_error"


_LEVELS = {
    Event.CONNECT_REFUSED: logging.WARNING,
    Event.SYNC_FAILED: logging.WARNING,
    Event.SYNC_POISONED: logging.ERROR,
    Event.ROW_REFUSED: logging.ERROR,
    Event.MESSAGE_REFUSED: logging.ERROR,
    Event.HISTORY_SHORT: logging.WARNING,
    Event.DELTA_ENDLESS: logging.WARNING,
    Event.NEEDS_RECONNECT: logging.WARNING,
    Event.MISCONFIGURED: logging.ERROR,
    Event.KEY_VAULT_THROTTLED: logging.WARNING,
    Event.TOKEN_UNSAVED: logging.WARNING,
    Event.NOTIFICATIONS_FORGED: logging.WARNING,
    Event.NOTIFICATIONS_NOT_QUEUED: logging.WARNING,
    Event.PUSH_DEGRADED: logging.WARNING,
    Event.UNEXPECTED_ERROR: logging.ERROR,
}


def emit(event: Event, **fields: object) -> None:
    """Logs one event. Values are ids, codes, counts and times; never content, addresses or secrets.

    `detail`: the error's own sentence, in events that tell of an error.
    """
    pairs = [f"{name}={_plain(value)}" for name, value in fields.items() if value is not None]
    _log.log(_LEVELS.get(event, logging.INFO), "%s", " ".join([event.value, *pairs]))


def new_reference(random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A short name for one occurrence, by which the log line of what a page tells can be found."""
    return base64.b32encode(random(5)).decode()


class Tally:
    """Adds up what may come in floods, and says when it is time to tell the sum. For one thread.

    `seconds`: the time between two tellings, at the least, in the long run. `burst`: tellings that may come at once.
    """

    def __init__(self, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic, *, burst: int = 1) -> None:
        self._seconds = seconds
        self._ahead = seconds * (burst - 1)
        self._clock = clock
        self._next = clock()
        self._sum = 0

    def add(self, number: int) -> int:
        """Adds to the sum. Returns the sum where it is time to tell it, and begins anew; else 0."""
        self._sum += number
        now = self._clock()
        if not self._sum or now < self._next - self._ahead:
            return 0
        told, self._sum, self._next = self._sum, 0, max(self._next, now) + self._seconds
        return told


class Tallies:
    """For events that strangers can cause as often as they like: a line now and then, with how many it stands for.

    Threads may share it. `burst`: how many of a kind have a line of their own before they are added up.
    """

    def __init__(self, burst: int = 1) -> None:
        self._burst = burst
        self._tallies: dict[tuple[Event, str], Tally] = {}
        self._lock = Lock()

    def emit(self, event: Event, kind: str, **fields: object) -> None:
        """Adds one; logs the event with its `fields` and `count` where it is time to.

        Each event and kind is told by itself. A kind is a word of the program's own, so that there are few.
        """
        with self._lock:
            count = self._tallies.setdefault((event, kind), Tally(burst=self._burst)).add(1)
        if count:
            emit(event, count=count, **fields)


def _plain(value: object) -> str:
    """One token a value: no space, `=` or control character can start a second pair or line; "-" for none.

    A line must not end in a blank: Application Insights would cut it off.
    """
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return "".join(c if c.isprintable() and c != " " else "_" for c in text).replace("=", ":")[:300] or "-"
