"""Entra: discovery, keys, sign-in, consent, tokens, and the managed-identity endpoint beside them."""

import json
import uuid
from collections.abc import Awaitable, Callable

from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control.faults import register
from sandbox.control.parameters import one_of, whole
from sandbox.entra.admin_consent import AdminConsent
from sandbox.entra.errors import EntraError
from sandbox.entra.managed_identity import ManagedIdentityEndpoint
from sandbox.entra.pages import page
from sandbox.entra.request import check_tenant, read_form
from sandbox.entra.sign_in import SignIn
from sandbox.entra.token import redeem
from sandbox.entra.tokens import issuer, key_id
from sandbox.microsoft365.world import World

_WHERE = one_of("discovery", "authorize", "token", nullable=True)
_OUTAGE = register("entra-outage", "Entra answers 503; `endpoint`: only discovery, authorize or token", endpoint=_WHERE)
_THROTTLE = register(
    "entra-throttle",
    "Entra answers 429; Retry-After says `retryAfter`, in seconds; `endpoint`: only discovery, authorize or token",
    retryAfter=whole(10),
    endpoint=_WHERE,
)

type _Endpoint = Callable[[Request], Awaitable[Response]]


def app(world: World) -> Starlette:
    """The sign-in service of a world."""
    service, sign_in, admin = _Service(world), SignIn(world), AdminConsent(world)
    pages: list[tuple[str, str, _Endpoint]] = [
        ("GET", "/{tenant}/oauth2/v2.0/authorize", sign_in.authorize),
        ("POST", "/{tenant}/login", sign_in.login),
        ("POST", "/{tenant}/consent", sign_in.consent),
        ("GET", "/{tenant}/v2.0/adminconsent", admin.begin),
        ("POST", "/{tenant}/adminconsent/login", admin.login),
        ("POST", "/{tenant}/adminconsent/consent", admin.consent),
    ]
    machines: list[tuple[str, str, _Endpoint, str]] = [
        ("GET", "/{tenant}/v2.0/.well-known/openid-configuration", service.configuration, "discovery"),
        ("GET", "/{tenant}/discovery/v2.0/keys", service.keys, "discovery"),
        ("POST", "/{tenant}/oauth2/v2.0/token", service.token, "token"),
    ]
    return Starlette(
        routes=[
            *(Route(path, _for_people(world, endpoint), methods=[method]) for method, path, endpoint in pages),
            *(Route(path, _for_machines(world, end, name), methods=[verb]) for verb, path, end, name in machines),
            Route("/msi/token", ManagedIdentityEndpoint(world).token, methods=["GET"]),
        ]
    )


class _Service:
    """The endpoints that answer JSON."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def configuration(self, request: Request) -> Response:
        """The discovery document.

        https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
        `organizations` has no tenant of its own: its issuer holds the placeholder `{tenantid}`, as in the service.
        """
        tenant = request.path_params["tenant"]
        check_tenant(self._world, tenant)
        base = f"{self._world.addresses.entra}/{tenant}"
        own = tenant not in {"organizations", "common"}
        return JSONResponse(
            {
                "issuer": issuer(self._world, tenant if own else "{tenantid}"),
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query", "form_post"],
                "scopes_supported": ["openid", "offline_access"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            }
        )

    async def keys(self, request: Request) -> Response:
        """The public signing key as a JSON Web Key Set."""
        check_tenant(self._world, request.path_params["tenant"])
        key = json.loads(RSAAlgorithm.to_jwk(self._world.signing_key.public_key()))
        return JSONResponse({"keys": [{**key, "use": "sig", "alg": "RS256", "kid": key_id(self._world)}]})

    async def token(self, request: Request) -> Response:
        """The token endpoint."""
        tenant = request.path_params["tenant"]
        check_tenant(self._world, tenant)
        answer = redeem(self._world, tenant, await read_form(request))
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _ordered(world: World, endpoint: str) -> tuple[EntraError, dict[str, str]] | None:
    """The ordered fault that strikes this request, with the headers of its answer."""
    if world.faults.take(_OUTAGE, endpoint=endpoint):
        return EntraError("temporarily_unavailable", 90033, "A transient error has occurred.", status=503), {}
    if fault := world.faults.take(_THROTTLE, endpoint=endpoint):
        error = EntraError("temporarily_unavailable", 90055, "There are too many requests.", status=429)
        return error, {"Retry-After": str(fault["retryAfter"])}
    return None


def _for_people(world: World, endpoint: _Endpoint) -> _Endpoint:
    """Wraps an endpoint whose errors are shown on a page."""

    async def wrapped(request: Request) -> Response:
        headers: dict[str, str] = {}
        try:
            if struck := _ordered(world, "authorize"):
                error, headers = struck
                raise error
            return await endpoint(request)
        except EntraError as error:
            response = page(
                "message.html",
                status=error.status,
                heading="You cannot sign in",
                message=error.message,
                code=error.code,
            )
            response.headers.update(headers)
            return response

    return wrapped


def _for_machines(world: World, endpoint: _Endpoint, name: str) -> _Endpoint:
    """Wraps an endpoint whose errors are JSON."""

    async def wrapped(request: Request) -> Response:
        headers: dict[str, str] = {}
        try:
            if struck := _ordered(world, name):
                error, headers = struck
                raise error
            return await endpoint(request)
        except EntraError as error:
            correlation_id = request.headers.get("client-request-id") or str(uuid.uuid4())
            return JSONResponse(error.body(world.now(), correlation_id), error.status, headers=headers)

    return wrapped
