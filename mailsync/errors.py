"""One tree of errors; the class says who must act and when.

    MailsyncError
    ├── RetryLater         the other side is busy or out of reach: try again after `retry_after`
    ├── AccessDenied       Graph refuses a token that is good: it may pass; where it lasts, the grant is gone
    ├── ReconnectRequired  the grant is gone: the owner must connect again
    ├── Misconfigured      a setting or our own credential is wrong: the operator must act
    ├── Rejected           the request itself is unacceptable: give up, and tell whoever asked
    ├── StaleWrite         somebody else wrote the record first: read it again
    ├── SyncStateLost      Graph no longer knows the delta link: enumerate afresh
    └── FilterRefused      Graph does not accept the delta filter: enumerate without it

Every error carries a `reason`, which is for people: pages, status and telemetry show it. What the program itself
decides by is the class, so refusals that want an answer of their own have classes below these. Messages never hold a
token, code, secret, cookie or address.
"""

from dataclasses import dataclass, field

from mailsync.reasons import Reason


@dataclass(slots=True)
class Attempt:
    """A person's attempt that was refused, as the page about it tells. Only `reference` stands in the log too.

    `address`, `tenant`: who signed in, "" where that is not known. `granted`: consent is on Microsoft's record.
    """

    reference: str
    address: str = field(default="", repr=False)
    tenant: str = ""
    granted: bool = False


class MailsyncError(Exception):
    """The root. `reason` is the stable code, `message` a sentence that names the thing and the remedy.

    `attempt`: what the page about a person's request tells besides; None for any other error.
    """

    attempt: Attempt | None = None

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class RetryLater(MailsyncError):
    """Temporary. `retry_after` is in seconds, None where the other side named no time."""

    def __init__(self, reason: Reason, message: str, retry_after: float | None = None) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


class Throttled(RetryLater):
    """A service has had enough of this app's requests, whatever they ask for."""


class FolderUnfinished(RetryLater):
    """The reading of one folder came to no end; that says nothing of the mailbox's other folders."""


class GraphUnavailable(RetryLater):
    """Graph is away, or fails over what it was asked for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(Reason.GRAPH_UNAVAILABLE, message, retry_after)


class GraphUnreachable(RetryLater):
    """No whole answer of Graph's came."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.GRAPH_UNREACHABLE, message)


class GraphForbidden(RetryLater):
    """A 403 without an error code of Graph's, such as the HTML page of a gateway before it."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(Reason.GRAPH_FORBIDDEN, message, retry_after)


class AccessDenied(MailsyncError):
    """Graph denies access. Lapsed licences and faults of Microsoft's look the same and pass; a lost grant lasts."""


class TokenRefused(AccessDenied):
    """Graph refuses a token that was just renewed. As a rule it passes, and the mailbox's owner can do nothing."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.GRAPH_UNAUTHORIZED, message)


class ReconnectRequired(MailsyncError):
    """The owner's grant no longer works; polling stops until the owner connects again."""


class Misconfigured(MailsyncError):
    """The operator must act; mailboxes are left as they are.

    `hearsay`: the word came through a browser, where anybody can make it up: it is shown and counted, and raises no
    alarm.
    """

    def __init__(self, reason: Reason, message: str, *, hearsay: bool = False) -> None:
        super().__init__(reason, message)
        self.hearsay = hearsay


class Rejected(MailsyncError):
    """Will never succeed as it stands."""


class FolderNotFound(Rejected):
    """The mailbox lacks the folder; its other folders are read all the same."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.FOLDER_NOT_FOUND, message)


class LicenseLapsed(Rejected):
    """The mailbox has no valid licence. It is tried again daily, for it may get one."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.LICENSE_LAPSED, message)


class ForeignLink(Rejected):
    """A link of Graph's leads to another host, and is not followed."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.FOREIGN_LINK, message)


class GraphRefused(Rejected):
    """Graph does not do what was asked, for no cause known here."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.GRAPH_REFUSED, message)


class SubscriptionGone(Rejected):
    """Graph has the subscription no longer."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.SUBSCRIPTION_GONE, message)


class SubscriptionExists(Rejected):
    """Graph has one of the same kind already, and takes no second."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.SUBSCRIPTION_EXISTS, message)


class SubscriptionTooLong(Rejected):
    """Graph refuses the life that is asked for."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.SUBSCRIPTION_TOO_LONG, message)


class BadNotifications(Rejected):
    """What was posted to the webhook is no collection of notifications."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.BAD_NOTIFICATIONS, message)


class StaleWrite(MailsyncError):
    """A conditional write met a newer record, or a record that should not exist yet."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.STALE_WRITE, message)


class SyncStateLost(MailsyncError):
    """Graph answered 410, `syncStateNotFound` or `resyncRequired`, or refused a delta link without a known code."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.SYNC_STATE_LOST, message)


class FilterRefused(MailsyncError):
    """Graph answered 400 to a delta query because of its `$filter`."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.FILTER_REFUSED, message)
