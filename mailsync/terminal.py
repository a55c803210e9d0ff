"""What commands print. Names and subjects are other people's, and a terminal obeys what they hold.

Control characters, those of C1 (https://www.unicode.org/charts/PDF/U0080.pdf) among them, move the cursor, rename the
window and answer in the user's place; bidirectional ones (https://www.unicode.org/reports/tr9/) make a line read as
another. None of them is printed: `say` is the one way by which a command's words come out, `to_json` that of its JSON.
"""

import argparse
import json
import sys
from typing import Never, TextIO


def plain(text: str) -> str:
    """The text with a question mark for each character that is not one to be shown; on one line, whatever it was."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def say(*lines: str, to: TextIO | None = None) -> None:
    """Prints lines, to standard output unless told otherwise."""
    print("\n".join(map(plain, lines)), file=to or sys.stdout, flush=True)


def to_json(value: object, indent: int = 2) -> str:
    """JSON in ASCII, in which no text holds a character that a terminal would obey."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


class Parser(argparse.ArgumentParser):
    """Reads a command's arguments; where they are wrong, it quotes them plainly."""

    def error(self, message: str) -> Never:
        """Ends the program with 2."""
        super().error(plain(message))
