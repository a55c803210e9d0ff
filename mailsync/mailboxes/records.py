"""The record of a connected inbox: who it is, how it fares, where its reading stands. Times are aware UTC datetimes."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto

import msgspec


class MailboxState(StrEnum):
    """`active` mailboxes are polled; the others wait for somebody."""

    ACTIVE = "active"
    NEEDS_RECONNECT = "needs_reconnect"
    DISCONNECTED = "disconnected"


class PushState(Enum):
    """Whether Graph tells of new mail. In all but `TRUSTED`, polling stands in for it.

    `OFF`: never subscribed, or let go. `TRUSTED`: Graph is relied on to tell. `SILENT`: subscribed anew after Graph
    did not tell of mail; trusted once it tells of some. `DEGRADED`: something failed, and is tried again at a time.
    `LOST`: the subscriptions are worth nothing, and the next run sees to them.
    """

    OFF = auto()
    TRUSTED = auto()
    SILENT = auto()
    DEGRADED = auto()
    LOST = auto()

    @property
    def shown(self) -> str:
        """As it is stored and shown: `off`, `healthy`, `degraded`."""
        return {PushState.OFF: "off", PushState.TRUSTED: "healthy"}.get(self, "degraded")


@dataclass(frozen=True, slots=True)
class Push:
    """Push of one mailbox: see `push/trust.py` for what leads from one state to another.

    `reason`: why push is not trusted, "" where nothing is wrong. `until`: when it is tried again, of `DEGRADED` alone.
    `failures`: in a row so far.
    """

    state: PushState = PushState.OFF
    reason: str = ""
    until: datetime | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class LastError:
    """How the last run of a mailbox failed.

    `reason`: a reason code, perhaps one of another version. `failures`: failed runs in a row, since a message was
    last stored.
    """

    at: datetime
    reason: str
    message: str
    failures: int = 1


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the walk through older mail stands: newest first, by received time.

    `before`: messages received at or before this are still to be read (None: not begun).
    `anchor`: the last message read, with which the next page begins, so that messages of one instant are not lost
    between two pages. `skip`: messages to skip to come to it. `restarts`: how often it was not there.
    `total`: messages in the window as Graph counted them beforehand, None where it gave no count; `read`: how
    many have been read, each once.
    `page_size`: messages to ask for while a page that fails is narrowed down, 0 for as many as usual.
    `tries`: runs in a row that came no further.
    """

    before: datetime | None = None
    skip: int = 0
    anchor: str = ""
    total: int | None = None
    read: int = 0
    done: bool = False
    page_size: int = 0
    tries: int = 0
    restarts: int = 0


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Graph change-notification subscription to one folder, as Graph granted it.

    `nonce` and `key_id` are in its clientState (`push/client_state.py`); `key_id` is empty once that key is kept no
    longer. `made_at`: when it was made, `renewed_at`: when Graph last confirmed it.
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
    `since`: the start of the window. `generation`: the number of the latest enumeration, counted as each begins.
    `cursor`: the next or delta link to follow, verbatim; None: start an enumeration.
    `enumerating`: the round that enumerates is not complete. `enumerated`: messages that it has returned.
    `filtered`: the delta query carries the window as its filter, and so is capped by Graph.
    `history`: the walk beside the delta; None: none is needed. `subscription`: Graph's push for this folder.
    `problem`: the reason code of a folder that cannot be read; each run asks for the folder again.
    `counted`: messages in the window as Graph counted them when the enumeration began, at `counted_at`.
    `tries`: runs in a row that came no further than the cursor. `page_size`: messages to ask for while a page
    that fails is narrowed down, 0 for as many as usual. `narrow`: delta is asked for few properties, since it
    fails with all of them. `reached`: the received time down to which a narrow enumeration has come. `reaches`: delta
    follows only mail received since this time, because it fails over an older message.
    `idle`: for how many pages this round has brought nothing new, as `sync/delta_reader.py` weighs them. `astray`: how
    often a round has led nowhere.
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
    counted: int | None = None
    counted_at: datetime | None = None
    tries: int = 0
    page_size: int = 0
    narrow: bool = False
    reached: datetime | None = None
    reaches: datetime | None = None
    idle: int = 0
    astray: int = 0

    @property
    def complete(self) -> bool:
        """Whether everything in the window has been read once in this generation."""
        return not self.enumerating and (self.history is None or self.history.done)


class Looking(msgspec.Struct, frozen=True, omit_defaults=True):
    """Messages that Graph told of and delta has not shown, and when they are looked for again (`sync/looks.py`).

    `due_at`: the next look, for which a hint of that time is in the queue. `done`: looks in vain since an id came.
    """

    ids: tuple[str, ...]
    due_at: datetime
    done: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one mailbox until `expires_at`. `started_at`: when its hold began."""

    owner: str
    started_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One connected inbox: who it is, how it fares, where its reading stands.

    `address` is the user principal name, `mail` is only shown. `connected_at`: the first consent,
    `granted_at`: the latest. `last_error`: None where the last run went well.
    `last_sync_started_at`: when the last run began that read everything new.
    `not_before`: no Graph call until then.
    `denied_since`: since when Graph has denied access, `denials` times without a page in between.
    `messages` and `removed` count rows written and rows marked removed.
    `token_holder`: the instance that has the newest refresh token in memory, because the vault has not taken it;
    the others leave the mailbox to it until `token_held_until`. `reserved_until`: how long the
    mailbox is kept for somebody who waits for the lease.
    `looking`: what Graph told of and delta has not shown yet.
    `version` and `due_key` belong to the store: which record was read, and where it stood in the schedule.
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
    last_error: LastError | None = None
    denied_since: datetime | None = None
    denials: int = 0
    messages: int = 0
    removed: int = 0
    push: Push = Push()
    last_notification_at: datetime | None = None
    looking: Looking | None = None
    token_holder: str = ""
    token_held_until: datetime | None = None
    reserved_until: datetime | None = None
    lease: Lease | None = None
    version: str | None = None
    due_key: str | None = None

    @property
    def problem(self) -> str:
        """Why the last run failed, a reason code; "" where it did not."""
        return self.last_error.reason if self.last_error else ""

    @property
    def failures(self) -> int:
        """Failed runs in a row, since a message was last stored."""
        return self.last_error.failures if self.last_error else 0


@dataclass(frozen=True, slots=True)
class DueMailbox:
    """An entry of the poll schedule: `key` is the store's, `queued_at` when a hint was last sent for it."""

    key: str
    mailbox_id: str
    queued_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """The signed-in user as `GET /me` tells it."""

    user_id: str
    address: str
    mail: str = ""
    display_name: str = ""
