"""The port `Directory` in memory: codes that work once, refresh tokens that rotate, grants that can be revoked."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

from mailsync.clock import Clock
from mailsync.errors import MailsyncError, ReconnectRequired, Rejected
from mailsync.tokens.records import ALL_SCOPES, AuthorizationRequest, Grant
from tests.fakes.faults import Faults

CLIENT_ID = "22222222-2222-4222-8222-222222222222"
_HOST = "https://login.microsoftonline.com"


@dataclass(frozen=True, slots=True)
class _Code:
    state: str
    tenant_id: str
    scopes: frozenset[str]
    claims: Mapping[str, object]


@dataclass(slots=True)
class FakeDirectory:
    """Entra for one app. `calls`: the operations called, in order.

    What the user does is `sign_in` and `decline`, which give the answer that the browser would bring.
    `rotate`: whether each refresh gives a new refresh token.
    """

    clock: Clock
    lifetime: timedelta = timedelta(hours=1)
    rotate: bool = True
    calls: list[str] = field(default_factory=list)
    _faults: Faults = field(default_factory=Faults)
    _codes: dict[str, _Code] = field(default_factory=dict)
    _refresh_tokens: dict[str, frozenset[str]] = field(default_factory=dict)
    _numbers: int = 0

    def fail(self, error: MailsyncError, *operations: str, after: int = 0, times: int = 1) -> None:
        """Orders `error` from `begin`, `complete` or `refresh` (none named: from any)."""
        self._faults.order(error, *operations, after=after, times=times)

    def sign_in(
        self,
        state: str,
        tenant_id: str = "11111111-1111-4111-8111-111111111111",
        scopes: frozenset[str] = frozenset(ALL_SCOPES),
        **claims: object,
    ) -> dict[str, str]:
        """The user consents. `scopes`: what is granted in the end. `claims` overlay those of the id_token."""
        code = self._new("code")
        self._codes[code] = _Code(state, tenant_id, scopes, claims)
        return {"code": code, "state": state, "session_state": "session"}

    def decline(self, state: str) -> dict[str, str]:
        """The user declines."""
        return {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent.", "state": state}

    def revoke(self) -> None:
        """Every refresh token given so far is dead."""
        self._refresh_tokens.clear()

    def begin(self, redirect_uri: str) -> AuthorizationRequest:
        self._enter("begin")
        flow = {
            "state": secrets.token_urlsafe(16),
            "redirect_uri": redirect_uri,
            "scope": list(ALL_SCOPES),
            "code_verifier": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(16),
        }
        query = {
            "client_id": CLIENT_ID,
            "response_type": "code",
            "response_mode": "form_post",
            "prompt": "select_account",
            "redirect_uri": redirect_uri,
            "scope": " ".join(ALL_SCOPES),
            "state": flow["state"],
            "code_challenge": secrets.token_urlsafe(32),
            "code_challenge_method": "S256",
            "nonce": secrets.token_hex(32),
        }
        url = f"{_HOST}/organizations/oauth2/v2.0/authorize?{urlencode(query)}"
        return AuthorizationRequest(url, str(flow["state"]), flow)

    def complete(self, flow: Mapping[str, object], answer: Mapping[str, str]) -> Grant:
        self._enter("complete")
        if not flow.get("state") or flow["state"] != answer.get("state"):
            raise Rejected("bad_answer", "the answer does not belong to the sign-in that was begun here")
        if "error" in answer:
            raise Rejected("consent_declined", "Entra answered access_denied")
        if "code" not in answer:
            raise Rejected("bad_answer", "the answer holds neither a code nor an error")
        code = self._codes.pop(answer["code"], None)
        if code is None or code.state != flow["state"]:
            raise Rejected("code_expired", "Entra answered invalid_grant")
        now = int(self.clock().timestamp())
        claims = {
            "aud": CLIENT_ID,
            "iss": f"{_HOST}/{code.tenant_id}/v2.0",
            "sub": "subject",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        return self._grant(code.scopes, claims | dict(code.claims))

    def refresh(self, refresh_token: str) -> Grant:
        self._enter("refresh")
        scopes = self._refresh_tokens.get(refresh_token)
        if scopes is None:
            raise ReconnectRequired("grant_revoked", "Entra answered invalid_grant")
        return self._grant(scopes, {}, None if self.rotate else refresh_token)

    def admin_consent_url(self, redirect_uri: str, state: str) -> str:
        query = {
            "client_id": CLIENT_ID,
            "scope": " ".join(ALL_SCOPES),
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return f"{_HOST}/organizations/v2.0/adminconsent?{urlencode(query)}"

    def _grant(self, scopes: frozenset[str], claims: Mapping[str, object], refresh_token: str | None = None) -> Grant:
        refresh_token = refresh_token or self._new("refresh-token")
        self._refresh_tokens[refresh_token] = scopes
        shown = scopes - {"offline_access"}  # Entra's answer does not name it
        expires_at = self.clock() + self.lifetime
        return Grant(self._new("access-token"), expires_at, refresh_token, shown, claims)

    def _enter(self, operation: str) -> None:
        self.calls.append(operation)
        self._faults.strike(operation)

    def _new(self, kind: str) -> str:
        self._numbers += 1
        return f"{kind}-{self._numbers}"
