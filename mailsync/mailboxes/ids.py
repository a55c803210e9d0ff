"""The identity of a mailbox: tenant id and user id, which no foreign tenant can forge."""

import re
from dataclasses import dataclass
from typing import Self

SHARDS = "0123456789abcdef"
"""The names of the shards: a mailbox belongs to the one that its id ends in."""

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_guid(text: str) -> bool:
    """Whether `text` is a GUID, lower case."""
    return _GUID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class MailboxId:
    """Tenant and user of a mailbox, each a GUID in lower case.

    It is kept, sent and compared as a text, `<tenant id>-<user id>`, and made a value where a part of it is wanted.
    """

    tenant: str
    user: str

    def __post_init__(self) -> None:
        """Raises ValueError where either is no such GUID."""
        if not (is_guid(self.tenant) and is_guid(self.user)):
            raise ValueError("tenant id and user id must be GUIDs")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that `text` is. Raises ValueError where it is none."""
        if text[36:37] != "-":
            raise ValueError("a mailbox id is two GUIDs with a hyphen between them")
        return cls(text[:36], text[37:])

    def __str__(self) -> str:
        return f"{self.tenant}-{self.user}"


def mailbox_id(tenant_id: str, user_id: str) -> str:
    """The id of a user's mailbox, as a text. Raises ValueError where either is not a GUID."""
    return str(MailboxId(tenant_id.lower(), user_id.lower()))


def is_mailbox_id(text: str) -> bool:
    """Whether `text` is a mailbox id."""
    try:
        MailboxId.parse(text)
    except ValueError:
        return False
    return True


def shard(mailbox_id: str) -> str:
    """Which of SHARDS a mailbox belongs to."""
    return mailbox_id[-1]
