"""What the program needs of the world. Adapters and fakes satisfy these; `tests/contracts/` holds them to it.

Methods raise only what `errors` names. Every remote call behind them has a timeout.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mailsync.models import (
    Account,
    AuthorizationRequest,
    DeltaPage,
    DueMailbox,
    Fetched,
    Grant,
    Hint,
    HistoryPage,
    Mailbox,
    Profile,
    SignInRecord,
    StoredMessage,
    StoredToken,
)

Clock = Callable[[], datetime]
"""The present, as an aware UTC datetime."""

GetToken = Callable[[], str]
"""An access token that is good now."""


class Directory(Protocol):
    """Entra: sign-in and tokens."""

    def begin(self, redirect_uri: str) -> AuthorizationRequest:
        """Starts an authorization-code flow (PKCE, state, nonce, form_post) for exactly the four scopes."""
        ...

    def complete(self, flow: Mapping[str, object], answer: Mapping[str, str]) -> Grant:
        """Exchanges the code of `answer`. Checks state and nonce; the other claims are the caller's to check.

        Raises Rejected with the reason of the refusal, Misconfigured, RetryLater.
        """
        ...

    def refresh(self, refresh_token: str) -> Grant:
        """A new access token. Raises ReconnectRequired, Rejected, Misconfigured, RetryLater."""
        ...

    def admin_consent_url(self, redirect_uri: str, state: str) -> str:
        """The page on which an administrator allows the four scopes for the whole organization."""
        ...


class MailService(Protocol):
    """Graph, as one signed-in user. Raises RetryLater, AccessDenied, Rejected, and what its token's source raises."""

    def me(self) -> Profile:
        """The signed-in user."""
        ...

    def folder_id(self, folder: str) -> str:
        """Graph's id of a folder given by well-known name or id."""
        ...

    def count(self, folder: str, since: datetime) -> int:
        """How many messages of the folder were received since."""
        ...

    def start_delta(self, folder: str, since: datetime | None) -> DeltaPage:
        """The first page of an enumeration, newest first; `since` None for no filter. Raises FilterRefused."""
        ...

    def follow_delta(self, link: str) -> DeltaPage:
        """The page behind a next or delta link. Raises SyncStateLost; Rejected for a link to another host."""
        ...

    def history(self, folder: str, since: datetime, before: datetime | None, skip: int) -> HistoryPage:
        """Messages received in [since, before] (before None: up to now), newest first, `skip` passed over."""
        ...

    def messages(self, ids: Sequence[str]) -> Fetched:
        """Whole messages by immutable id: what could be read, and which of them Graph refused after some tries."""
        ...


class MailServiceFactory(Protocol):
    """Makes Graph as one user. `fresh_token` gives a new token where Graph refuses the one it was given."""

    def __call__(self, get_token: GetToken, fresh_token: GetToken | None = None) -> MailService:
        """Graph as the user whose tokens these are."""
        ...


class SubscriptionService(Protocol):
    """Graph's change-notification subscriptions, as one signed-in user.

    Raises RetryLater, AccessDenied; Rejected('subscription_gone') for one that is no more,
    Rejected('subscription_exists') for a second of the same kind, Rejected('subscription_too_long') where Graph
    refuses the life asked for, other Rejected (quota, handshake failed) with reasons of their own.
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


class TokenVault(Protocol):
    """Where refresh tokens live: one secret a mailbox. Raises RetryLater, Misconfigured."""

    def load(self, mailbox_id: str) -> StoredToken | None:
        """The secret, or None where there is none."""
        ...

    def save(self, mailbox_id: str, token: StoredToken) -> None:
        """Writes the secret; a soft-deleted one of that name is recovered first."""
        ...

    def delete(self, mailbox_id: str) -> None:
        """Deletes the secret where it exists."""
        ...


class MailboxStore(Protocol):
    """Mailbox records and the poll schedule, which always agree: both change in one transaction."""

    def get(self, mailbox_id: str) -> Mailbox | None:
        """The record, or None."""
        ...

    def save(self, mailbox: Mailbox) -> Mailbox:
        """Writes the record if it is still the one that was read (`version`; None: must not exist yet).

        The schedule follows `next_poll_at`; None takes the mailbox off it. Returns the record with its new
        version and due key. Raises StaleWrite.
        """
        ...

    def list(self) -> Iterator[Mailbox]:
        """Every mailbox, in no order."""
        ...

    def due(self, now: datetime) -> Iterator[DueMailbox]:
        """Entries whose time has come. What it costs follows their number, not that of all mailboxes."""
        ...

    def mark_queued(self, entry: DueMailbox, now: datetime) -> None:
        """Notes that a hint was sent; an entry that has gone since is no error."""
        ...


class MessageStore(Protocol):
    """Rows of the table `messages` with their index by message id, and bodies too long for a row."""

    def find(self, mailbox_id: str, message_ids: Iterable[str], *, rows: bool = True) -> dict[str, StoredMessage]:
        """What is stored of these ids; with `rows` False the index alone, without columns."""
        ...

    def write(self, mailbox_id: str, messages: Sequence[StoredMessage]) -> None:
        """Writes rows whole, each with its index entry in one transaction. Repeatable after a crash.

        An entry without version must not exist yet, one with a version must be unchanged: else StaleWrite,
        and some of the others may have been written.
        """
        ...

    def row_keys(self, mailbox_id: str, folder_id: str, first: datetime, last: datetime) -> dict[str, str]:
        """Row key by message id of a folder's rows received from `first` to `last`, by their `parentFolderId`.

        What it costs follows the number of rows in that time, and is a hundredth of finding each.
        """
        ...

    def unseen(self, mailbox_id: str, folder_id: str, generation: int, since: datetime) -> Iterator[StoredMessage]:
        """Index entries of a folder not seen since before `generation`, received since, not marked removed."""
        ...


class AccountStore(Protocol):
    """Accounts and what they claim: an address or a domain belongs to one account at the most."""

    def add(self, account: Account) -> None:
        """Adds an account. Raises Rejected where the id, an address or a domain is taken."""
        ...

    def get(self, account_id: str) -> Account | None:
        """One account, or None."""
        ...

    def list(self) -> Iterator[Account]:
        """Every account, by id."""
        ...

    def claimed_by(self, address: str) -> tuple[Account, str | None] | None:
        """The account that admits `address`, and the domain by which it does (None: by exact address)."""
        ...

    def pin_tenant(self, account_id: str, domain: str, tenant_id: str) -> str:
        """Pins the tenant of a domain unless one is pinned; returns the pinned one, whoever was first."""
        ...

    def pin_mailbox(self, account_id: str, address: str, mailbox_id: str) -> str:
        """Pins the tenant and user of an exact address unless some are pinned; returns the pinned mailbox id."""
        ...

    def release(self, account_id: str, claim: str) -> Account:
        """Takes the pin off an address or domain, for the next who connects by it; returns the account.

        Raises Rejected for an account or claim that there is not, or that is not pinned.
        """
        ...


class SignInStore(Protocol):
    """Short-lived, one-time records of the sign-in."""

    def put(self, record: SignInRecord) -> None:
        """Stores a record under a key that does not exist yet."""
        ...

    def get(self, key: str) -> SignInRecord | None:
        """The record, expired or not, or None."""
        ...

    def take(self, record: SignInRecord) -> bool:
        """Deletes the record as it was read; False where somebody was faster."""
        ...

    def purge(self, now: datetime) -> int:
        """Deletes what has expired; returns how many."""
        ...


class HintQueue(Protocol):
    """The queue `mailbox-sync`."""

    def send(self, hint: Hint, delay: float = 0) -> None:
        """Queues a hint that becomes visible after `delay` seconds. Raises RetryLater."""
        ...


class AsyncHintQueue(Protocol):
    """The same queue, for code on an event loop."""

    async def send(self, hint: Hint, delay: float = 0) -> None:
        """Queues a hint that becomes visible after `delay` seconds. Raises RetryLater."""
        ...
