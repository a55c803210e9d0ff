"""Seals what a sign-in must remember under the secret that the browser alone holds.

The table keeps the sealed text, the browser keeps the secret in a cookie: neither opens without the other.
"""

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING

from mailsync.errors import Rejected
from mailsync.reasons import Reason

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SECRET_BYTES = 32
"""How many random bytes a browser secret has; as text it is base64url without padding."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def secret_text(random_bytes: bytes) -> str:
    """The form in which a secret goes into a cookie: base64url, which every cookie parser lets through."""
    return base64.urlsafe_b64encode(random_bytes).decode().rstrip("=")


def is_secret(text: str) -> bool:
    """Whether a text has the form of `secret_text`."""
    return _SECRET.fullmatch(text) is not None


def record_key(text: str) -> str:
    """The key of a record for a value that the table itself must not hold: its SHA-256, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def seal(secret: str, label: str, content: bytes) -> str:
    """Encrypts and authenticates `content` (Fernet); `label` keeps texts of one use from serving another."""
    return _fernet(secret, label).encrypt(content).decode()


def unseal(secret: str | None, label: str, sealed: str) -> bytes:
    """The content again. Raises Rejected `wrong_browser` where the secret is missing or another one."""
    from cryptography.fernet import InvalidToken

    message = "The sign-in was begun in another browser, or its cookie is missing."
    if secret is None or not is_secret(secret):
        raise Rejected(Reason.WRONG_BROWSER, message)
    try:
        return _fernet(secret, label).decrypt(sealed)
    except InvalidToken as error:
        raise Rejected(Reason.WRONG_BROWSER, message) from error


def _fernet(secret: str, label: str) -> "Fernet":
    from cryptography.fernet import Fernet

    # The secret is uniformly random, so one keyed hash is all the derivation it needs.
    key = hmac.digest(secret.encode(), label.encode(), "sha256")
    return Fernet(base64.urlsafe_b64encode(key))
