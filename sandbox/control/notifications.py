"""Control routes and immediate faults of subscriptions and notifications. See `control` for the routes."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any, get_args

from sandbox.control.parameters import Parameter, number, whole
from sandbox.microsoft365.world import World
from sandbox.push import faults
from sandbox.push.notifications import LifecycleEvent
from sandbox.push.state import Subscription, subscription_time

_TIMING = {"deadlines": "deadlines", "waits": "waits", "collect": "collect", "minimumResponses": "minimum_responses"}

TIMING: Mapping[str, Parameter] = {
    **{name: number() for name in ("deadlines", "waits", "collect")},
    "minimumResponses": whole(),
}
"""What POST /push takes."""


def show(world: World, _body: Mapping[str, Any]) -> object:
    """GET /subscriptions."""
    world.push.tick()
    now = time.monotonic()
    endpoints = [
        {"url": url, "state": endpoint.health.state(now), **dataclasses.asdict(endpoint.counts)}
        for url, endpoint in world.push.endpoints.items()
    ]
    return {"subscriptions": [_shown(world, entry) for entry in world.push.subscriptions.all()], "endpoints": endpoints}


def send_lifecycle(world: World, body: Mapping[str, Any]) -> object:
    """POST /lifecycle. `subscriptionRemoved` also removes."""
    event = body["event"]
    if event not in get_args(LifecycleEvent.__value__):
        raise ValueError(f"event must be one of {', '.join(get_args(LifecycleEvent.__value__))}")
    found = _of(world, body)
    for subscription in found:
        if event == "subscriptionRemoved":
            world.push.remove(subscription, silent=False)
        else:
            world.push.lifecycle(subscription, event)
    return {"subscriptions": len(found)}


def set_timing(world: World, body: Mapping[str, Any]) -> object:
    """POST /push."""
    timing = world.push.timing
    for name, value in body.items():
        setattr(timing, _TIMING[name], value)
    return {name: getattr(timing, attribute) for name, attribute in _TIMING.items()}


def _remove(world: World, body: Mapping[str, Any]) -> object:
    found = _of(world, body)
    for subscription in found:
        world.push.remove(subscription, silent=not body.get("lifecycle", False))
    return {"subscriptions": len(found)}


def _event(event: LifecycleEvent) -> Callable[[World, Mapping[str, Any]], object]:
    return lambda world, body: send_lifecycle(world, {**body, "event": event})


ACTIONS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {
    faults.REMOVE: _remove,
    faults.REAUTHORIZE: _event("reauthorizationRequired"),
    faults.MISSED: _event("missed"),
}
"""Faults that are done at once, by name."""


def _of(world: World, body: Mapping[str, Any]) -> list[Subscription]:
    """The subscriptions of `address`, or all."""
    address = body.get("address")
    if address is None:
        return world.push.subscriptions.all()
    user = world.find_user(str(address))
    if user is None:
        raise ValueError(f"no user signs in as {address}")
    return world.push.subscriptions.of_user(user.user_id)


def _shown(world: World, subscription: Subscription) -> dict[str, Any]:
    return {
        "address": world.users[subscription.user_id].user_principal_name,
        "id": subscription.id,
        "resource": subscription.resource,
        "changeType": ",".join(sorted(subscription.change_types)),
        "notificationUrl": subscription.notification_url,
        "lifecycleNotificationUrl": subscription.lifecycle_url,
        "immutableIds": subscription.immutable,
        "expirationDateTime": subscription_time(subscription.expires_at),
        "authorizedUntil": subscription_time(subscription.authorized_until),
    }
