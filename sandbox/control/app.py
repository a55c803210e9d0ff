"""The control API: how commands and tests arrange the world. JSON over HTTPS, loopback only, no sign-in.

| route | body | answer |
|---|---|---|
| POST /users | address, and as wanted the fields below | userId, tenantId, address |
| POST /tenants | tenantId, consentAllowed?, adminConsented? (scopes) | tenantId, consentAllowed, adminConsented |
| POST /consent-policy | consentAllowed | consentAllowed: of every tenant, and of those to come |
| GET /faults | | known: [{name, sentence, params}], active: [{name, params, remaining}] |
| POST /faults | name, count?, params? | the ordered fault |
| DELETE /faults, /faults/{name} | | cleared |
| POST /revoke | address, tenantId? | revoked |
| GET /grants/{address} | | granted, scopes |
| GET /refresh-tokens | | issued, redeemed, reused: how many, and how often one came again that was refused for it |
| GET /issued | | secrets: every code, token and clientState, to look for where none may be |
| POST /redirect-uris | uri | redirectUris |
| POST /clock | advanceSeconds | now |
| GET /subscriptions | | subscriptions: [...], endpoints: [{url, state, delivered, lost, posts, failed}] |
| POST /lifecycle | event, address? (default: all) | subscriptions: how many were notified |
| POST /push | deadlines?, waits? (factors on Graph's times), collect?, minimumResponses? | all of them |

Every body is held to what its route declares below: a field that is unknown, of a wrong type or out of range is
refused with 400, and `error` names it and what would be right.

A tenant's `consentAllowed`: null, as it begins: the Microsoft-managed policy, under which users cannot consent to
Mail.Read and an administrator must; true: they can; false: they can consent to nothing.

A user's fields: displayName, mail ("": none; any other than the address is forged), tenantId (default: the
domain's own), guest, consentAllowed (false: an administrator must consent), administrator. A user who exists is
left as is, but for the last two. The faults `revoke` (needs `address`), `subscription-remove`, `reauthorize` and
`missed` are actions: they are done at once.
"""

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import mail as mail_control
from sandbox.control import notifications as notifications_control
from sandbox.control.faults import Fault, Kind, register
from sandbox.control.parameters import Parameter, checked, flag, number, table, text, texts, whole
from sandbox.entra.directory import User
from sandbox.microsoft365.world import World

_ADDRESS = text(required=True)
_REVOKE = register("revoke", "Ends the consent of `address` and every token that came of it, at once", address=_ADDRESS)
_YEAR = 366 * 86_400.0

_BODIES: Mapping[str, Mapping[str, Parameter]] = {
    "/users": {
        "address": _ADDRESS,
        **{name: text(nullable=True) for name in ("displayName", "mail", "tenantId")},
        **{name: flag() for name in ("guest", "consentAllowed", "administrator")},
    },
    "/tenants": {
        "tenantId": text(required=True),
        "consentAllowed": flag(nullable=True),
        "adminConsented": texts(),
    },
    "/consent-policy": {"consentAllowed": flag(nullable=True, required=True)},
    "/faults": {"name": text(required=True), "count": whole(None, least=1, nullable=True), "params": table()},
    "/revoke": {"address": _ADDRESS, "tenantId": text(nullable=True)},
    "/redirect-uris": {"uri": text(required=True)},
    "/clock": {"advanceSeconds": number(least=-_YEAR, most=_YEAR, required=True)},
    "/lifecycle": {"event": text(required=True), "address": text(nullable=True)},
    "/push": notifications_control.TIMING,
}
"""What each POST takes."""

type _Handler = Callable[[World, dict[str, Any]], object]


def app(world: World) -> Starlette:
    """The control API of a world, with the routes of `mail_control`."""
    posts: dict[str, _Handler] = {
        "/users": _create_user,
        "/tenants": _set_tenant,
        "/consent-policy": _set_consent_policy,
        "/faults": _order_fault,
        "/revoke": _revoke,
        "/redirect-uris": _add_redirect_uri,
        "/clock": _advance_clock,
        "/lifecycle": notifications_control.send_lifecycle,
        "/push": notifications_control.set_timing,
    }
    gets: dict[str, _Handler] = {
        "/faults": _list_faults,
        "/grants/{address}": _show_grant,
        "/refresh-tokens": _count_refresh_tokens,
        "/issued": _list_issued,
        "/subscriptions": notifications_control.show,
    }
    routes = [
        *(Route(path, _endpoint(world, handler, _BODIES[path]), methods=["POST"]) for path, handler in posts.items()),
        *(Route(path, _endpoint(world, handler), methods=["GET"]) for path, handler in gets.items()),
        *(Route(path, _endpoint(world, _clear_faults), methods=["DELETE"]) for path in ("/faults", "/faults/{name}")),
        *mail_control.routes(world),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _error})


def _endpoint(
    world: World, handler: _Handler, takes: Mapping[str, Parameter] | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Wraps a handler of (world, body and path parameters); what it refuses with ValueError becomes a 400.

    `takes`: the parameters of its body; None where there is no body.
    """

    async def endpoint(request: Request) -> Response:
        try:
            body = {} if takes is None else checked(takes, _json(await request.body()), request.url.path)
            return JSONResponse(handler(world, {**body, **request.path_params}))
        except ValueError as error:
            raise HTTPException(400, str(error)) from error

    return endpoint


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise ValueError("the body is not JSON") from error


async def _error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    # In ASCII, for what is quoted may hold half of a surrogate pair, which no UTF-8 can.
    return Response(json.dumps({"error": error.detail}), error.status_code, media_type="application/json")


def _find(world: World, body: dict[str, Any]) -> User:
    user = world.find_user(body["address"], body.get("tenantId"))
    if user is None:
        raise HTTPException(404, f"no user signs in as {body['address']}")
    return user


def _create_user(world: World, body: dict[str, Any]) -> object:
    user = world.create_user(
        body["address"],
        display_name=body.get("displayName"),
        mail=body.get("mail"),
        tenant_id=body.get("tenantId"),
        guest=body.get("guest", False),
    )
    user.user_consent_allowed = body.get("consentAllowed", user.user_consent_allowed)
    user.is_administrator = body.get("administrator", user.is_administrator)
    return {"userId": user.user_id, "tenantId": user.tenant_id, "address": user.user_principal_name}


def _set_tenant(world: World, body: dict[str, Any]) -> object:
    tenant = world.tenant(body["tenantId"])
    tenant.user_consent_allowed = body.get("consentAllowed", tenant.user_consent_allowed)
    tenant.admin_consented = frozenset(body.get("adminConsented", tenant.admin_consented))
    return {
        "tenantId": tenant.tenant_id,
        "consentAllowed": tenant.user_consent_allowed,
        "adminConsented": sorted(tenant.admin_consented),
    }


def _set_consent_policy(world: World, body: dict[str, Any]) -> object:
    world.user_consent_allowed = body["consentAllowed"]
    for tenant in world.tenants.values():
        tenant.user_consent_allowed = world.user_consent_allowed
    return {"consentAllowed": world.user_consent_allowed}


def _list_faults(world: World, _body: dict[str, Any]) -> object:
    return {
        "known": [_kind(kind) for kind in world.faults.names().values()],
        "active": [_fault(fault) for fault in world.faults.active()],
    }


def _kind(kind: Kind) -> object:
    return {"name": kind.name, "sentence": kind.sentence, "params": dict(kind.defaults)}


def _fault(fault: Fault) -> object:
    return dataclasses.asdict(fault)


def _order_fault(world: World, body: dict[str, Any]) -> object:
    name, params = body["name"], body.get("params", {})
    params = world.faults.kind(name).checked(params)
    if action := _ACTIONS.get(name):
        return {"name": name, "params": params, "remaining": 0, "done": action(world, params)}
    return _fault(world.faults.order(name, body.get("count"), **params))


def _clear_faults(world: World, body: dict[str, Any]) -> object:
    return {"cleared": world.faults.clear(body.get("name"))}


def _revoke(world: World, body: dict[str, Any]) -> object:
    return {"revoked": world.grants.revoke(_find(world, body).user_id)}


def _show_grant(world: World, body: dict[str, Any]) -> object:
    grant = world.grants.of_user(_find(world, body).user_id)
    return {"granted": grant is not None, "scopes": sorted(grant.scopes) if grant else []}


def _count_refresh_tokens(world: World, _body: dict[str, Any]) -> object:
    return world.grants.counts()


def _list_issued(world: World, _body: dict[str, Any]) -> object:
    states = [subscription.client_state for subscription in world.push.subscriptions.all() if subscription.client_state]
    return {"secrets": [*world.grants.secrets(), *world.signed_tokens, *states]}


def _add_redirect_uri(world: World, body: dict[str, Any]) -> object:
    world.app.redirect_uris.add(body["uri"])
    return {"redirectUris": sorted(world.app.redirect_uris)}


def _advance_clock(world: World, body: dict[str, Any]) -> object:
    world.clock.advance(body["advanceSeconds"])
    world.push.tick()
    return {"now": world.now().isoformat()}


_ACTIONS: Mapping[str, _Handler] = {_REVOKE: _revoke, **notifications_control.ACTIONS}
