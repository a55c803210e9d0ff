"""Hints as queue messages, checked when they are read: anybody who may write to the queue can send one. Pure."""

from datetime import timedelta

import msgspec

from mailsync.clock import Clock, utc_now
from mailsync.errors import Rejected
from mailsync.mailboxes.ids import is_mailbox_id
from mailsync.reasons import Reason
from mailsync.schedule.records import Hint

LONGEST_AHEAD = timedelta(hours=1)
"""How far a hint's time may lie in the future: the clocks of two instances differ by less."""

_YEARS = range(2020, 9999)
"""Years in which a hint's time may lie. At the ends of the calendar, times of two zones cannot be compared."""


def encode_hint(hint: Hint) -> str:
    """The hint as JSON. On the wire it is base64, which the Functions host expects."""
    return msgspec.json.encode(hint).decode()


def decode_hint(body: bytes | str, clock: Clock = utc_now) -> Hint:
    """The hint of a message, every field of which is within its bounds. Raises Rejected `bad_hint`."""
    try:
        hint = msgspec.json.decode(body, type=Hint)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Rejected(Reason.BAD_HINT, "The queue message is not a hint.") from error
    if not is_mailbox_id(hint.mailbox_id) or hint.at.tzinfo is None:
        raise Rejected(Reason.BAD_HINT, "The queue message names no mailbox, or a time without its zone.")
    if hint.at.year not in _YEARS or hint.at > clock() + LONGEST_AHEAD:
        raise Rejected(Reason.BAD_HINT, "The queue message is of a time that cannot be.")
    return hint


def decode_poison(body: bytes | str) -> Hint | None:
    """The hint of a message that failed too often; None where the message never was a hint."""
    try:
        return decode_hint(body)
    except Rejected:
        return None
