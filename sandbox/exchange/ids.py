"""Ids that look like Exchange's: base64 with `-`, `_` and `=`, case-sensitive, fixed by where they belong.

https://learn.microsoft.com/graph/outlook-immutable-id
"""

import base64
import hashlib


def _opaque(prefix: str, size: int, *seed: object) -> str:
    """Base64url that looks like Exchange's: a constant beginning, then bytes that only `seed` decides."""
    digest = hashlib.shake_128("/".join(map(str, seed)).encode()).digest(size)
    return prefix + base64.urlsafe_b64encode(digest).decode()


def message_id(mailbox: str, number: int, moves: int | None) -> str:
    """A message id; `moves` None for the immutable kind.

    Ids are case-sensitive, so two neighbours share theirs but for the case of one letter: whoever folds case
    anywhere confuses them.
    """
    letter = "q" if number % 2 else "Q"
    if moves is None:
        return f"{_opaque('AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A', 30, mailbox, number // 2)}{letter}_AAA="
    return f"{_opaque('AAMkAG', 105, mailbox, number // 2, moves)}{letter}AAA="


def folder_id(user_id: str, number: int | str) -> str:
    """The id of a folder: one kind only, since containers have no immutable ids."""
    return f"{_opaque('AAMkAG', 78, user_id, 'folder', number)}AAA="


def conversation_id(mailbox: str, number: int) -> str:
    """The id of the conversation that message `number` began."""
    return f"{_opaque('AAQkAG', 48, mailbox, 'conversation', number)}AAQAA=="


def change_key(number: int, version: int) -> str:
    """The version of a message, of which its ETag is made."""
    return base64.b64encode(hashlib.shake_128(f"{number}/{version}".encode()).digest(22)).decode()
