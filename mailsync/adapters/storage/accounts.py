"""`AccountStore` on the table `accounts`: one partition, an account's row and one row for each of its claims."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import msgspec

from mailsync import optimistic
from mailsync.accounts.records import Account
from mailsync.accounts.rules import (
    claims_taken,
    id_taken,
    normal_account,
    normal_address,
    normal_domain,
    released,
    unknown_account,
)
from mailsync.adapters.storage.entities import Change, Entity, Properties
from mailsync.errors import Rejected, RetryLater, StaleWrite
from mailsync.reasons import Reason
from mailsync.settings import Storage

_PARTITION = "account"
_ATTEMPTS = 10


class TableAccountStore:
    """Accounts and what they claim. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        from mailsync.adapters.storage.tables import Table

        self._table = Table(storage, "accounts")

    def add(self, account: Account) -> None:
        """One transaction that only creates: a claim that another account has refuses the whole."""
        account = normal_account(account)
        claims = {_claim_key(claim): claim for claim in (*account.addresses, *account.domains)}
        changes = [Change("create", _row(account))]
        changes += [Change("create", _claim_row(key, claim, account.id)) for key, claim in claims.items()]
        try:
            self._table.transact(changes)
        except StaleWrite as error:
            raise self._refusal(account.id, claims) from error

    def _refusal(self, account_id: str, claims: dict[str, str]) -> Rejected:
        """Why an account could not be created: a point read for its id and, where that is free, for each claim."""
        if self.get(account_id):
            return id_taken(account_id)
        found = {claim: self._table.get(_PARTITION, key) for key, claim in claims.items()}
        return claims_taken({claim: row.properties["accountId"] for claim, row in found.items() if row})

    def get(self, account_id: str) -> Account | None:
        """One point read."""
        found = self._table.get(_PARTITION, f"account-{account_id}")
        return _account(found) if found else None

    def list(self) -> Iterator[Account]:
        """Reads the rows of accounts through, a page at a time; those of claims are left out."""
        condition = f"PartitionKey eq '{_PARTITION}' and RowKey ge 'account-' and RowKey lt 'account.'"
        return map(_account, self._table.query(condition))

    def claimed_by(self, address: str) -> tuple[Account, str | None] | None:
        """Two or three point reads."""
        try:
            address = normal_address(address)
        except Rejected:
            return None
        domain = address.rpartition("@")[2]
        for claim, by in ((address, None), (domain, domain)):
            if found := self._table.get(_PARTITION, _claim_key(claim)):
                account = self.get(found.properties["accountId"])
                if account:
                    return account, by
        return None

    def pin_tenant(self, account_id: str, domain: str, tenant_id: str) -> str:
        """A read, and a conditional write where none is pinned. Raises Rejected where there is no such account."""
        domain = normal_domain(domain)

        def pinned(account: Account) -> Account:
            return replace(account, tenant_ids={domain: tenant_id.lower()} | dict(account.tenant_ids))

        return self._change(account_id, pinned).tenant_ids[domain]

    def pin_mailbox(self, account_id: str, address: str, mailbox_id: str) -> str:
        """As `pin_tenant`."""
        address = normal_address(address)

        def pinned(account: Account) -> Account:
            return replace(account, mailbox_ids={address: mailbox_id.lower()} | dict(account.mailbox_ids))

        return self._change(account_id, pinned).mailbox_ids[address]

    def release(self, account_id: str, claim: str) -> Account:
        """A read and a conditional write."""
        return self._change(account_id, lambda account: released(account, claim))

    def _change(self, account_id: str, change: Callable[[Account], Account]) -> Account:
        """Changes an account's pins, whoever else does meanwhile."""

        def save(found: Entity | None) -> Account:
            if not found:
                raise unknown_account(account_id)
            known = _account(found)
            account = change(known)
            if account != known:
                self._table.replace(found.properties | _pins(account), found.etag)
            return account

        reread = partial(self._table.get, _PARTITION, f"account-{account_id}")
        contended = RetryLater(Reason.STORAGE_UNAVAILABLE, "The account is being written by too many at once.")
        return optimistic.write(reread(), save, reread, contended=contended, tries=_ATTEMPTS)


def _row(account: Account) -> Properties:
    return {
        "PartitionKey": _PARTITION,
        "RowKey": f"account-{account.id}",
        "name": account.name,
        "addresses": _json(account.addresses),
        "domains": _json(account.domains),
        **_pins(account),
    }


def _pins(account: Account) -> Properties:
    return {"tenantIds": _json(account.tenant_ids), "mailboxIds": _json(account.mailbox_ids)}


def _claim_row(key: str, claim: str, account_id: str) -> Properties:
    return {"PartitionKey": _PARTITION, "RowKey": key, "accountId": account_id, "claim": claim}


def _claim_key(claim: str) -> str:
    """Addresses may hold characters that keys may not, so their key is a hash; a domain is its own."""
    if "@" in claim:
        return f"address-{hashlib.sha256(claim.encode()).hexdigest()}"
    return f"domain-{claim}"


def _account(entity: Entity) -> Account:
    row = entity.properties
    return Account(
        id=row["RowKey"].removeprefix("account-"),
        name=row["name"],
        addresses=msgspec.json.decode(row["addresses"], type=tuple[str, ...]),
        domains=msgspec.json.decode(row["domains"], type=tuple[str, ...]),
        tenant_ids=msgspec.json.decode(row["tenantIds"], type=dict[str, str]),
        # Rows written before addresses were pinned lack the property: the next who connects by an address is pinned.
        mailbox_ids=msgspec.json.decode(row.get("mailboxIds", "{}"), type=dict[str, str]),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
