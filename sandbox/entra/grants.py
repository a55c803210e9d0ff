"""Consents, authorization codes and refresh tokens."""

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.microsoft365.clock import Clock

CODE_LIFETIME = timedelta(minutes=10)
"""https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow"""

REFRESH_TOKEN_LIFETIME = timedelta(days=90)
"""https://learn.microsoft.com/entra/identity-platform/refresh-tokens"""


@dataclass(slots=True)
class Grant:
    """A user's consent to the app, from one consent until it is revoked. Tokens name it by `grant_id`."""

    user_id: str
    scopes: frozenset[str]
    grant_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(slots=True)
class AuthorizationCode:
    """An authorization code and what the token request must match."""

    user_id: str
    grant_id: str
    scopes: frozenset[str]
    redirect_uri: str
    code_challenge: str
    nonce: str | None
    expires_at: datetime
    redeemed: bool = False


@dataclass(slots=True)
class RefreshToken:
    """A refresh token; using it makes another and leaves this one valid. `redeemed`: it has been used."""

    user_id: str
    grant_id: str
    scopes: frozenset[str]
    expires_at: datetime
    redeemed: bool = False


@dataclass(slots=True)
class Grants:
    """All consents with the codes and tokens that came of them. Codes and tokens are kept out of `repr`.

    `reused`: how often a refresh token was refused because it had been redeemed.
    """

    clock: Clock
    reused: int = 0
    _grants: dict[str, Grant] = field(default_factory=dict)
    _codes: dict[str, AuthorizationCode] = field(default_factory=dict, repr=False)
    _refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict, repr=False)

    def of_user(self, user_id: str) -> Grant | None:
        """The grant that is in force, or None."""
        return self._grants.get(user_id)

    def consent(self, user_id: str, scopes: frozenset[str]) -> Grant:
        """Adds scopes to the user's grant, which begins anew where there is none."""
        grant = self._grants.setdefault(user_id, Grant(user_id, frozenset()))
        grant.scopes |= scopes
        return grant

    def revoke(self, user_id: str) -> bool:
        """Ends the grant and with it every code and token of it; False where there was none."""
        return self._grants.pop(user_id, None) is not None

    def in_force(self, user_id: str, grant_id: str) -> bool:
        """Whether that grant of the user has not been revoked."""
        grant = self._grants.get(user_id)
        return grant is not None and grant.grant_id == grant_id

    def issue_code(
        self, grant: Grant, *, scopes: frozenset[str], redirect_uri: str, code_challenge: str, nonce: str | None
    ) -> str:
        """A new authorization code."""
        code = f"1.{secrets.token_urlsafe(96)}"
        expires_at = self.clock.now() + CODE_LIFETIME
        self._codes[code] = AuthorizationCode(
            grant.user_id, grant.grant_id, scopes, redirect_uri, code_challenge, nonce, expires_at
        )
        return code

    def code(self, code: str) -> AuthorizationCode | None:
        """What is known of a code, used or not, or None."""
        return self._codes.get(code)

    def issue_refresh_token(self, user_id: str, grant_id: str, scopes: frozenset[str]) -> str:
        """A new refresh token, valid for 90 days."""
        token = f"1.{secrets.token_urlsafe(192)}"
        self._refresh_tokens[token] = RefreshToken(user_id, grant_id, scopes, self.clock.now() + REFRESH_TOKEN_LIFETIME)
        return token

    def secrets(self) -> list[str]:
        """Every code and refresh token that was ever issued."""
        return [*self._codes, *self._refresh_tokens]

    def refresh_token(self, token: str) -> RefreshToken | None:
        """What is known of a refresh token, expired or revoked or not, or None."""
        return self._refresh_tokens.get(token)

    def counts(self) -> dict[str, int]:
        """How many refresh tokens were issued and redeemed, and how often one was refused because it was redeemed."""
        redeemed = sum(token.redeemed for token in self._refresh_tokens.values())
        return {"issued": len(self._refresh_tokens), "redeemed": redeemed, "reused": self.reused}
