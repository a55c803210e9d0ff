"""Issues and verifies the JSON Web Tokens of the stand-in, all signed RS256 with the world's key."""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt.types import Options
from starlette.requests import Request

from sandbox import constants
from sandbox.entra.directory import ManagedIdentity, User
from sandbox.entra.grants import Grant
from sandbox.microsoft365.world import World

GRAPH_AUDIENCE = "https://graph.microsoft.com"
VAULT_AUDIENCE = "https://vault.azure.net"
STORAGE_AUDIENCE = "https://storage.azure.com"
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"

MANAGED_IDENTITY_LIFETIME = timedelta(hours=24)
"""https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identity-best-practice-recommendations"""


_CHECKED_HERE: Options = {
    "require": ["exp", "nbf", "aud", "iss"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
}
"""PyJWT would check times by the machine's clock, and the audience against one only."""


class TokenError(Exception):
    """The token is not acceptable; the message says why in the words of the service, without the token."""


class InvalidAuthenticationToken(Exception):
    """What Graph answers with 401. `body` and `headers` are the response's."""

    status = 401

    def __init__(self, message: str) -> None:
        super().__init__(message)
        inner = {
            "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": str(uuid.uuid4()),
            "client-request-id": str(uuid.uuid4()),
        }
        self.body = {"error": {"code": "InvalidAuthenticationToken", "message": message, "innerError": inner}}
        self.headers = {
            "WWW-Authenticate": 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/'
            f'authorize", client_id="{constants.GRAPH_APP_ID}"'
        }


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who a Graph access token speaks for, what it allows, of which grant it is and when it ends."""

    tenant_id: str
    user_id: str
    app_id: str
    scopes: frozenset[str]
    grant_id: str
    expires_at: datetime


def issuer(world: World, tenant_id: str) -> str:
    """The v2.0 issuer of a tenant."""
    return f"{world.addresses.entra}/{tenant_id}/v2.0"


def key_id(world: World) -> str:
    """The `kid` of the signing key: a hash of its modulus."""
    return hashlib.sha256(str(world.signing_key.public_key().public_numbers().n).encode()).hexdigest()[:32]


def graph_token(
    world: World, user: User, grant: Grant, scopes: frozenset[str], lifetime: timedelta | None = None
) -> tuple[str, int]:
    """An access token for Graph and its lifetime in seconds; the world's usual one where none is given."""
    claims = {
        "aud": GRAPH_AUDIENCE,
        "iss": f"https://sts.windows.net/{user.tenant_id}/",
        "appid": world.app.client_id,
        "oid": user.user_id,
        "scp": " ".join(sorted(scopes)),
        "sid": grant.grant_id,
        "tid": user.tenant_id,
        "ver": "1.0",
    }
    lifetime = lifetime or world.access_token_lifetime
    return _sign(world, claims, world.now(), lifetime), int(lifetime.total_seconds())


def id_token(world: World, user: User, nonce: str | None) -> str:
    """An ID token for the app.

    `oid`, `preferred_username` and `name` need the scope `profile`, which the app registration does not have:
    https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference . Older editions of that page say
    the same of `tid`, so it is left out as well; the issuer names the tenant.
    """
    pairwise = hashlib.sha256(f"{world.app.client_id}/{user.user_id}".encode()).digest()
    claims = {
        "aud": world.app.client_id,
        "iss": issuer(world, user.tenant_id),
        "sub": base64.urlsafe_b64encode(pairwise).decode().rstrip("="),
        "ver": "2.0",
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return _sign(world, claims, world.now(), world.access_token_lifetime)


def client_info(user: User) -> str:
    """The `client_info` that MSAL asks for: user and tenant, base64url."""
    text = json.dumps({"uid": user.user_id, "utid": user.tenant_id})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def managed_identity_token(world: World, identity: ManagedIdentity, resource: str) -> tuple[str, int]:
    """A token of a managed identity and the epoch second at which it ends.

    By the machine's clock, not the world's: Azurite checks these tokens too. Raises TokenError for a resource
    that has no service principal here.
    """
    audience = resource.rstrip("/")
    if audience not in {VAULT_AUDIENCE, STORAGE_AUDIENCE, EXCHANGE_AUDIENCE, GRAPH_AUDIENCE}:
        raise TokenError(f"AADSTS500011: The resource principal named {resource} was not found in the tenant.")
    exchange = audience == EXCHANGE_AUDIENCE
    claims = {
        "aud": audience,
        "iss": issuer(world, identity.tenant_id) if exchange else f"https://sts.windows.net/{identity.tenant_id}/",
        "appid": identity.client_id,
        "idtyp": "app",
        "oid": identity.principal_id,
        "sub": identity.principal_id,
        "tid": identity.tenant_id,
        "ver": "2.0" if exchange else "1.0",
    }
    now = datetime.now(UTC)
    token = _sign(world, claims, now, MANAGED_IDENTITY_LIFETIME)
    return token, int((now + MANAGED_IDENTITY_LIFETIME).timestamp())


def verify(world: World, token: str, audiences: set[str], now: datetime) -> Mapping[str, Any]:
    """The claims of a token that this world signed for one of `audiences`. Raises TokenError."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            world.signing_key.public_key(),
            algorithms=["RS256"],
            options=_CHECKED_HERE,
        )
    except jwt.InvalidSignatureError as error:
        raise TokenError("Access token validation failure. Invalid signature.") from error
    except jwt.InvalidTokenError as error:
        raise TokenError("IDX14100: JWT is not well formed.") from error
    if claims["aud"] not in audiences:
        raise TokenError("Access token validation failure. Invalid audience.")
    if not claims["nbf"] <= now.timestamp() < claims["exp"]:
        raise TokenError("Lifetime validation failed, the token is expired.")
    return claims


def bearer(request: Request) -> str:
    """The bearer token of a request, or ""."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def verify_graph(world: World, request: Request) -> AccessClaims:
    """Who is calling Graph. Raises InvalidAuthenticationToken, also when the grant has been revoked.

    https://learn.microsoft.com/graph/resolve-auth-errors
    """
    token = bearer(request)
    if not token:
        raise InvalidAuthenticationToken("Access token is empty.")
    try:
        claims = verify(world, token, {GRAPH_AUDIENCE, constants.GRAPH_APP_ID}, world.now())
    except TokenError as error:
        raise InvalidAuthenticationToken(str(error)) from error
    user = world.users.get(claims["oid"])
    if user is None or not world.grants.in_force(user.user_id, claims.get("sid", "")):
        raise InvalidAuthenticationToken("Access token validation failure. The grant has been revoked.")
    return AccessClaims(
        tenant_id=user.tenant_id,
        user_id=user.user_id,
        app_id=claims["appid"],
        scopes=frozenset(claims["scp"].split()),
        grant_id=claims["sid"],
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


def _sign(world: World, claims: Mapping[str, object], now: datetime, lifetime: timedelta) -> str:
    issued_at = int(now.timestamp())
    times = {"iat": issued_at, "nbf": issued_at, "exp": issued_at + int(lifetime.total_seconds())}
    payload = {**claims, **times, "uti": uuid.uuid4().hex}
    token = jwt.encode(payload, world.signing_key, algorithm="RS256", headers={"kid": key_id(world)})
    world.signed_tokens.append(token)
    return token
