"""The pages. Each function gives a whole response."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import azure.functions as func

from auth_callback.progress import describe
from auth_callback.refusals import REFUSALS, Refusal, refusal_for
from mailsync.connect.connector import Connection
from mailsync.errors import MailsyncError, RetryLater
from mailsync.reasons import Reason
from mailsync.tokens.records import ALL_SCOPES
from web.pages import page

_HERE = Path(__file__).parent / "templates"
_RETRY_AFTER = 60


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission in plain words. `title` is near to what Microsoft's consent page calls it."""

    scope: str
    title: str
    meaning: str


PERMISSIONS = (
    Permission(
        "openid", "Sign you in", "Microsoft tells us which account you signed in with. We never see your password."
    ),
    Permission("User.Read", "Read your profile", "Your name and address, so that we know which inbox this is."),
    Permission(
        "Mail.Read",
        "Read your mail",
        "Lets us read the mail of this mailbox. We copy the messages of the folders we follow, text and headers but no"
        " attachments, to Siftrock. We cannot send, change or delete anything.",
    ),
    Permission(
        "offline_access",
        "Keep access you have given",
        "New mail is read while you are not signed in, until you withdraw your consent.",
    ),
)
"""All that is asked for; a test holds it to `models.ALL_SCOPES`."""


def connect(authority_host: str) -> func.HttpResponse:
    """The page with the button. Its form may lead to our own origin and on to the sign-in host."""
    # Browsers hold a redirect that answers a form to form-action too, so the sign-in host must stand there.
    return _page("connect.html", {"permissions": PERMISSIONS}, form_action=f"'self' {authority_host}")


def done(connection: Connection | None) -> func.HttpResponse:
    """The page after connecting; None where the browser's ten minutes are over or it never had any."""
    if connection is None:
        return _message(
            "There is nothing to show here",
            "This page tells how a new connection fares, in the browser that made it and for ten minutes.",
            "If your inbox was connected, it stays connected and is read without this page.",
        )
    mailbox = connection.mailbox
    values = {"mailbox": mailbox, "account_name": connection.account_name, **describe(mailbox)}
    return _page("done.html", values)


def approved() -> func.HttpResponse:
    """The page for an administrator who comes back from Microsoft's admin-consent page.

    Anybody can call it up, and nothing of the answer is checked: so it tells what follows, and no fact.
    """
    return _message(
        "If you approved the app, inboxes can be connected now",
        "Microsoft sends administrators here once they have approved the app for their organization. This page cannot"
        " check that; Microsoft Entra shows it under enterprise applications. Nothing has been connected yet.",
        "Tell the owner of the inbox that they can try to connect it. If the inbox is yours, do it here.",
    )


def refused(error: MailsyncError, approval_url: str | None = None) -> func.HttpResponse:
    """The page for an error: its stable reason, what happened, and a way on."""
    refusal = refusal_for(error)
    response = failed(
        refusal,
        error.reason,
        detail=error.message if refusal.technical else "",
        approval=_approval(approval_url) if approval_url else None,
    )
    if isinstance(error, RetryLater):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after or _RETRY_AFTER))
    return response


def failed(
    refusal: Refusal, reason: Reason, detail: str = "", approval: dict[str, str] | None = None
) -> func.HttpResponse:
    """A refusal's page under a reason of the caller's choice."""
    values = {"refusal": refusal, "reason": reason, "detail": detail, "approval": approval, "scopes": ALL_SCOPES}
    return _page("refused.html", values, status=refusal.status)


def admin_refused() -> func.HttpResponse:
    """The page for an administrator who declined, or whose approval failed."""
    return failed(REFUSALS[Reason.ADMIN_DECLINED], Reason.ADMIN_DECLINED)


def _approval(url: str) -> dict[str, str]:
    body = (
        "Hello,\n\nI would like to connect our marketing inbox to Siftrock, and need you to approve the app for our"
        f" organization first. It asks for exactly: {', '.join(ALL_SCOPES)}. That lets it read the inbox of someone"
        f" who connects it; it cannot send, change or delete anything.\n\nPlease open this link and approve:\n{url}\n"
    )
    subject = "Please approve the Siftrock Inbox Connector"
    return {"link": url, "mailto": f"mailto:?subject={quote(subject)}&body={quote(body)}"}


def _message(title: str, *paragraphs: str) -> func.HttpResponse:
    return _page("message.html", {"title": title, "paragraphs": paragraphs})


def _page(
    template: str, values: Mapping[str, object], *, status: int = 200, form_action: str = "'none'"
) -> func.HttpResponse:
    return page(_HERE, template, values, status=status, form_action=form_action)
