"""Rows for the eye: one line a message, as wide as a terminal."""

import shutil
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

_WIDTHS = (19, 28)


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """One line for each message row: received, from, subject."""
    return "\n".join(map(line, rows))


def line(row: Mapping[str, Any]) -> str:
    """One message row in one line."""
    received = str(row.get("receivedDateTime", ""))[:19].replace("T", " ")
    sender = row.get("fromName") or row.get("fromAddress") or ""
    subject = row.get("subject") or "(no subject)"
    room = max(20, shutil.get_terminal_size().columns - sum(_WIDTHS) - 6)
    return "  ".join((fit(received, _WIDTHS[0]), fit(str(sender), _WIDTHS[1]), fit(str(subject), room).rstrip()))


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells, cut or filled; East Asian wide characters take two."""
    shown, used = "", 0
    for character in text:
        cells = _cells(character)
        if used + cells > width:
            break
        shown += character if character.isprintable() else " "
        used += cells
    return shown + " " * (width - used)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
