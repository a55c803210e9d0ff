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

Every error carries a `reason`: a stable snake_case code that is shown on pages, in status and in
telemetry. Messages never hold a token, code, secret, cookie or address.
"""

FOLDER_NOT_FOUND = "folder_not_found"
"""The reason of a Rejected for a folder that a mailbox lacks; its other folders are read all the same."""

LICENSE_LAPSED = "license_lapsed"
"""The reason of a Rejected for a mailbox without a valid licence: it is tried again daily, for it may get one."""


class MailsyncError(Exception):
    """The root. `reason` is the stable code, `message` a sentence that names the thing and the remedy."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class RetryLater(MailsyncError):
    """Temporary. `retry_after` is in seconds, None where the other side named no time."""

    def __init__(self, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


class AccessDenied(MailsyncError):
    """Graph denies access. Lapsed licences and faults of Microsoft's look the same and pass; a lost grant lasts."""


class ReconnectRequired(MailsyncError):
    """The owner's grant no longer works; polling stops until the owner connects again."""


class Misconfigured(MailsyncError):
    """The operator must act; mailboxes are left as they are.

    `hearsay`: the word came through a browser, where anybody can make it up: it is shown and counted, and raises no
    alarm.
    """

    def __init__(self, reason: str, message: str, *, hearsay: bool = False) -> None:
        super().__init__(reason, message)
        self.hearsay = hearsay


class Rejected(MailsyncError):
    """Will never succeed as it stands."""


class StaleWrite(MailsyncError):
    """A conditional write met a newer record, or a record that should not exist yet."""

    def __init__(self, message: str) -> None:
        super().__init__("stale_write", message)


class SyncStateLost(MailsyncError):
    """Graph answered 410, `syncStateNotFound` or `resyncRequired`, or refused a delta link without a known code."""

    def __init__(self, message: str) -> None:
        super().__init__("sync_state_lost", message)


class FilterRefused(MailsyncError):
    """Graph answered 400 to a delta query because of its `$filter`."""

    def __init__(self, message: str) -> None:
        super().__init__("filter_refused", message)
