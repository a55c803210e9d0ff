"""Rows for the eye: one line a message, as wide as the terminal."""

import shutil
import unicodedata
from collections.abc import Mapping
from typing import Any

from mailsync.terminal import plain

_RECEIVED, _FROM = 19, 22
_WITHOUT_TERMINAL = (100, 24)


def line(row: Mapping[str, Any], before: str = "") -> str:
    """One message row in one line, with a text before it."""
    received = str(row.get("receivedDateTime", ""))[:_RECEIVED].replace("T", " ")
    sender = str(row.get("fromName") or row.get("fromAddress") or "")
    subject = str(row.get("subject") or "(no subject)")
    room = max(20, shutil.get_terminal_size(_WITHOUT_TERMINAL).columns - _RECEIVED - _FROM - 6 - len(before))
    return f"{before}{fit(received, _RECEIVED)}  {fit(sender, _FROM)}  {fit(subject, room).rstrip()}"


def counted(number: int, noun: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells, cut or filled; East Asian wide characters take two."""
    shown, used = "", 0
    for character in text:
        cells = _cells(character)
        if used + cells > width:
            break
        shown += plain(character)
        used += cells
    return shown + " " * (width - used)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
