"""Everything the stand-in knows, in memory: one `World` is one Microsoft cloud of its own."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import constants
from sandbox.control.faults import Faults
from sandbox.entra.directory import AppRegistration, ManagedIdentity, Tenant, User
from sandbox.entra.grants import Grants
from sandbox.exchange.mailboxes import Mailbox
from sandbox.key_vault.state import Vault
from sandbox.microsoft365.clock import Clock
from sandbox.push.notifications import Push

CONSUMER_DOMAINS = frozenset({"outlook.com", "hotmail.com", "live.com"})
"""Domains of personal Microsoft accounts."""

_NAMESPACE = uuid.UUID("5f1d7a52-6f0e-4d0c-8a52-9c1a3f0b7e11")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Base addresses, without a slash at the end. `graph` carries the version."""

    entra: str
    graph: str
    key_vault: str
    control: str


def new_signing_key() -> rsa.RSAPrivateKey:
    """An RSA key for a world's tokens; making one takes a moment, so tests share theirs."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(slots=True)
class World:
    """All state of the stand-in.

    `user_consent_allowed`: what tenants begin with, see `Tenant`.
    `addresses` is set by the server. `vault_officers`: principal ids with the role Key Vault Secrets Officer.
    `signed_tokens`: every JWT that was issued.
    """

    signing_key: rsa.RSAPrivateKey = field(default_factory=new_signing_key, repr=False)
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    app: AppRegistration = field(default_factory=AppRegistration)
    identities: list[ManagedIdentity] = field(default_factory=lambda: [ManagedIdentity()])
    tenants: dict[str, Tenant] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    user_consent_allowed: bool | None = None
    access_token_lifetime: timedelta = timedelta(minutes=60)
    signed_tokens: list[str] = field(default_factory=list, repr=False)
    addresses: Addresses = field(default_factory=lambda: Addresses("", "", "", ""))
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    vault_officers: set[str] = field(default_factory=lambda: {constants.MANAGED_IDENTITY_PRINCIPAL_ID})
    grants: Grants = field(init=False)
    vault: Vault = field(init=False)
    push: Push = field(init=False)

    def __post_init__(self) -> None:
        self.grants = Grants(self.clock)
        self.vault = Vault(self.clock)
        self.push = Push(self.clock, self.faults, self.grants, lambda user_id: self.users[user_id].user_principal_name)
        self.tenant(constants.HOME_TENANT_ID)

    def now(self) -> datetime:
        """The stand-in's present."""
        return self.clock.now()

    def tenant(self, tenant_id: str) -> Tenant:
        """The tenant of that id, created where it is missing. Raises ValueError for an id that is no GUID."""
        tenant_id = str(uuid.UUID(tenant_id))
        new = Tenant(tenant_id, user_consent_allowed=self.user_consent_allowed)
        return self.tenants.setdefault(tenant_id, new)

    def tenant_of_domain(self, domain: str) -> Tenant | None:
        """The tenant that has proved it owns the domain, or None."""
        return next((tenant for tenant in self.tenants.values() if domain in tenant.domains), None)

    def find_user(self, address: str, tenant_id: str | None = None) -> User | None:
        """The user who signs in with that address: by user principal name, guests by their own address."""
        address = address.casefold()
        users = [user for user in self.users.values() if tenant_id in (None, user.tenant_id)]
        for user in users:
            if user.user_principal_name.casefold() == address:
                return user
        return next((u for u in users if u.is_guest and (u.mail or "").casefold() == address), None)

    def mailbox(self, user: User) -> Mailbox:
        """The user's mailbox, created at first use."""
        if user.user_id not in self.mailboxes:
            self.mailboxes[user.user_id] = Mailbox(user.user_id, self.now, partial(self.push.changed, user.user_id))
        return self.mailboxes[user.user_id]

    def create_user(
        self,
        address: str,
        *,
        display_name: str | None = None,
        mail: str | None = None,
        tenant_id: str | None = None,
        guest: bool = False,
    ) -> User:
        """The user of that address (and tenant), created where it is missing.

        A domain belongs to one tenant, its own where none is named. `mail` other than the address is how a
        forged one is made; "" leaves it unset. A guest needs a tenant to be invited to.
        Raises ValueError for what no directory would hold.
        """
        address = address.strip()
        local, _, domain = address.rpartition("@")
        if not local or "." not in domain.strip("."):
            raise ValueError(f"{address!r} is not an address")
        if found := self.find_user(address, tenant_id):
            return found
        if guest:
            tenant = self._inviting_tenant(tenant_id)
            name = f"{local}_{domain}#EXT#@{tenant.initial_domain}"
        else:
            tenant, name = self._proved_tenant(domain.lower(), tenant_id), address
        user = User(
            tenant_id=tenant.tenant_id,
            user_id=str(uuid.uuid5(_NAMESPACE, f"{tenant.tenant_id}/{name.casefold()}")),
            user_principal_name=name,
            mail=address if mail is None else mail or None,
            display_name=display_name or local.replace(".", " ").title(),
        )
        self.users[user.user_id] = user
        return user

    def _inviting_tenant(self, tenant_id: str | None) -> Tenant:
        if tenant_id is None:
            raise ValueError("a guest needs the id of the tenant that invited it")
        return self.tenant(tenant_id)

    def _proved_tenant(self, domain: str, tenant_id: str | None) -> Tenant:
        owner = self.tenant_of_domain(domain)
        if owner and tenant_id not in (None, owner.tenant_id):
            raise ValueError(f"{domain} belongs to another tenant")
        if domain in CONSUMER_DOMAINS:
            tenant_id = constants.CONSUMER_TENANT_ID
        tenant = owner or self.tenant(tenant_id or str(uuid.uuid5(_NAMESPACE, domain)))
        tenant.domains.add(domain)
        return tenant
