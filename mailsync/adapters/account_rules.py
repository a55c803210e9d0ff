"""How an account's claims are written: one form for each address and domain, so that two spellings are one claim.

Pure functions, shared by the adapter and by the fake that stands for it.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from mailsync.errors import Rejected
from mailsync.models import Account

MOST_CLAIMS = 90
"""Addresses and domains of one account: all its rows are written in one transaction of at most 100."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def normal_domain(text: str) -> str:
    """A domain in lower case and ASCII (IDNA). Raises Rejected `bad_domain`."""
    domain = text.strip().rstrip(".")
    try:
        ascii_form = domain.casefold().encode("idna").decode("ascii")
    except UnicodeError as error:
        raise Rejected("bad_domain", f"`{text}` is not a domain name.") from error
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", ascii_form) or len(ascii_form) > 253:
        raise Rejected("bad_domain", f"`{text}` is not a domain name.")
    return ascii_form


def normal_address(text: str) -> str:
    """An address, case folded, its domain as `normal_domain` has it. Raises Rejected `bad_address`."""
    local, at, domain = text.strip().rpartition("@")
    if not (local and at) or any(c.isspace() or not c.isprintable() for c in local) or len(text) > 320:
        raise Rejected("bad_address", f"`{text}` is not an address.")
    try:
        return f"{local.casefold()}@{normal_domain(domain)}"
    except Rejected as error:
        raise Rejected("bad_address", f"`{text}` is not an address.") from error


def normal_account(account: Account) -> Account:
    """The account as it is stored, each claim once. Raises Rejected where a part of it cannot be stored."""
    if not _ID.fullmatch(account.id):
        raise Rejected("bad_account_id", f"`{account.id}`: an account id has letters, digits, dots, - and _ only.")
    addresses = tuple(dict.fromkeys(map(normal_address, account.addresses)))
    domains = tuple(dict.fromkeys(map(normal_domain, account.domains)))
    if len(addresses) + len(domains) > MOST_CLAIMS:
        raise Rejected("too_many_claims", f"An account has {MOST_CLAIMS} addresses and domains at the most.")
    tenants = {normal_domain(domain): tenant.lower() for domain, tenant in account.tenant_ids.items()}
    return replace(account, addresses=addresses, domains=domains, tenant_ids=tenants)


def id_taken(account_id: str) -> Rejected:
    """The refusal of an id that an account has."""
    return Rejected("already_claimed", f"The id {account_id} is taken; `account list` shows by whom.")


def claims_taken(holders: Mapping[str, str]) -> Rejected:
    """The refusal of addresses and domains that accounts have: account ids by claim."""
    taken = ", ".join(f"{claim} belongs to account {holder}" for claim, holder in holders.items())
    return Rejected("already_claimed", f"{taken}; each address and domain has one account.")
