"""What a refusal by Graph means for the program, and what it may be asked again.

https://learn.microsoft.com/graph/errors. The status decides first; the code refines it. Graph's sentence is
never carried over: it may quote what was asked.
"""

import re
from datetime import datetime

import msgspec

from mailsync.adapters import json_reader
from mailsync.adapters.http import Answer, retry_after
from mailsync.errors import (
    AccessDenied,
    FilterRefused,
    FolderNotFound,
    GraphForbidden,
    GraphRefused,
    GraphUnavailable,
    LicenseLapsed,
    MailsyncError,
    Rejected,
    RetryLater,
    SyncStateLost,
    Throttled,
    TokenRefused,
)
from mailsync.reasons import Reason

_LOST = {"syncstatenotfound", "resyncrequired", "syncstateinvalid"}
_NO_MAILBOX = {"mailboxnotenabledforrestapi", "mailboxnotsupportedforrestapi", "errormailboxnotfound"}
_NO_MAILBOX |= {"errornonexistentmailbox", "errornomailbox", "errorinvalidmailbox"}
_NO_MAILBOX |= {"organizationfromtenantguidnotfound", "errorinvaliduser"}
"""Codes for users without an Exchange Online mailbox, who get one or another from one day to the next."""
_NO_RESOURCE = "resourcenotfound"
"""Another such code; but where a message or a delta link was asked for, that may be what is gone."""
_NO_FOLDER = {"erroritemnotfound", "errorfoldernotfound", "errorparentfoldernotfound", "errorinvalididmalformed"}
_BUSY = {"errorserverbusy", "errormailboxmoveinprogress", "errormailboxstoreunavailable", "errorconnectionfailed"}
_DENIED = {"erroraccessdenied", "accessdenied", "authorization_requestdenied"}
_BUSY_WITH_US = {"applicationthrottled", "toomanyrequests", "errorexceededconnectioncount"}


class _Inner(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Body(msgspec.Struct, frozen=True):
    error: _Inner = _Inner()


_decoder = msgspec.json.Decoder(_Body)

FRESH_TOKEN_MAY_HELP = (AccessDenied, GraphForbidden)
"""Refusals that a new token has been seen to end."""


def code_of(answer: Answer) -> str:
    """Graph's error code, as far as it is a plain word; "" where there is none."""
    code = _said(answer).code
    return code if re.fullmatch(r"[A-Za-z0-9_.\-]{1,80}", code) else ""


def is_about(answer: Answer, *words: str) -> bool:
    """Whether Graph's sentence holds one of the words, where its code alone does not tell refusals apart."""
    sentence = _said(answer).message.lower()
    return any(word in sentence for word in words)


def _said(answer: Answer) -> _Inner:
    """What the error's body says; a body that is none says nothing, and a code is good without a message."""
    try:
        return json_reader.read(answer.body, _decoder, on_loss=json_reader.quiet).error
    except json_reader.Unreadable:
        return _Inner()


def is_missing(answer: Answer) -> bool:
    """Whether the answer says that one message is gone. A 404 alone may also mean a mailbox, or come from a gateway."""
    code = code_of(answer).lower()
    gone = answer.status == 404 and code.endswith("notfound") and code not in _NO_MAILBOX
    return gone or code == "erroritemnotfound"


def _is_foreign(operation: str, answer: Answer, code: str) -> bool:
    """Whether something before Graph answered, which knows nothing of the mailbox: gateways answer with pages.

    A delta link whose state is gone has been answered without any body; a message that is gone never.
    """
    if code or answer.status < 400:
        return False
    is_page = answer.body.lstrip()[:1] not in (b"", b"{")
    return is_page or (operation == "messages" and answer.status == 404)


def error_of(operation: str, answer: Answer, now: datetime, *, filtered: bool = False) -> MailsyncError:
    """The error that a refused request is. `filtered`: the request carried a delta filter.

    Delta that has lost its state: https://learn.microsoft.com/graph/delta-query-overview. Throttling:
    https://learn.microsoft.com/graph/throttling.
    """
    code = code_of(answer)
    lower = code.lower()
    request_id = re.sub(r"[^0-9A-Za-z-]", "", answer.headers.get("request-id", ""))[:40]
    said = f"{operation}: Graph answered {answer.status} {code or '(no code)'}, request-id {request_id or 'unknown'}"
    delta = operation.endswith("_delta")
    if delta and (answer.status == 410 or lower in _LOST):
        return SyncStateLost(said)
    if answer.status == 429 or lower in _BUSY_WITH_US:
        return Throttled(Reason.GRAPH_THROTTLED, said, retry_after(answer.headers, now))
    if answer.status >= 500 or answer.status == 408 or lower in _BUSY or answer.status < 300:
        # An error under a good status is one all the same; parts of a batch come so.
        return GraphUnavailable(said, retry_after(answer.headers, now))
    if lower in _NO_MAILBOX or (lower == _NO_RESOURCE and operation not in {"messages", "follow_delta"}):
        return Rejected(Reason.MAILBOX_NOT_ENABLED, f"{said}; the account has no Exchange Online mailbox")
    if "license" in lower:
        return LicenseLapsed(f"{said}; the mailbox has no valid licence")
    if answer.status == 401:
        return TokenRefused(f"{said}; a fresh token was refused too")
    if lower == "errorquotaexceeded":
        return RetryLater(
            Reason.MAILBOX_FULL, f"{said}; the owner must make room in the mailbox", retry_after(answer.headers, now)
        )
    if answer.status == 403 and lower in _DENIED:
        return AccessDenied(Reason.ACCESS_DENIED, f"{said}; access to the mailbox is denied to its user")
    if answer.status == 403:
        # A gateway's page, or {"error": {"code": "UnknownError", "message": ""}}, or an empty code: reported to pass by
        # itself, or with another token.
        return GraphForbidden(said, retry_after(answer.headers, now))
    if _is_foreign(operation, answer, code):
        return GraphUnavailable(said, retry_after(answer.headers, now))
    if lower in _NO_FOLDER and operation != "messages":
        return FolderNotFound(f"{said}; check MAIL_FOLDERS")
    if filtered and answer.status == 400:
        return FilterRefused(said)
    if operation == "follow_delta" and answer.status in {400, 404}:
        # Microsoft names only examples of the codes that a link has when its state is gone.
        return SyncStateLost(said)
    return GraphRefused(said)
