"""Graph's subscriptions and the keys that sign clientStates. `tests/contracts/` holds adapters and fakes to these."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from mailsync.push.records import Notification
from mailsync.tokens.ports import GetToken


class SubscriptionService(Protocol):
    """Graph's change-notification subscriptions, as one signed-in user.

    Raises RetryLater, AccessDenied; SubscriptionGone for one that is no more, SubscriptionExists for a second of the
    same kind, SubscriptionTooLong where Graph refuses the life asked for, FolderNotFound for a folder that the mailbox
    lacks, other Rejected (quota, handshake failed) with reasons of their own.
    """

    def create(self, folder: str, client_state: str, expires_at: datetime) -> tuple[str, datetime]:
        """Subscribes to created, updated and deleted messages of a folder; the id, and the end Graph grants."""
        ...

    def renew(self, subscription_id: str, expires_at: datetime) -> datetime:
        """Renews and reauthorizes; the end that Graph grants."""
        ...

    def delete(self, subscription_id: str) -> None:
        """Deletes it; one that is no more is no error."""
        ...

    def existing(self) -> dict[str, str]:
        """Folder by id of all subscriptions to folders that this app has for this user, whatever URL they notify."""
        ...


class SubscriptionServiceFactory(Protocol):
    """Makes the subscriptions of one user, as `MailServiceFactory` makes the mail."""

    def __call__(self, get_token: GetToken, fresh_token: GetToken | None = None) -> SubscriptionService:
        """Subscriptions of the user whose tokens these are."""
        ...


class NotificationReader(Protocol):
    """How Graph writes what it posts to the webhook."""

    def read(self, body: bytes) -> Sequence[Notification]:
        """The notifications of a POST without oddities; fast. Raises ValueError or RecursionError for any other."""
        ...

    def read_tolerantly(self, body: bytes) -> tuple[Sequence[Notification], int]:
        """The notifications of a POST in which something is odd, and how many of its items are none; slow.

        Raises BadNotifications.
        """
        ...


class SigningKeys(Protocol):
    """The keys that sign clientStates: in Key Vault, kept in memory once read."""

    def current(self) -> tuple[str, bytes]:
        """Id and bytes of the key to sign with; made where there is none yet. Raises RetryLater, Misconfigured."""
        ...

    def find(self, key_id: str) -> bytes | None:
        """A key to verify with; an unknown id costs no remote call more often than once a minute."""
        ...

    def find_in_memory(self, key_id: str) -> bytes | None:
        """`find` without a call. Raises LookupError where one is due."""
        ...

    def rotate(self) -> str:
        """Makes a new key; the one before stays good for verifying. Returns the new id.

        It becomes the current one two minutes later, when whoever meets it can know it.
        """
        ...

    def rotate_when_older(self, age: timedelta) -> str | None:
        """`rotate` where there are keys and the newest is older; None where not, or where somebody else does it."""
        ...
