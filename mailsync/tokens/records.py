"""What Entra asks for and gives: scopes, sign-ins begun, grants, and the token that is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

GRAPH_SCOPES = ("User.Read", "Mail.Read")
"""The delegated Graph permissions asked for."""

ALL_SCOPES = ("openid", "offline_access", *GRAPH_SCOPES)
"""Everything that is asked for at sign-in, and the whole of it."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A sign-in that has begun: where to send the browser, and MSAL's flow, which holds secrets."""

    url: str
    state: str = field(repr=False)
    flow: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint gave. `id_token_claims` are not yet checked; empty on refresh."""

    access_token: str = field(repr=False)
    expires_at: datetime
    refresh_token: str | None = field(repr=False)
    scopes: frozenset[str]
    id_token_claims: Mapping[str, object] = field(default_factory=dict, repr=False)


class StoredToken(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a mailbox's secret. `version` is that of this shape."""

    version: int = 1
    refresh_token: str
    scopes: tuple[str, ...]
    saved_at: datetime

    def __repr__(self) -> str:
        return f"StoredToken(version={self.version}, saved_at={self.saved_at.isoformat()})"
