"""The port `SubscriptionService` over Microsoft Graph: each method is one operation, linked to its reference page.

What Graph asks of a subscription: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated
from urllib.parse import quote

import msgspec

from mailsync.adapters import json_reader
from mailsync.adapters.graph.errors import error_of, is_about
from mailsync.adapters.graph.formats import read_answer, time_text
from mailsync.adapters.graph.transport import UserTransport
from mailsync.adapters.http import Answer
from mailsync.adapters.json_reader import ESSENTIAL
from mailsync.errors import (
    AccessDenied,
    FolderNotFound,
    GraphUnavailable,
    MailsyncError,
    Rejected,
    RetryLater,
    SubscriptionExists,
    SubscriptionGone,
    SubscriptionTooLong,
)
from mailsync.reasons import Reason
from mailsync.schedule.records import SUBSCRIPTION_ID

_LONGEST = timedelta(minutes=10_080)
"""The longest life of a subscription to messages: https://learn.microsoft.com/graph/change-notifications-overview."""

_RESOURCE = re.compile(r"mailfolders(?:\('([^']+)'\)|/([^/']+))/messages/?", re.IGNORECASE)


_MOST_PAGES = 50
"""Pages of a list of subscriptions, at the most: a user has a handful, and Graph is reported to give endless links."""


class _Subscription(msgspec.Struct, frozen=True, rename="camel"):
    id: Annotated[str, msgspec.Meta(pattern=SUBSCRIPTION_ID.pattern)]
    expiration_date_time: datetime
    resource: str = ""


class _Page(msgspec.Struct, frozen=True):
    value: list[_Subscription]
    next_link: Annotated[str | None, ESSENTIAL] = msgspec.field(default=None, name="@odata.nextLink")


_read_subscription = partial(json_reader.read, decoder=msgspec.json.Decoder(_Subscription))
_read_page = partial(json_reader.read, decoder=msgspec.json.Decoder(_Page))


class GraphSubscriptions:
    """One user's subscriptions.

    `notification_url`, `lifecycle_url`: where Graph posts. It calls both while `create` waits for its answer.
    """

    def __init__(self, transport: UserTransport, *, notification_url: str, lifecycle_url: str) -> None:
        self._transport = transport
        self._notification_url = notification_url
        self._lifecycle_url = lifecycle_url

    def create(self, folder: str, client_state: str, expires_at: datetime) -> tuple[str, datetime]:
        """POST /subscriptions: https://learn.microsoft.com/graph/api/subscription-post-subscriptions."""
        body = {
            "changeType": "created,updated,deleted",
            "notificationUrl": self._notification_url,
            "lifecycleNotificationUrl": self._lifecycle_url,
            "resource": f"me/mailFolders('{folder}')/messages",
            "expirationDateTime": time_text(expires_at),
            "clientState": client_state,
            "latestSupportedTlsVersion": "v1_2",
        }
        made = self._change("create_subscription", "POST", "/subscriptions", body)
        return made.id, _end(made, expires_at)

    def renew(self, subscription_id: str, expires_at: datetime) -> datetime:
        """PATCH /subscriptions/{id}: https://learn.microsoft.com/graph/api/subscription-update.

        It reauthorizes too: https://learn.microsoft.com/graph/change-notifications-lifecycle-events.
        """
        body = {"expirationDateTime": time_text(expires_at)}
        return _end(self._change("renew_subscription", "PATCH", _path(subscription_id), body), expires_at)

    def delete(self, subscription_id: str) -> None:
        """DELETE /subscriptions/{id}: https://learn.microsoft.com/graph/api/subscription-delete."""
        with suppress(SubscriptionGone):
            self._transport.change("delete_subscription", "DELETE", _path(subscription_id), None, _refusal)

    def existing(self) -> dict[str, str]:
        """GET /subscriptions: https://learn.microsoft.com/graph/api/subscription-list."""
        operation = "list_subscriptions"
        page = read_answer(operation, self._transport.get(operation, "/subscriptions"), _read_page)
        found = list(page.value)
        for _ in range(_MOST_PAGES):
            if not page.next_link:
                break
            page = read_answer(operation, self._transport.follow(operation, page.next_link), _read_page)
            found += page.value
        return {one.id: folder for one in found if (folder := _folder(one.resource))}

    def _change(self, operation: str, method: str, path: str, body: dict[str, str]) -> _Subscription:
        raw = self._transport.change(operation, method, path, msgspec.json.encode(body), _refusal)
        return read_answer(operation, raw, _read_subscription)


def _refusal(operation: str, answer: Answer, now: datetime) -> MailsyncError:
    """403 is no loss of the grant here: an administrator or a quota may keep from a subscription, not from the mail."""
    error = error_of(operation, answer, now)
    if isinstance(error, RetryLater | AccessDenied) and answer.status != 403:
        return error
    said = error.message.partition(";")[0]
    if answer.status in (404, 410):
        return FolderNotFound(said) if operation == "create_subscription" else SubscriptionGone(said)
    if answer.status == 409:
        return SubscriptionExists(said)
    if answer.status == 400 and is_about(answer, "expiration"):
        return SubscriptionTooLong(said)
    return Rejected(_reason(answer), said)


def _reason(answer: Answer) -> Reason:
    if answer.status == 403:
        is_quota = is_about(answer, "quota", "maximum")
        return Reason.SUBSCRIPTION_QUOTA if is_quota else Reason.SUBSCRIPTION_FORBIDDEN
    if answer.status == 400 and is_about(answer, "validation"):
        return Reason.HANDSHAKE_FAILED
    return Reason.SUBSCRIPTION_REFUSED


def _folder(resource: str) -> str:
    """The folder that a resource names; "" where it names none alone."""
    found = _RESOURCE.search(resource)
    return (found[1] or found[2]) if found else ""


def _end(granted: _Subscription, asked: datetime) -> datetime:
    """The end that Graph grants, in UTC where it names no zone: no later than was asked for, nor long past."""
    end = granted.expiration_date_time
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    if not asked - _LONGEST < end:
        raise GraphUnavailable("the subscription's end is one that cannot be")
    return min(end, asked)


def _path(subscription_id: str) -> str:
    return f"/subscriptions/{quote(subscription_id, safe='')}"
