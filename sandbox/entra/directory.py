"""The objects of a directory: tenants, users, the app registration, managed identities."""

from dataclasses import dataclass, field

from sandbox import constants

DELEGATED_SCOPES = ("openid", "offline_access", "User.Read", "Mail.Read")
"""The delegated permissions of the app registration: nothing else can be asked for."""

KEPT_FROM_USERS = frozenset({"Mail.Read"})
"""Of those, what the Microsoft-managed consent policy, the default of a tenant, lets administrators alone grant.

https://learn.microsoft.com/entra/identity/enterprise-apps/manage-app-consent-policies
"""


@dataclass(slots=True)
class Tenant:
    """A directory. `admin_consented`: scopes an administrator granted for everybody in it.

    `user_consent_allowed`: whether its users may consent to any permission, or to none; None: the Microsoft-managed
    policy, under which they may to all but `KEPT_FROM_USERS`.
    """

    tenant_id: str
    domains: set[str] = field(default_factory=set)
    user_consent_allowed: bool | None = None
    admin_consented: frozenset[str] = frozenset()

    def lets_users_consent_to(self, scopes: frozenset[str]) -> bool:
        """Whether a user of it may grant all of these scopes."""
        allowed = self.user_consent_allowed
        return not scopes & KEPT_FROM_USERS if allowed is None else allowed

    @property
    def initial_domain(self) -> str:
        """The domain every tenant begins with."""
        return f"t{self.tenant_id[:8]}.onmicrosoft.com"


@dataclass(slots=True)
class User:
    """A user object of one tenant; `mail` is whatever an administrator put there, proved by nobody."""

    tenant_id: str
    user_id: str
    user_principal_name: str
    mail: str | None
    display_name: str
    user_consent_allowed: bool = True
    is_administrator: bool = False

    @property
    def is_guest(self) -> bool:
        """Whether the user was invited from another directory."""
        return "#EXT#" in self.user_principal_name


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Whose assertions the app registration accepts in place of a secret."""

    issuer_tenant_id: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


@dataclass(slots=True)
class AppRegistration:
    """The one app registration. `secrets` is empty unless a test wants the variant with a client secret."""

    client_id: str = constants.APP_CLIENT_ID
    tenant_id: str = constants.HOME_TENANT_ID
    display_name: str = "Siftrock Inbox Connector"
    redirect_uris: set[str] = field(default_factory=set)
    delegated_scopes: tuple[str, ...] = DELEGATED_SCOPES
    secrets: set[str] = field(default_factory=set, repr=False)
    federated_credentials: list[FederatedCredential] = field(
        default_factory=lambda: [
            FederatedCredential(constants.HOME_TENANT_ID, constants.MANAGED_IDENTITY_PRINCIPAL_ID),
        ]
    )


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """A user-assigned managed identity."""

    client_id: str = constants.MANAGED_IDENTITY_CLIENT_ID
    principal_id: str = constants.MANAGED_IDENTITY_PRINCIPAL_ID
    tenant_id: str = constants.HOME_TENANT_ID
