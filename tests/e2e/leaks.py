"""Looks for secrets where none may be: raw, percent-encoded and in base64."""

import base64
from urllib.parse import quote

from tests.e2e.storage import blobs, queue_messages, table_rows

_LONGEST = 60
_FRAGMENT = 40


def forms(secret):
    """Every text that gives a secret away. Of a long one its two ends do, so that a cut copy is found as well."""
    pieces = {secret}
    if len(secret) > _LONGEST:
        body = secret.rpartition(".")[2] if secret.count(".") == 2 else secret  # of a JWT the signature is its own
        pieces = {body[:_FRAGMENT], body[-_FRAGMENT:]}
    for piece in pieces:
        yield piece.encode()
        yield quote(piece, safe="").encode()
        yield from _base64(piece.encode())


def _base64(text):
    """What is the same in base64 whatever stands before and after the text, for each place it may begin at."""
    for skipped in range(3):
        whole = base64.b64encode(b"\0" * skipped + text)
        start = (skipped * 8 + 5) // 6
        inner = whole[start : (skipped + len(text)) * 8 // 6]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


def places(product, home):
    """(name, bytes) of all that the product and its sandbox have written; keys and certificates are meant to be."""
    for path in sorted(home.rglob("*")):
        if path.is_file() and path.name != "keys.json" and path.parent.name != "certificates":
            yield str(path.relative_to(home)), path.read_bytes()
    for table, row in table_rows(product):
        yield f"table {table}", repr(row).encode()
    for queue, text in queue_messages(product):
        yield f"queue {queue}", text.encode()
    for name, content in blobs(product):
        yield f"blob {name}", content


def leaks(secrets, found_places):
    """(place, the secret's beginning) of every secret that is found."""
    patterns = [(form, secret) for secret in secrets for form in forms(secret)]
    return sorted(
        {(name, f"{secret[:6]}…") for name, content in found_places for form, secret in patterns if form in content}
    )
