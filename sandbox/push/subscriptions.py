"""Graph's operations on change-notification subscriptions.

A subscription belongs to the app and user whose token created it, and lives by that token: once the token has
expired or its grant is revoked nothing is delivered until it is reauthorized.
https://learn.microsoft.com/graph/change-notifications-overview
"""

from typing import Any

from sandbox.graph.protocol import Answer, Call, GraphError
from sandbox.microsoft365.world import World
from sandbox.push import faults, request
from sandbox.push.handshake import validate
from sandbox.push.state import MAX_PER_MAILBOX, Subscription, subscription_time


async def create(world: World, call: Call) -> Answer:
    """https://learn.microsoft.com/graph/api/subscription-post-subscriptions.

    The app's URLs are called before the answer is given.
    """
    subscription = _asked(world, call, request.body(call))
    if world.faults.take(faults.REFUSED, address=call.user.user_principal_name):
        raise _refused(403, "Forbidden", "The app may not subscribe to this mailbox")
    _refuse_surplus(world, subscription)
    await world.push.open()
    for url in filter(None, (subscription.notification_url, subscription.lifecycle_url)):
        await validate(world.push.client, url, world.push.timing)
    _refuse_surplus(world, subscription)  # another may have been made meanwhile
    world.push.subscriptions.add(subscription)
    shown = {**_shown(subscription), "clientState": subscription.client_state}
    return Answer(201, {"@odata.context": _context(world, "/$entity"), **shown})


def answer(world: World, call: Call, operation: str, subscription_id: str) -> Answer:
    """Every operation but creation. `operation`: `subscriptions`, `subscription` or `reauthorize`."""
    world.push.tick()
    match operation, call.method:
        case "subscriptions", "GET":
            return _list(world, call)
        case "subscriptions", "POST":
            raise GraphError(400, "BadRequest", "A subscription cannot be created in a batch here.")
        case "subscription", "GET":
            found = _find(world, call, subscription_id)
            return Answer(200, {"@odata.context": _context(world, "/$entity"), **_shown(found)})
        case "subscription", "PATCH":
            return _update(world, call, _find(world, call, subscription_id))
        case "subscription", "DELETE":
            world.push.subscriptions.remove(_find(world, call, subscription_id))
            return Answer(204, None)
        case "reauthorize", "POST":
            _authorize(call, _find(world, call, subscription_id))
            return Answer(204, None)
    raise GraphError(405, "BadRequest", "Specified HTTP method is not allowed for the request target.")


def _asked(world: World, call: Call, content: dict[str, Any]) -> Subscription:
    request.refuse_resource_data(content)
    return Subscription(
        app_id=call.claims.app_id,
        user_id=call.user.user_id,
        tenant_id=call.user.tenant_id,
        change_types=request.change_types(content),
        folder_id=request.folder(call, content),
        resource=content["resource"],
        notification_url=request.url(content, "notificationUrl"),
        lifecycle_url=request.lifecycle_url(content),
        client_state=request.client_state(content),
        tls_version=request.tls_version(content),
        expires_at=request.expiration(content, world.now(), _max_minutes(world, call)),
        immutable=call.immutable,
        grant_id=call.claims.grant_id,
        authorized_until=call.claims.expires_at,
    )


def _max_minutes(world: World, call: Call) -> int:
    fault = world.faults.take(faults.CAP, address=call.user.user_principal_name)
    return int(fault["minutes"]) if fault else request.MAX_LIFE_MINUTES


def _refuse_surplus(world: World, wanted: Subscription) -> None:
    world.push.tick()
    present = world.push.subscriptions.of_user(wanted.user_id)
    for other in present:
        if other.combination == wanted.combination:
            reason = f"Subscription Id {other.id} already exists for the requested combination"
            raise _refused(409, "Conflict", reason)
    if len(present) >= MAX_PER_MAILBOX:
        raise _refused(403, "Forbidden", f"Maximum number of active subscriptions, {MAX_PER_MAILBOX}, has been reached")


def _refused(status: int, word: str, reason: str) -> GraphError:
    message = f"Operation: Create; Exception: [Status Code: {word}; Reason: {reason}]"
    return request.extension_error(status, message)


def _find(world: World, call: Call, subscription_id: str) -> Subscription:
    found = world.push.subscriptions.get(call.user.user_id, subscription_id)
    if found is None or found.app_id != call.claims.app_id:
        raise GraphError(404, "ResourceNotFound", "The object was not found.")
    return found


def _list(world: World, call: Call) -> Answer:
    """https://learn.microsoft.com/graph/api/subscription-list: the app's own, of the signed-in user."""
    mine = [s for s in world.push.subscriptions.of_user(call.user.user_id) if s.app_id == call.claims.app_id]
    return Answer(200, {"@odata.context": _context(world, ""), "value": [_shown(entry) for entry in mine]})


def _update(world: World, call: Call, subscription: Subscription) -> Answer:
    """https://learn.microsoft.com/graph/api/subscription-update: renews, and reauthorizes by the way."""
    content = request.body(call)
    if unchangeable := sorted(content.keys() - {"expirationDateTime", "@odata.type"}):
        raise GraphError(400, "InvalidRequest", f"The property '{unchangeable[0]}' cannot be updated.")
    subscription.expires_at = request.expiration(content, world.now(), _max_minutes(world, call))
    _authorize(call, subscription)
    return Answer(200, {"@odata.context": _context(world, "/$entity"), **_shown(subscription)})


def _authorize(call: Call, subscription: Subscription) -> None:
    """https://learn.microsoft.com/graph/api/subscription-reauthorize."""
    subscription.grant_id = call.claims.grant_id
    subscription.authorized_until = call.claims.expires_at


def _context(world: World, suffix: str) -> str:
    return f"{world.addresses.graph}/$metadata#subscriptions{suffix}"


def _shown(subscription: Subscription) -> dict[str, Any]:
    """As Graph shows it; `clientState` only in the answer that creates it."""
    return {
        "id": subscription.id,
        "resource": subscription.resource,
        "applicationId": subscription.app_id,
        "changeType": ",".join(sorted(subscription.change_types)),
        "clientState": None,
        "notificationUrl": subscription.notification_url,
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": subscription.lifecycle_url,
        "expirationDateTime": subscription_time(subscription.expires_at),
        "creatorId": subscription.user_id,
        "includeResourceData": None,
        "latestSupportedTlsVersion": subscription.tls_version,
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
    }
