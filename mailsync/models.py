"""The records the program works on. All are immutable; times are aware UTC datetimes.

Nothing here knows how or where a record is stored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from mailsync.errors import MailsyncError

MOST_CREATED = 50
"""Ids of new messages that one hint names; delta shows the others without being told."""

MOST_SUBSCRIPTIONS = 20

MESSAGE_ID = re.compile(r"\A[!#-\[\]-~]{1,512}\Z")
SUBSCRIPTION_ID = re.compile(r"\A[!#-\[\]-~]{1,64}\Z")
"""Visible ASCII, of which JSON escapes none. With these limits a hint stays below the 48 KiB of a queue message, and
what is looked for below the 64 KiB of a property."""

GRAPH_SCOPES = ("User.Read", "Mail.Read")
"""The delegated Graph permissions asked for."""

ALL_SCOPES = ("openid", "offline_access", *GRAPH_SCOPES)
"""Everything that is asked for at sign-in, and the whole of it."""

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_guid(text: str) -> bool:
    """Whether `text` is a GUID, lower case."""
    return _GUID.fullmatch(text) is not None


def mailbox_id(tenant_id: str, user_id: str) -> str:
    """`<tenant id>-<user id>`, lower case: the identity that no foreign tenant can forge.

    Raises ValueError where either is not a GUID.
    """
    parts = tenant_id.lower(), user_id.lower()
    if not all(map(is_guid, parts)):
        raise ValueError("tenant id and user id must be GUIDs")
    return "-".join(parts)


def is_mailbox_id(text: str) -> bool:
    """Whether `text` has the form that `mailbox_id` gives."""
    return len(text) == 73 and text[36] == "-" and all(map(is_guid, (text[:36], text[37:])))


class MailboxState(StrEnum):
    """`active` mailboxes are polled; the others wait for somebody."""

    ACTIVE = "active"
    NEEDS_RECONNECT = "needs_reconnect"
    DISCONNECTED = "disconnected"


class PushState(StrEnum):
    """Whether Graph tells of new mail. `off`: not subscribed yet; `degraded`: polling stands in for it."""

    OFF = "off"
    HEALTHY = "healthy"
    DEGRADED = "degraded"


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the walk through older mail stands: newest first, by received time.

    `before`: messages received at or before this are still to be read (None: not begun).
    `skip`, `anchor`: where one page was not enough for those at exactly `before`: the place and the id of the
    last one read.
    `total`: messages in the window as Graph counted them beforehand; `read`: how many have been read.
    """

    before: datetime | None = None
    skip: int = 0
    anchor: str = ""
    total: int | None = None
    read: int = 0
    done: bool = False


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Graph change-notification subscription to one folder, as Graph granted it.

    `nonce` and `key_id` are in its clientState (see `client_state`). `made_at`: when it was made, `renewed_at`:
    when Graph last confirmed it.
    """

    id: str
    nonce: str
    key_id: str
    expires_at: datetime
    made_at: datetime
    renewed_at: datetime


class Folder(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of one followed folder.

    `name`: as in MAIL_FOLDERS, a well-known name or an id. `folder_id`: Graph's own id of it.
    `since`: the start of the window. `generation`: counts enumerations; each that begins is another.
    `cursor`: the next or delta link to follow, verbatim; None: start an enumeration.
    `enumerating`: its first round is not complete. `enumerated`: messages it has returned.
    `filtered`: the delta query carries the window as its filter, and so is capped by Graph.
    `history`: the walk beside the delta; None: none is needed. `subscription`: Graph's push for this folder.
    `problem`: why this mailbox's folder can't be read, a reason code; it is asked for again with each run.
    """

    name: str
    since: datetime
    folder_id: str | None = None
    generation: int = 0
    cursor: str | None = None
    enumerating: bool = True
    enumerated: int = 0
    filtered: bool = True
    history: History | None = None
    subscription: Subscription | None = None
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything in the window has been read once in this generation."""
        return not self.enumerating and (self.history is None or self.history.done)


class Looking(msgspec.Struct, frozen=True, omit_defaults=True):
    """Messages that Graph told of and delta has not shown, and when they are looked for again (see `looks`).

    `due_at`: the next look, for which a hint of that time is in the queue. `done`: looks in vain since an id came.
    """

    ids: tuple[str, ...]
    due_at: datetime
    done: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one mailbox until `expires_at`. `started_at`: when this run began."""

    owner: str
    started_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One connected inbox: who it is, how it fares, where its reading stands.

    `address` is the user principal name, `mail` is only shown. `connected_at`: the first consent,
    `granted_at`: the latest. `last_sync_started_at`: when the last run began that read everything new.
    `not_before`: no Graph call until then.
    `denied_since`: since when Graph has denied access, `denials` times without a page in between.
    `messages` and `removed` count rows written and rows marked removed.
    `token_holder`: the instance that has the newest refresh token in memory, because the vault has not taken it;
    the others leave the mailbox to it until `token_held_until`. `reserved_until`: somebody waits for the lease who
    cannot step aside.
    `push_reason`: why push is degraded; `push_retry_at`: when it is tried again, `push_failures` in a row so far.
    `looking`: what Graph told of and delta has not shown yet.
    `version` and `due_key` belong to the store: what the record was when it was read.
    """

    id: str
    account_id: str
    address: str
    mail: str = ""
    display_name: str = ""
    state: MailboxState = MailboxState.ACTIVE
    connected_at: datetime
    granted_at: datetime | None = None
    folders: tuple[Folder, ...] = ()
    next_poll_at: datetime | None = None
    not_before: datetime | None = None
    last_sync_started_at: datetime | None = None
    last_success_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error_reason: str = ""
    last_error_message: str = ""
    failures: int = 0
    denied_since: datetime | None = None
    denials: int = 0
    messages: int = 0
    removed: int = 0
    push: PushState = PushState.OFF
    push_reason: str = ""
    push_retry_at: datetime | None = None
    push_failures: int = 0
    last_notification_at: datetime | None = None
    looking: Looking | None = None
    token_holder: str = ""
    token_held_until: datetime | None = None
    reserved_until: datetime | None = None
    lease: Lease | None = None
    version: str | None = None
    due_key: str | None = None


@dataclass(frozen=True, slots=True)
class DueMailbox:
    """An entry of the poll schedule: `key` is the store's, `queued_at` when a hint was last sent for it."""

    key: str
    mailbox_id: str
    queued_at: datetime | None = None


type _Ids[Id] = Annotated[tuple[Id, ...], Meta(max_length=MOST_SUBSCRIPTIONS)]
type _MessageId = Annotated[str, Meta(pattern=MESSAGE_ID.pattern)]
type _SubscriptionId = Annotated[str, Meta(pattern=SUBSCRIPTION_ID.pattern)]
type _Nonce = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,22}\Z")]


class Hint(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A message on the queue: this mailbox may have news, seen at `at`. Holds ids and times, never content.

    `continues`: a run that stopped at its budget goes on, whatever has been completed since.
    `pushed`: Graph itself told of it. `created`: ids of new messages that it named, which delta may not show
    yet; `looks`: which look for such messages this is, whose ids the mailbox's record keeps.
    `renew`, `removed`: subscriptions that Graph wants reauthorized, or has removed.
    `nonces`: those of the subscriptions that the notifications were of; older versions name none.
    """

    mailbox_id: str
    at: datetime
    continues: bool = False
    pushed: bool = False
    created: Annotated[tuple[_MessageId, ...], Meta(max_length=MOST_CREATED)] = ()
    looks: Annotated[int, Meta(ge=0, le=10)] = 0
    renew: _Ids[_SubscriptionId] = ()
    removed: _Ids[_SubscriptionId] = ()
    nonces: _Ids[_Nonce] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """What Graph said of one message, in contract columns; only what it said.

    `columns` maps contract names to str, bool or datetime (`receivedDateTime`, `sentDateTime`);
    `toRecipients`, `ccRecipients`, `replyTo` and `headers` are JSON lists, `body` the whole text.
    `removed`: gone from the folder; `columns` is empty then.
    """

    id: str
    columns: Mapping[str, str | bool | datetime] = field(default_factory=dict, repr=False)
    removed: bool = False

    @property
    def received(self) -> datetime | None:
        """When it was received, where Graph said so."""
        value = self.columns.get("receivedDateTime")
        return value if isinstance(value, datetime) else None


@dataclass(frozen=True, slots=True)
class DeltaPage:
    """One page of a delta round, in order. `link` is the next link, or the delta link where `last`."""

    messages: tuple[Message, ...]
    link: str
    last: bool


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page by received time, newest first. `more`: another page follows."""

    messages: tuple[Message, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of asking for messages by id: `found` ones, and why others were `refused`.

    A message in neither is no more. A refusal is a word about that message, and none about its mailbox, whatever
    its class; only a RetryLater with a time says that Graph wants to be left alone.
    """

    found: Mapping[str, Message] = field(default_factory=dict)
    refused: Mapping[str, MailsyncError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What the table holds of one message.

    `row_key` is None for a removal that came before the message itself (see `sync`).
    `generation`: when it was last seen; `removed_generation`: when it was seen removed, 0 for never.
    `columns`: the row without its keys, long texts joined; empty where only the index was read.
    `version`, `index_version`: the store's, of the row and of its index entry.
    """

    message_id: str
    row_key: str | None
    folder_id: str
    generation: int
    removed_generation: int = 0
    columns: Mapping[str, str | bool | datetime] = field(default_factory=dict, repr=False)
    version: str | None = None
    index_version: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """The signed-in user as `GET /me` tells it."""

    user_id: str
    address: str
    mail: str = ""
    display_name: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A Siftrock account and the inboxes it admits: exact addresses, domains, and whom they are pinned to so far."""

    id: str
    name: str
    addresses: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    tenant_ids: Mapping[str, str] = field(default_factory=dict)
    """Pinned tenant id by domain."""
    mailbox_ids: Mapping[str, str] = field(default_factory=dict)
    """Pinned mailbox id, which is tenant and user, by exact address."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A sign-in that has begun: where to send the browser, and MSAL's flow, which holds secrets."""

    url: str
    state: str = field(repr=False)
    flow: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint gave. `claims` are those of the id_token, not yet checked; empty on refresh."""

    access_token: str = field(repr=False)
    expires_at: datetime
    refresh_token: str | None = field(repr=False)
    scopes: frozenset[str]
    claims: Mapping[str, object] = field(default_factory=dict, repr=False)


class StoredToken(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a mailbox's secret. `version` is that of this shape."""

    version: int = 1
    refresh_token: str
    scopes: tuple[str, ...]
    saved_at: datetime

    def __repr__(self) -> str:
        return f"StoredToken(version={self.version}, saved_at={self.saved_at.isoformat()})"


@dataclass(frozen=True, slots=True)
class SignInRecord:
    """A pending sign-in or its outcome, kept for minutes under the hash of what the browser holds.

    `payload` is opaque here: sealed with the browser's own cookie, so the table alone opens nothing.
    """

    key: str
    payload: str = field(repr=False)
    expires_at: datetime
    version: str | None = None
