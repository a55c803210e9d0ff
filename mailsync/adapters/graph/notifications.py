"""The port `NotificationReader`: what Graph posts to the webhook.

A change notification names a message, a lifecycle notification an event:

    {"value": [{"subscriptionId": "7f…", "clientState": "…", "tenantId": "84…", "changeType": "created",
                "resource": "Users/48…/Messages/AAMk…", "resourceData": {"id": "AAMk…"}},
               {"subscriptionId": "7f…", "clientState": "…", "organizationId": "84…", "lifecycleEvent": "missed"}]}

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
https://learn.microsoft.com/graph/change-notifications-lifecycle-events
"""

import re
from collections import Counter
from typing import Annotated

import msgspec

from mailsync.adapters import json_reader
from mailsync.adapters.json_reader import ESSENTIAL, Losses
from mailsync.errors import BadNotifications
from mailsync.push.records import Notification

MOST_TOLERATED = 256 * 1024
"""Bytes of a body that is read tolerantly where strict reading fails: that takes a hundred times as long, and anybody
can post."""

_USER = re.compile(r"/?users/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/", re.IGNORECASE)


class _ResourceData(msgspec.Struct, frozen=True):
    id: str = ""


class _Item(msgspec.Struct, frozen=True, rename="camel"):
    """A change notification or a lifecycle notification; either URL may get either.

    https://learn.microsoft.com/graph/api/resources/changenotification

    Exchange is reported to give the tenant of lifecycle notifications as `organizationId`, which is documented
    nowhere: https://github.com/microsoftgraph/msgraph-sdk-dotnet/issues/3103
    """

    subscription_id: str
    tenant_id: Annotated[str | None, ESSENTIAL] = None
    organization_id: Annotated[str | None, ESSENTIAL] = None
    client_state: str | None = None
    change_type: str | None = None
    lifecycle_event: str | None = None
    resource: Annotated[str | None, ESSENTIAL] = None
    resource_data: _ResourceData | None = None


class _Collection(msgspec.Struct, frozen=True):
    value: tuple[_Item, ...]


_decoder = msgspec.json.Decoder(_Collection)


def read(body: bytes) -> list[Notification]:
    """The notifications of a POST in which nothing is odd. Raises ValueError or RecursionError for any other."""
    return [_notification(item) for item in _decoder.decode(body).value]


def read_tolerantly(body: bytes) -> tuple[list[Notification], int]:
    """The notifications of a POST in which something is odd, and how many of its items are none.

    Raises Rejected `bad_notifications`.
    """
    losses: Losses = Counter()
    try:
        # The end of a longer body is cut off, and what is left is no JSON.
        items = json_reader.read(body[:MOST_TOLERATED], _decoder, on_loss=losses.update).value
    except json_reader.Unreadable as error:
        raise BadNotifications("The body is not a collection of change notifications.") from error
    return [_notification(item) for item in items], losses["an entry of value"]


def _notification(item: _Item) -> Notification:
    user = _USER.match(item.resource or "")
    created = item.resource_data.id if item.resource_data and (item.change_type or "").lower() == "created" else ""
    return Notification(
        item.subscription_id,
        item.client_state or "",
        tuple(tenant.lower() for tenant in (item.tenant_id, item.organization_id) if tenant),
        user[1].lower() if user else "",
        created,
        (item.lifecycle_event or "").lower(),
    )
