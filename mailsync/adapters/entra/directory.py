"""The port `Directory` over MSAL: https://learn.microsoft.com/entra/msal/python.

MSAL does the protocol; this keeps it to the app's rules: a timeout on every call, secrets to the configured
host alone, no token in its cache, no answer of Entra's in a log or an exception.
"""

import hmac
import logging
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from mailsync.adapters import json_reader
from mailsync.adapters.entra import errors as entra_errors
from mailsync.clock import Clock
from mailsync.errors import Misconfigured, Rejected, RetryLater
from mailsync.reasons import Reason
from mailsync.settings import Settings, is_loopback
from mailsync.tokens.records import ALL_SCOPES, GRAPH_SCOPES, AuthorizationRequest, Grant

if TYPE_CHECKING:
    import msal
    import requests

_EXCHANGE = "api://AzureADTokenExchange/.default"
"""https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity."""
_GRAPH_PREFIX = "https://graph.microsoft.com/"
_SHORTEST_LIFE, _LONGEST_LIFE = timedelta(minutes=10), timedelta(days=2)
"""Of an access token: as short as a tenant may set it, and longer than any that Entra gives."""
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, OverflowError)
"""What MSAL raises where a part of an answer has another type or form than it takes for granted."""


class EntraDirectory:
    """Sign-in and tokens. Safe for threads; MSAL's application object is built at the first call and kept.

    For a minute after a 400, MSAL answers the same request from memory: a refresh token that was refused stays
    refused for that long.
    """

    def __init__(self, settings: Settings, *, clock: Clock, session: "requests.Session | None" = None) -> None:
        self._settings = settings
        self._clock = clock
        self._session = session
        self._lock = Lock()
        self._built: msal.ConfidentialClientApplication | None = None

    def begin(self, redirect_uri: str) -> AuthorizationRequest:
        """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#request-an-authorization-code."""
        flow = self._app().initiate_auth_code_flow(
            list(GRAPH_SCOPES), redirect_uri=redirect_uri, response_mode="form_post", prompt="select_account"
        )
        url = flow.pop("auth_uri")
        return AuthorizationRequest(url=url, state=flow["state"], flow=flow)

    def complete(self, flow: Mapping[str, object], answer: Mapping[str, str]) -> Grant:
        """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#redeem-a-code-for-an-access-token."""
        expected, state = str(flow.get("state") or ""), answer.get("state", "")
        if not expected or not hmac.compare_digest(expected.encode(), state.encode("utf-8", "replace")):
            raise Rejected(Reason.BAD_ANSWER, "the answer does not belong to the sign-in that was begun here")
        if answer.get("error"):
            raise entra_errors.of_browser(answer)
        if not answer.get("code"):
            raise Rejected(Reason.BAD_ANSWER, "the answer holds neither a code nor an error")
        app = self._app()
        try:
            result = app.acquire_token_by_auth_code_flow(dict(flow), dict(answer))
        except RuntimeError:  # MSAL's message quotes the nonce, so it ends here
            raise Rejected(Reason.BAD_ID_TOKEN, "the id_token does not belong to this sign-in") from None
        except _MALFORMED:  # an id_token that is none; the message may quote it
            raise Rejected(Reason.BAD_ID_TOKEN, "Entra's id_token could not be read") from None
        if "error" in result:
            raise entra_errors.of_code(result)
        return self._grant(result, result.get("id_token_claims") or {})

    def refresh(self, refresh_token: str) -> Grant:
        """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#refresh-the-access-token."""
        app = self._app()
        try:
            result = app.acquire_token_by_refresh_token(refresh_token, list(GRAPH_SCOPES))
        except _MALFORMED:  # as above
            raise RetryLater(Reason.ENTRA_UNAVAILABLE, "Entra's id_token could not be read") from None
        if "error" in result:
            raise entra_errors.of_refresh(result)
        return self._grant(result, {})

    def admin_consent_url(self, redirect_uri: str, state: str) -> str:
        """https://learn.microsoft.com/entra/identity-platform/v2-admin-consent."""
        query = {
            "client_id": self._settings.client_id,
            "scope": " ".join(ALL_SCOPES),
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return f"{self._settings.authority}/v2.0/adminconsent?{urlencode(query)}"

    def _grant(self, result: Mapping[str, Any], id_token_claims: Mapping[str, object]) -> Grant:
        """An answer without `scope` grants what was asked: https://www.rfc-editor.org/rfc/rfc6749#section-5.1."""
        try:
            scopes = str(result.get("scope") or " ".join(GRAPH_SCOPES)).split()
            access_token, refresh_token = result["access_token"], result.get("refresh_token")
            if not _is_token(access_token):
                raise ValueError
            return Grant(
                access_token=access_token,
                expires_at=self._clock() + _life(result.get("expires_in")),
                refresh_token=refresh_token if _is_token(refresh_token) else None,
                scopes=frozenset(scope.removeprefix(_GRAPH_PREFIX) for scope in scopes),
                id_token_claims=json_reader.whole(id_token_claims),
            )
        except _MALFORMED:
            raise RetryLater(Reason.ENTRA_UNAVAILABLE, "Entra's token answer lacks what it must have") from None

    def _app(self) -> "msal.ConfidentialClientApplication":
        with self._lock:
            if self._built is None:
                self._built = self._build()
            return self._built

    def _build(self) -> "msal.ConfidentialClientApplication":
        import msal

        from mailsync.adapters.entra.http import MsalHttp
        from mailsync.adapters.http import session

        class NoCache(msal.TokenCache):  # type: ignore[misc]  # msal has no types
            """Keeps nothing: refresh tokens live in the vault, and nobody asks MSAL for an access token again."""

            def add(self, event: object, now: object = None) -> None:
                """Forgets."""

        logging.getLogger("msal").setLevel(logging.WARNING)  # below that it describes requests
        settings = self._settings
        loopback = is_loopback(settings.authority_host)
        try:
            return msal.ConfidentialClientApplication(
                settings.client_id,
                client_credential=settings.client_secret or {"client_assertion": _assertion(settings)},
                authority=settings.authority,
                http_client=MsalHttp(self._session or session(), settings.authority_host, self._clock),
                token_cache=NoCache(),
                exclude_scopes=["profile"],
                instance_discovery=False if loopback else None,
            )
        except (ValueError, LookupError) as error:
            message = "Entra does not know the authority; check ENTRA_AUTHORITY_HOST and ENTRA_TENANT"
            raise Misconfigured(Reason.BAD_AUTHORITY, message) from error


def _is_token(value: object) -> bool:
    """Whether the value is a token that a header can carry, or that is worth keeping in place of the one before."""
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


def _life(seconds: object) -> timedelta:
    """How long an access token lives; _SHORTEST_LIFE where the answer does not say so.

    Such an answer is not refused, as it may hold the only refresh token that is still good.
    https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes#access-tokens
    """
    try:
        life = timedelta(seconds=int(seconds))  # type: ignore[call-overload]
    except (ValueError, TypeError, OverflowError):
        return _SHORTEST_LIFE
    return life if timedelta() < life <= _LONGEST_LIFE else _SHORTEST_LIFE


def _assertion(settings: Settings) -> Callable[[], str]:
    """Proves the app by its managed identity's token, which azure-identity keeps while it lives."""
    from mailsync.adapters.azure_identity import Identity

    if not settings.identity_client_id:
        raise Misconfigured(
            Reason.NO_APP_CREDENTIAL, "set AZURE_CLIENT_ID to the managed identity, or ENTRA_CLIENT_SECRET"
        )
    identity = Identity(settings.identity_client_id)
    return lambda: identity.get_token(_EXCHANGE).token
