"""Entra and the vault. Adapters and fakes satisfy these; `tests/contracts/` holds them to it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from mailsync.tokens.records import AuthorizationRequest, Grant, StoredToken

GetToken = Callable[[], str]
"""Gives an access token that is good now."""


class Directory(Protocol):
    """Entra: sign-in and tokens."""

    def begin(self, redirect_uri: str) -> AuthorizationRequest:
        """Starts an authorization-code flow (PKCE, state, nonce, form_post) for exactly the four scopes."""
        ...

    def complete(self, flow: Mapping[str, object], answer: Mapping[str, str]) -> Grant:
        """Exchanges the code of `answer`. Checks state and nonce; the other id_token claims are the caller's to check.

        Raises Rejected with the reason of the refusal, Misconfigured, RetryLater.
        """
        ...

    def refresh(self, refresh_token: str) -> Grant:
        """A new access token. Raises ReconnectRequired, Rejected, Misconfigured, RetryLater."""
        ...

    def admin_consent_url(self, redirect_uri: str, state: str) -> str:
        """The page on which an administrator allows the four scopes for the whole organization."""
        ...


class TokenVault(Protocol):
    """Where refresh tokens live: one secret a mailbox. Raises RetryLater, Misconfigured."""

    def load(self, mailbox_id: str) -> StoredToken | None:
        """The secret, or None where there is none."""
        ...

    def save(self, mailbox_id: str, token: StoredToken) -> None:
        """Writes the secret; a soft-deleted one of that name is recovered first."""
        ...

    def delete(self, mailbox_id: str) -> None:
        """Deletes the secret where it exists."""
        ...
