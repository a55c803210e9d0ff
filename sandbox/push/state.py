"""The change-notification subscriptions that exist."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

MAX_PER_MAILBOX = 1000
"""https://learn.microsoft.com/graph/outlook-change-notifications-overview"""


@dataclass(slots=True, eq=False, kw_only=True)
class Subscription:
    """One subscription.

    `folder_id` None: the whole mailbox. `immutable`: which ids its notifications carry. `grant_id` and
    `authorized_until` are those of the access token that created or last reauthorized it. `reminded_at`: when a
    reauthorizationRequired was last due.
    """

    app_id: str
    user_id: str
    tenant_id: str
    resource: str
    folder_id: str | None
    change_types: frozenset[str]
    client_state: str | None = field(repr=False)
    notification_url: str
    lifecycle_url: str | None
    tls_version: str
    immutable: bool
    expires_at: datetime
    grant_id: str
    authorized_until: datetime
    reminded_at: datetime | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def combination(self) -> tuple[str, str | None, frozenset[str]]:
        """What no two subscriptions of a user may share."""
        return self.app_id, self.folder_id, self.change_types

    def wants(self, folder_id: str, change_type: str) -> bool:
        """Whether a change of that type in that folder is its business."""
        return change_type in self.change_types and self.folder_id in {None, folder_id}


def subscription_time(when: datetime) -> str:
    """A time as Graph writes it for subscriptions: UTC, seven digits after the second."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


class Subscriptions:
    """All of them, by user. Reading is safe from any thread."""

    def __init__(self) -> None:
        self._by_user: dict[str, dict[str, Subscription]] = {}

    def all(self) -> list[Subscription]:
        """Every subscription."""
        return [entry for user_id in list(self._by_user) for entry in self.of_user(user_id)]

    def of_user(self, user_id: str) -> list[Subscription]:
        """Those on a user's mailbox, oldest first."""
        return list(self._by_user.get(user_id, {}).values())

    def get(self, user_id: str, subscription_id: str) -> Subscription | None:
        """One of a user's subscriptions, or None."""
        return self._by_user.get(user_id, {}).get(subscription_id)

    def add(self, subscription: Subscription) -> None:
        """Puts one in force."""
        self._by_user.setdefault(subscription.user_id, {})[subscription.id] = subscription

    def remove(self, subscription: Subscription) -> None:
        """Ends one, if it has not ended."""
        self._by_user.get(subscription.user_id, {}).pop(subscription.id, None)
