"""JSON on its way in, with its long texts cut, so that an answer of any length fits in memory."""

import codecs
import re

SHORTEST = 64 * 1024
"""Characters that every text may have."""

_TEXT = re.compile(r'(?:[^"\\]+|\\u.{4}|\\[^u])*', re.DOTALL)
"""As much of a text as holds no half of an escape."""


class TextCutter:
    """Passes JSON through piece by piece.

    A text may have a quarter as many characters as `budget` has bytes left, since a character takes up to four bytes;
    SHORTEST where that is more.

    `budget`: bytes of all that is kept; only texts of up to SHORTEST can exceed it. `cuts`: how many texts were cut.
    """

    def __init__(self, budget: int) -> None:
        self.cuts = 0
        self._left = budget
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._inside = False
        self._room = 0
        self._is_cut = False

    def feed(self, chunk: bytes) -> bytes:
        """What is kept of the next piece."""
        text = self._rest + self._decode(chunk)
        self._rest = ""
        kept, place = [], 0
        while place < len(text):
            part, place = self._within(text, place) if self._inside else self._between(text, place)
            kept.append(part)
        taken = "".join(kept).encode()
        self._left -= len(taken)
        return taken

    def _between(self, text: str, start: int) -> tuple[str, int]:
        """Structure, numbers and words up to the quotation mark that begins a text."""
        end = text.find('"', start) + 1
        self._inside = end > 0
        self._room = max(SHORTEST, self._left // 4)  # in characters, of up to four bytes
        self._is_cut = False
        end = end or len(text)
        return text[start:end], end

    def _within(self, text: str, start: int) -> tuple[str, int]:
        """A text up to its end, or up to the end of this piece."""
        end = _end(text, start, len(text))
        part = text[start:end]
        if len(part) > self._room:
            part = text[start : _end(text, start, start + self._room)]
            self.cuts += not self._is_cut
            self._room, self._is_cut = 0, True
        else:
            self._room -= len(part)
        if text.startswith('"', end):
            self._inside = False
            return part + '"', end + 1
        self._rest = text[end:]  # the beginning of an escape
        return part, len(text)


def _end(text: str, start: int, stop: int) -> int:
    match = _TEXT.match(text, start, stop)
    return match.end() if match else start
