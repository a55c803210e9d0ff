"""The clientState of a subscription: says whose it is, and proves that this program wrote it.

Basic notifications carry no token, so this text, which Graph repeats in each of them, is all that shows that one
is genuine: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks. It is
`<key id>.<tenant id and user id, 32 bytes>.<nonce>.<HMAC-SHA256 of what stands before>`, in base64url, so nothing
needs to be looked up to check it. It has at most 127 characters; Graph keeps 128.
"""

import base64
import hmac
import re
from collections.abc import Callable
from uuid import UUID

from mailsync.mailboxes.ids import MailboxId
from mailsync.push.ports import SigningKeys

FindKey = Callable[[str], bytes | None]
"""`SigningKeys.find`, or `find_in_memory`."""

_PURPOSE = b"siftrock-inbox-connector clientState 1\n"
"""Signed together with the text, so that no signature made for another purpose is good here."""

_NONCE = re.compile(r"[A-Za-z0-9_-]{1,22}")
_FORM = re.compile(r"(([A-Za-z0-9]{1,16})\.([A-Za-z0-9_-]{43})\.[A-Za-z0-9_-]{1,22})\.[A-Za-z0-9_-]{43}")


def make(keys: SigningKeys, mailbox_id: str, nonce: str) -> tuple[str, str]:
    """The clientState of one subscription, and the id of the key that signed it.

    `nonce`: up to 22 characters of base64url, another one for each subscription. Raises what `keys` raises.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce has 1 to 22 characters of base64url")
    key_id, key = keys.current()
    owner = MailboxId.parse(mailbox_id)
    signed = f"{key_id}.{_text(UUID(owner.tenant).bytes + UUID(owner.user).bytes)}.{nonce}"
    return f"{signed}.{_signature(key, signed)}", key_id


def verify(find: FindKey, text: str) -> str | None:
    """The mailbox id that a genuine clientState names, else None. Raises what `find` raises."""
    found = _FORM.fullmatch(text)
    if not found:
        return None
    signed, key_id, owner = found.groups()
    key = find(key_id)
    # The whole text is compared: base64url has several spellings of the same bytes, and only ours is good.
    if key is None or not hmac.compare_digest(text, f"{signed}.{_signature(key, signed)}"):
        return None
    ids = base64.urlsafe_b64decode(f"{owner}=")
    return str(MailboxId(str(UUID(bytes=ids[:16])), str(UUID(bytes=ids[16:]))))


def nonce(text: str) -> str:
    """The nonce of a genuine clientState."""
    return text.split(".")[2]


def _signature(key: bytes, signed: str) -> str:
    return _text(hmac.digest(key, _PURPOSE + signed.encode(), "sha256"))


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
