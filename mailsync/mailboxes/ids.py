"""The identity of a mailbox: tenant id and user id, which no foreign tenant can forge."""

import re

SHARDS = "0123456789abcdef"
"""The parts of the mailboxes and of their schedule, each by the last digit of the ids in it."""

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_guid(text: str) -> bool:
    """Whether `text` is a GUID, lower case."""
    return _GUID.fullmatch(text) is not None


def mailbox_id(tenant_id: str, user_id: str) -> str:
    """`<tenant id>-<user id>`, lower case: the identity that no foreign tenant can forge.

    Raises ValueError where either is not a GUID.
    """
    parts = tenant_id.lower(), user_id.lower()
    if not all(map(is_guid, parts)):
        raise ValueError("tenant id and user id must be GUIDs")
    return "-".join(parts)


def shard(mailbox_id: str) -> str:
    """Which of SHARDS a mailbox belongs to."""
    return mailbox_id[-1]


def is_mailbox_id(text: str) -> bool:
    """Whether `text` has the form that `mailbox_id` gives."""
    return len(text) == 73 and text[36] == "-" and all(map(is_guid, (text[:36], text[37:])))
