"""How an account's claims are written: one form for each address and domain, so that two spellings are one claim.

Pure functions, shared by the adapter and by the fake that stands for it.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from mailsync.accounts.records import Account
from mailsync.errors import Rejected
from mailsync.reasons import Reason

MOST_CLAIMS = 90
"""The most addresses and domains of one account: its rows are written in one transaction, which holds 100."""

_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9-]{1,63}\.)+(?=.*[a-z])[a-z0-9-]{1,63}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def normal_domain(text: str) -> str:
    """A domain in lower case and ASCII: by IDNA 2008, prepared as UTS 46 says, non-transitional.

    A domain that IDNA gives back otherwise than it was typed, except for case, is refused: with the characters that
    UTS 46 replaces or leaves out (ligatures, full-width letters, soft hyphens) it would be another domain than the eye
    reads. Raises Rejected `bad_domain`.

    https://www.unicode.org/reports/tr46/
    """
    import idna  # its tables are large, and no cold start needs them

    typed = unicodedata.normalize("NFC", text.strip().removesuffix("."))
    try:
        stored = idna.encode(typed, uts46=True, std3_rules=True, transitional=False).decode("ascii").lower()
        readable = idna.decode(stored)
    except UnicodeError as error:  # idna's own are of this kind
        raise _bad_domain(text) from error
    if typed.lower() not in (stored, readable) or not _DOMAIN.fullmatch(stored):
        raise _bad_domain(text)
    return stored


def normal_address(text: str) -> str:
    """An address in lower case, its domain as `normal_domain` has it. Raises Rejected `bad_address`."""
    local, at, domain = text.strip().rpartition("@")
    odd = any(c.isspace() or not c.isprintable() for c in local) or unicodedata.normalize("NFKC", local) != local
    if not (local and at) or "@" in local or odd or len(text) > 320:
        raise Rejected(Reason.BAD_ADDRESS, f"`{text}` is not an address.")
    try:
        return f"{local.lower()}@{normal_domain(domain)}"
    except Rejected as error:
        raise Rejected(Reason.BAD_ADDRESS, f"`{text}` is not an address.") from error


def normal_claim(text: str) -> str:
    """An address or a domain. Raises Rejected `bad_address`, `bad_domain`."""
    return normal_address(text) if "@" in text else normal_domain(text)


def normal_account(account: Account) -> Account:
    """The account as it is stored, each claim once. Raises Rejected where a part of it cannot be stored."""
    if not _ID.fullmatch(account.id):
        raise Rejected(Reason.BAD_ACCOUNT_ID, f"`{account.id}`: an account id has letters, digits, dots, - and _ only.")
    addresses = tuple(dict.fromkeys(map(normal_address, account.addresses)))
    domains = tuple(dict.fromkeys(map(normal_domain, account.domains)))
    if len(addresses) + len(domains) > MOST_CLAIMS:
        raise Rejected(Reason.TOO_MANY_CLAIMS, f"An account has {MOST_CLAIMS} addresses and domains at the most.")
    tenants = {normal_domain(domain): tenant.lower() for domain, tenant in account.tenant_ids.items()}
    mailboxes = {normal_address(address): identity.lower() for address, identity in account.mailbox_ids.items()}
    return replace(account, addresses=addresses, domains=domains, tenant_ids=tenants, mailbox_ids=mailboxes)


def released(account: Account, claim: str) -> Account:
    """The account with a claim's pin taken off. Raises Rejected `unknown_claim`, `not_pinned`."""
    claim = normal_claim(claim)
    if claim not in (*account.addresses, *account.domains):
        raise Rejected(
            Reason.UNKNOWN_CLAIM, f"Account {account.id} does not claim {claim}; `account list` shows what it does."
        )
    if claim not in (*account.tenant_ids, *account.mailbox_ids):
        raise Rejected(Reason.NOT_PINNED, f"{claim} is free already: nobody has connected by it since it was released.")
    return replace(
        account,
        tenant_ids={domain: tenant for domain, tenant in account.tenant_ids.items() if domain != claim},
        mailbox_ids={address: identity for address, identity in account.mailbox_ids.items() if address != claim},
    )


def id_taken(account_id: str) -> Rejected:
    """The refusal of a new account whose id another one has."""
    return Rejected(Reason.ALREADY_CLAIMED, f"The id {account_id} is taken; `account list` shows by whom.")


def claims_taken(holders: Mapping[str, str]) -> Rejected:
    """The refusal of claims that other accounts have. `holders`: account id by claim."""
    taken = ", ".join(f"{claim} belongs to account {holder}" for claim, holder in holders.items())
    return Rejected(Reason.ALREADY_CLAIMED, f"{taken}; each address and domain has one account.")


def unknown_account(account_id: str) -> Rejected:
    """The refusal of an id that no account has."""
    return Rejected(Reason.UNKNOWN_ACCOUNT, f"There is no account {account_id}; `account list` shows those that are.")


def _bad_domain(text: str) -> Rejected:
    return Rejected(Reason.BAD_DOMAIN, f"`{text}` is not a domain name, or not one that is stored as it was typed.")
