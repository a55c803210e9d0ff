"""A Siftrock account."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Account:
    """A Siftrock account and the inboxes it admits: exact addresses, domains, and whom they are pinned to so far."""

    id: str
    name: str
    addresses: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    tenant_ids: Mapping[str, str] = field(default_factory=dict)
    """Pinned tenant id by domain."""
    mailbox_ids: Mapping[str, str] = field(default_factory=dict)
    """Pinned mailbox id, which is tenant and user, by exact address."""
