"""Key Vault's secrets API.

https://learn.microsoft.com/rest/api/keyvault/secrets

A request passes, in this order: ordered faults, the bearer challenge, the caller's role, throttling, the API
version, and then the operation.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control.faults import register
from sandbox.control.parameters import whole
from sandbox.entra.tokens import VAULT_AUDIENCE, TokenError, bearer, verify
from sandbox.key_vault import operations
from sandbox.key_vault.limits import Throttle
from sandbox.key_vault.state import VaultError
from sandbox.microsoft365.world import World

API_VERSIONS = {"7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2016-10-01", "2025-07-01", "2026-04-01"}

_OUTAGE = register("vault-outage", "Key Vault answers 503")
_THROTTLE = register(
    "vault-throttle", "Key Vault answers 429; Retry-After says `retryAfter`, in seconds", retryAfter=whole(10)
)
_READ_ONLY = register(
    "vault-read-only",
    "Key Vault refuses to set a secret with `status`: 403 as where the role lacks it, 503 in an outage; it can be read",
    status=whole(403, 400, 599),
)

type _Operation = Callable[[World, Request, dict[str, Any]], Response]


def app(world: World) -> Starlette:
    """The vault of a world."""
    throttle = Throttle()
    table: list[tuple[str, str, _Operation]] = [
        ("PUT", "/secrets/{name}", operations.set_secret),
        ("GET", "/secrets", operations.list_secrets),
        ("GET", "/secrets/{name}/versions", operations.list_versions),
        ("GET", "/secrets/{name}", operations.get_secret),
        ("GET", "/secrets/{name}/{version:path}", operations.get_secret),
        ("PATCH", "/secrets/{name}", operations.update_secret),
        ("PATCH", "/secrets/{name}/{version:path}", operations.update_secret),
        ("DELETE", "/secrets/{name}", operations.delete_secret),
        ("GET", "/deletedsecrets", operations.list_deleted),
        ("GET", "/deletedsecrets/{name}", operations.get_deleted),
        ("POST", "/deletedsecrets/{name}/recover", operations.recover),
        ("DELETE", "/deletedsecrets/{name}", operations.purge),
    ]
    routes = [Route(path, _endpoint(world, throttle, run), methods=[method]) for method, path, run in table]
    return Starlette(routes=routes)


def _endpoint(world: World, throttle: Throttle, run: _Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        content = await request.body()
        try:
            if refusal := _refusal(world, throttle, request):
                return refusal
            return run(world, request, _parse(content))
        except VaultError as error:
            return _answer(error)

    return endpoint


def _refusal(world: World, throttle: Throttle, request: Request) -> Response | None:
    """The answer to a request that does not reach its operation."""
    if world.faults.take(_OUTAGE):
        return _answer(VaultError(503, "ServiceUnavailable", "The service is currently unavailable."))
    if fault := world.faults.take(_THROTTLE):
        return _throttled(fault["retryAfter"])
    try:
        claims = verify(world, bearer(request), {VAULT_AUDIENCE}, datetime.now(UTC))
    except TokenError as error:
        return _challenge(world, bool(bearer(request)), str(error))
    if claims["oid"] not in world.vault_officers:
        raise VaultError(403, "Forbidden", "Caller is not authorized to perform action on resource.", "ForbiddenByRbac")
    is_set = request.method == "PUT"
    if is_set and (fault := world.faults.take(_READ_ONLY)):
        inner = "ForbiddenByRbac" if fault["status"] == 403 else None
        raise VaultError(fault["status"], "Forbidden" if inner else "ServiceUnavailable", "It was ordered so.", inner)
    if wait := throttle.wait(world.now(), is_set=is_set):
        return _throttled(wait)
    version = request.query_params.get("api-version")
    if version not in API_VERSIONS:
        raise VaultError(400, "BadParameter", f"api-version {version or '(missing)'} is not supported.")
    return None


def _challenge(world: World, has_token: bool, why: str) -> Response:
    """The 401 that tells a client where to get a token.

    https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses
    """
    message = f"AKV10022: {why}" if has_token else "AKV10000: Request is missing a Bearer or PoP token."
    response = _answer(VaultError(401, "Unauthorized", message))
    authority = f"{world.addresses.entra}/{world.app.tenant_id}"
    response.headers["WWW-Authenticate"] = f'Bearer authorization="{authority}", resource="{VAULT_AUDIENCE}"'
    return response


def _throttled(seconds: int) -> Response:
    response = _answer(
        VaultError(
            429,
            "Throttled",
            "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
        )
    )
    response.headers["Retry-After"] = str(seconds)
    return response


def _parse(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content or b"{}")
    except ValueError as error:
        raise VaultError(400, "BadParameter", "The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise VaultError(400, "BadParameter", "The request body must be an object.")
    return body


def _answer(error: VaultError) -> Response:
    content: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.inner_code:
        content["innererror"] = {"code": error.inner_code}
    return JSONResponse({"error": content}, status_code=error.status)
