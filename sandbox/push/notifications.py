"""Change notifications: from a change in a mailbox to a POST to whoever subscribed.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import timedelta, timezone
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal

import httpx

from sandbox.control.faults import Faults
from sandbox.entra.grants import Grants
from sandbox.exchange.mailboxes import Change
from sandbox.microsoft365.clock import Clock
from sandbox.push import faults
from sandbox.push.endpoint import Endpoint, Notification
from sandbox.push.state import Subscription, Subscriptions, subscription_time
from sandbox.push.timing import Timing

if TYPE_CHECKING:
    import ssl


REMIND_BEFORE = timedelta(minutes=15)
"""How long before token or subscription end reauthorizationRequired is sent. Not documented."""
REMIND_EVERY = timedelta(minutes=5)
"""How often it is repeated until it is heeded. Not documented."""
_TICK = 0.5

type LifecycleEvent = Literal["reauthorizationRequired", "subscriptionRemoved", "missed"]
_CHANGE_TYPES = {"created": "created", "updated": "updated", "removed": "deleted"}


class Push:
    """The subscriptions of a world and their delivery, which runs in the server's event loop.

    `ordered`: the faults ordered from the world. `address_of`: a user's address by their id.
    `trust`: the certificate authorities that a notification URL may be of; set by the server.
    """

    def __init__(self, clock: Clock, ordered: Faults, grants: Grants, address_of: Callable[[str], str]) -> None:
        self._clock = clock
        self._faults = ordered
        self._grants = grants
        self._address_of = address_of
        self.subscriptions = Subscriptions()
        self.timing = Timing()
        self.trust: ssl.SSLContext | bool = True
        self.endpoints: dict[str, Endpoint] = {}
        self._lifecycle_shapes = cycle((_as_exchange_sends_it, _as_documented))
        self.client: httpx.AsyncClient
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Makes ready for the first subscription."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
            self.client = httpx.AsyncClient(verify=self.trust, limits=limits, trust_env=False)
            self._spawn(self._tick_forever())

    async def close(self) -> None:
        """Ends all delivery; notifications under way are lost."""
        if self._loop is None:
            return
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.aclose()

    def close_from_outside(self) -> None:
        """The same from another thread than the event loop's."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self.close(), self._loop).result(timeout=10)

    def changed(self, user_id: str, folder_id: str, change: Change) -> None:
        """Something has changed in a folder. From any thread."""
        loop, change_type, now = self._loop, _CHANGE_TYPES[change.kind], self._clock.now()
        for subscription in self.subscriptions.of_user(user_id):
            if loop and subscription.wants(folder_id, change_type) and subscription.expires_at > now:
                notification = Notification(subscription, _item(subscription, change, change_type))
                loop.call_soon_threadsafe(self._emit, notification)

    def lifecycle(self, subscription: Subscription, event: LifecycleEvent) -> None:
        """Sends a lifecycle event: https://learn.microsoft.com/graph/change-notifications-lifecycle-events.

        In the shape that Exchange is reported to send and in the documented one, in turn.
        """
        if subscription.lifecycle_url:
            body = next(self._lifecycle_shapes)(subscription, event)
            self._endpoint(subscription.lifecycle_url).add(Notification(subscription, body, lifecycle=True))

    def remove(self, subscription: Subscription, *, silent: bool) -> None:
        """Ends a subscription from Graph's side."""
        self.subscriptions.remove(subscription)
        if not silent:
            self.lifecycle(subscription, "subscriptionRemoved")

    def tick(self) -> None:
        """Ends what has expired, without a word, and reminds of what needs reauthorization."""
        now = self._clock.now()
        for subscription in self.subscriptions.all():
            if subscription.expires_at <= now:
                self.subscriptions.remove(subscription)
                continue
            soon = min(subscription.expires_at, subscription.authorized_until) - REMIND_BEFORE <= now
            reminded = subscription.reminded_at and now < subscription.reminded_at + REMIND_EVERY
            if (soon or not self._granted(subscription)) and not reminded:
                subscription.reminded_at = now
                if not self._faults.take(faults.WITHHOLD, address=self._address(subscription)):
                    self.lifecycle(subscription, "reauthorizationRequired")

    def _emit(self, notification: Notification) -> None:
        """Sends a notification on its way, past the faults."""
        address = self._address(notification.subscription)
        take = self._faults.take
        if not self._alive(notification) or take(faults.DROP, address=address):
            return
        seconds = 0.0
        if fault := take(faults.DELAY, address=address):
            seconds += float(fault["seconds"])
        if fault := take(faults.REORDER, address=address):
            seconds += random.uniform(0, float(fault["seconds"]))
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._add, notification)
        else:
            self._add(notification)

    def _add(self, notification: Notification) -> None:
        if self._loop is None:
            return
        subscription = notification.subscription
        address = self._address(subscription)
        endpoint = self._endpoint(subscription.notification_url)
        batch = self._faults.take(faults.BATCH, address=address)
        collect = float(batch["seconds"]) if batch else None
        if forge := self._faults.take(faults.FORGE, address=address):
            body = {**notification.body, "clientState": forge["clientState"]}
            endpoint.add(Notification(subscription, body), collect)
        repeat = self._faults.take(faults.REPEAT, address=address)
        for _ in range(1 + (int(repeat["times"]) if repeat else 0)):
            endpoint.add(notification, collect)

    def _endpoint(self, url: str) -> Endpoint:
        if url not in self.endpoints:
            self.endpoints[url] = Endpoint(
                url, self.client, self.timing, spawn=self._spawn, alive=self._alive, missed=self._missed
            )
        return self.endpoints[url]

    def _alive(self, notification: Notification) -> bool:
        """Whether it may be sent. What happens while a subscription lacks authorization is lost.

        The page on webhooks reads as if it were kept for retries; the one on lifecycle events says it is lost.
        """
        subscription = notification.subscription
        if notification.lifecycle:
            return True
        present = self.subscriptions.get(subscription.user_id, subscription.id) is subscription
        return present and self._granted(subscription) and self._clock.now() < subscription.authorized_until

    def _granted(self, subscription: Subscription) -> bool:
        return self._grants.in_force(subscription.user_id, subscription.grant_id)

    def _missed(self, notifications: list[Notification]) -> None:
        for subscription in {entry.subscription for entry in notifications if not entry.lifecycle}:
            self.lifecycle(subscription, "missed")

    def _address(self, subscription: Subscription) -> str:
        return self._address_of(subscription.user_id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            work.close()
            return
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tick_forever(self) -> None:
        while True:
            self.tick()
            await asyncio.sleep(_TICK)


def _item(subscription: Subscription, change: Change, change_type: str) -> dict[str, Any]:
    """https://learn.microsoft.com/graph/api/resources/changenotification, without resource data."""
    message = change.message
    message_id = message.immutable_id if subscription.immutable else change.shown_id
    resource = f"Users/{subscription.user_id}/Messages/{message_id}"
    data = {
        "@odata.type": "#Microsoft.Graph.Message",
        "@odata.id": resource,
        "@odata.etag": f'W/"{message.properties["changeKey"]}"',
        "id": message_id,
    }
    return {**_envelope(subscription), "changeType": change_type, "resource": resource, "resourceData": data}


def _envelope(subscription: Subscription) -> dict[str, Any]:
    return {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": subscription_time(subscription.expires_at),
        "clientState": subscription.client_state,
        "tenantId": subscription.tenant_id,
    }


def _as_documented(subscription: Subscription, event: LifecycleEvent) -> dict[str, Any]:
    return {**_envelope(subscription), "lifecycleEvent": event}


def _as_exchange_sends_it(subscription: Subscription, event: LifecycleEvent) -> dict[str, Any]:
    """Seen by many, documented nowhere: the tenant under another name, a time with an offset, nulls.

    https://github.com/microsoftgraph/msgraph-sdk-dotnet/issues/3103,
    https://github.com/microsoftgraph/msgraph-sdk-java/issues/1551
    """
    pacific = subscription.expires_at.astimezone(timezone(timedelta(hours=-8)))
    return {
        "lifecycleEvent": event,
        "subscriptionId": subscription.id,
        "resource": f"Subscriptions/{subscription.id}",
        "clientState": subscription.client_state,
        "sequence": None,
        "resourceData": {
            "@odata.type": "#microsoft.graph.subscription",
            "@odata.id": f"subscriptions/{subscription.id}",
            "id": subscription.id,
        },
        "encryptedContent": None,
        "organizationId": subscription.tenant_id,
        "subscriptionExpirationDateTime": f"{pacific:%Y-%m-%dT%H:%M:%S.%f}0-08:00",
    }
