"""Where accounts are kept. Adapters and fakes satisfy this; `tests/contracts/` holds them to it."""

from collections.abc import Iterator
from typing import Protocol

from mailsync.accounts.records import Account


class AccountStore(Protocol):
    """Accounts and what they claim: an address or a domain belongs to one account at the most."""

    def add(self, account: Account) -> None:
        """Adds an account. Raises Rejected where the id, an address or a domain is taken."""
        ...

    def get(self, account_id: str) -> Account | None:
        """One account, or None."""
        ...

    def list(self) -> Iterator[Account]:
        """Every account, by id."""
        ...

    def claimed_by(self, address: str) -> tuple[Account, str | None] | None:
        """The account that admits `address`, with the domain by which it does, None for a claim to the very address.

        None alone where no account admits it.
        """
        ...

    def pin_tenant(self, account_id: str, domain: str, tenant_id: str) -> str:
        """Pins the tenant of a domain unless one is pinned; returns the pinned one, whoever was first."""
        ...

    def pin_mailbox(self, account_id: str, address: str, mailbox_id: str) -> str:
        """Pins the tenant and user of an exact address unless some are pinned; returns the pinned mailbox id."""
        ...

    def release(self, account_id: str, claim: str) -> Account:
        """Takes the pin off an address or domain, for the next who connects by it; returns the account.

        Raises Rejected where there is no such account or claim, or the claim is not pinned.
        """
        ...
