"""The token endpoint.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#redeem-a-code-for-an-access-token
"""

import base64
import hashlib
from datetime import timedelta
from typing import Any

from sandbox.control.faults import register
from sandbox.control.parameters import one_of, whole
from sandbox.entra.clients import authenticate
from sandbox.entra.directory import User
from sandbox.entra.errors import EntraError, blocked_by_policy, grant_revoked, missing
from sandbox.entra.grants import AuthorizationCode, Grant
from sandbox.entra.request import check_account
from sandbox.entra.scopes import granted_text, parse_scopes
from sandbox.entra.sign_in import CONDITIONAL_ACCESS
from sandbox.entra.tokens import client_info, graph_token, id_token
from sandbox.microsoft365.world import World

_INVALID_CLIENT = register("invalid-client", "The token endpoint refuses the app's own credential (AADSTS7000222)")
_REFUSED = register(
    "token-refused",
    "The token endpoint answers 400 with `error` and the AADSTS number `code`; `grant`: only authorization_code or"
    " refresh_token",
    error="invalid_request",
    code=whole(70021, 0, 99_999_999),
    grant=one_of("authorization_code", "refresh_token", nullable=True),
)
_SINGLE_USE = register(
    "refresh-token-single-use",
    "A refresh token that was redeemed once is refused from then on (AADSTS70000), as other identity providers do",
)
_SHORT = register(
    "access-token-short", "Access tokens that Entra gives from now on live `seconds`", seconds=whole(310, 1, 86_400)
)


def redeem(world: World, tenant: str, form: dict[str, str]) -> dict[str, Any]:
    """The token response to a form. Raises EntraError."""
    authenticate(world, form)
    if world.faults.take(_INVALID_CLIENT):
        raise EntraError("invalid_client", 7000222, "The provided client secret keys are expired.", status=401)
    grant_type = form.get("grant_type")
    if fault := world.faults.take(_REFUSED, grant=grant_type):
        raise EntraError(fault["error"], fault["code"], "This refusal was ordered.")
    if grant_type == "authorization_code":
        return _by_code(world, tenant, form)
    if grant_type == "refresh_token":
        return _by_refresh_token(world, tenant, form)
    if grant_type is None:
        raise missing("grant_type")
    raise EntraError("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")


def _by_code(world: World, tenant: str, form: dict[str, str]) -> dict[str, Any]:
    for name in ("code", "redirect_uri", "code_verifier"):
        if name not in form:
            raise missing(name)
    code = world.grants.code(form["code"])
    if code is None:
        raise _invalid_grant(70000, "The provided authorization code is invalid or malformed.")
    if code.redeemed:
        raise _invalid_grant(54005, "OAuth2 Authorization code was already redeemed, please retry with a new code.")
    code.redeemed = True
    _check_code(world, code, form)
    user, grant = _check_grant(world, tenant, code.user_id, code.grant_id)
    return _response(world, user, grant, form, scopes=_scopes(world, code.scopes, form), nonce=code.nonce)


def _check_code(world: World, code: AuthorizationCode, form: dict[str, str]) -> None:
    if code.expires_at <= world.now():
        raise _invalid_grant(70008, "The provided authorization code has expired.")
    if code.redirect_uri != form["redirect_uri"]:
        raise _invalid_grant(500112, "The reply address does not match the one that requested the code.")
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    if base64.urlsafe_b64encode(digest).decode().rstrip("=") != code.code_challenge:
        raise _invalid_grant(501481, "The Code_Verifier does not match the code_challenge supplied.")


def _by_refresh_token(world: World, tenant: str, form: dict[str, str]) -> dict[str, Any]:
    """Every use gives a new refresh token; the old one stays valid until it expires, unless it is ordered otherwise.

    https://learn.microsoft.com/entra/identity-platform/refresh-tokens
    """
    if "refresh_token" not in form:
        raise missing("refresh_token")
    token = world.grants.refresh_token(form["refresh_token"])
    if token is None:
        raise _invalid_grant(70000, "The provided refresh token is invalid or malformed.")
    if token.expires_at <= world.now():
        raise _invalid_grant(700082, "The refresh token has expired due to inactivity.", "bad_token")
    if world.faults.take(_SINGLE_USE) and token.redeemed:
        world.grants.reused += 1
        raise _invalid_grant(70000, "The refresh token was redeemed already.", "bad_token")
    user, grant = _check_grant(world, tenant, token.user_id, token.grant_id)
    answer = _response(world, user, grant, form, scopes=_scopes(world, token.scopes, form), nonce=None)
    token.redeemed = True
    return answer


def _check_grant(world: World, tenant: str, user_id: str, grant_id: str) -> tuple[User, Grant]:
    user, grant = world.users[user_id], world.grants.of_user(user_id)
    check_account(tenant, user)
    if grant is None or grant.grant_id != grant_id:
        raise grant_revoked()
    if world.faults.take(CONDITIONAL_ACCESS, address=user.user_principal_name, endpoint="token"):
        raise blocked_by_policy()
    return user, grant


def _scopes(world: World, allowed: frozenset[str], form: dict[str, str]) -> frozenset[str]:
    """The scopes of the response: those asked for, which must have been consented; all where none is named."""
    wanted = parse_scopes(world.app, form["scope"]) if form.get("scope") else allowed
    if wanted - allowed:
        raise EntraError(
            "invalid_grant", 65001, "The user has not consented to use the application.", suberror="consent_required"
        )
    return wanted


def _response(
    world: World, user: User, grant: Grant, form: dict[str, str], *, scopes: frozenset[str], nonce: str | None
) -> dict[str, Any]:
    short = world.faults.take(_SHORT)
    lives = timedelta(seconds=short["seconds"]) if short else world.access_token_lifetime
    access_token, lifetime = graph_token(world, user, grant, scopes - {"offline_access"}, lives)
    response: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": granted_text(scopes),
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": access_token,
    }
    if "offline_access" in scopes:
        response["refresh_token"] = world.grants.issue_refresh_token(user.user_id, grant.grant_id, scopes)
    if "openid" in scopes:
        response["id_token"] = id_token(world, user, nonce)
    if form.get("client_info") == "1":
        response["client_info"] = client_info(user)
    return response


def _invalid_grant(code: int, message: str, suberror: str | None = None) -> EntraError:
    return EntraError("invalid_grant", code, message, suberror=suberror)
