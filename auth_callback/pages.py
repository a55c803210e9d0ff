"""The pages. Each function gives a whole response."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import azure.functions as func

from auth_callback.progress import describe
from auth_callback.refusals import UNCHECKED_DECLINE, Refusal, refusal_for
from mailsync.bootstrap import app
from mailsync.connect.approval import Answer
from mailsync.connect.connector import Connection
from mailsync.errors import Attempt, MailsyncError, Misconfigured, Rejected, RetryLater
from mailsync.reasons import Reason
from mailsync.settings import Brand, Settings
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


@dataclass(frozen=True, slots=True)
class Link:
    """An address to be copied or mailed to somebody else."""

    label: str
    url: str
    mailto: str


PERMISSIONS = (
    Permission(
        "openid", "Sign you in", "Microsoft tells us which account you signed in with. We never see your password."
    ),
    Permission("User.Read", "Read your profile", "Your name and address, so that we know which inbox this is."),
    Permission(
        "Mail.Read",
        "Read your mail",
        "Lets us read the mail of this mailbox. We copy the messages of the folders we follow, text and headers but no"
        " attachments. We cannot send, change or delete anything.",
    ),
    Permission(
        "offline_access",
        "Keep access you have given",
        "New mail is read while you are not signed in, until you withdraw your consent.",
    ),
)
"""All that is asked for; a test holds it to `models.ALL_SCOPES`."""


def connect(settings: Settings) -> func.HttpResponse:
    """The page with the button."""
    return _page("connect.html", {"permissions": PERMISSIONS}, form_action=_to_microsoft(settings))


def approval(settings: Settings) -> func.HttpResponse:
    """The page for an administrator, with the button that leads to Microsoft's admin consent."""
    values = {
        "permissions": PERMISSIONS,
        "client_id": settings.client_id,
        "origin": settings.public_base_url,
        "link": _approval_link(settings),
    }
    return _page("approval.html", values, form_action=_to_microsoft(settings))


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


def answered(settings: Settings, answer: Answer) -> func.HttpResponse:
    """The page for an administrator who comes back from Microsoft's admin-consent page.

    Anybody can call it up: where the answer is not checked it tells what follows, and no fact. Raises Rejected where
    it is, and the administrator has declined.
    """
    if answer.approved:
        values = {"checked": answer.checked, "tenant": answer.tenant, "link": _owners_link(settings)}
        return _page("approved.html", values)
    if answer.checked:
        raise Rejected(Reason.ADMIN_DECLINED, "The administrator's approval was cancelled, or did not succeed.")
    return failed(UNCHECKED_DECLINE, Reason.ADMIN_DECLINED)


def refused(error: MailsyncError, attempt: Attempt) -> func.HttpResponse:
    """The page for an error: its stable reason, what happened, and a way on."""
    refusal = refusal_for(error)
    response = failed(refusal, error.reason, attempt, detail=error.message if refusal.technical else "")
    if isinstance(error, RetryLater):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after or _RETRY_AFTER))
    return response


def failed(refusal: Refusal, reason: Reason, attempt: Attempt | None = None, detail: str = "") -> func.HttpResponse:
    """A refusal's page under a reason of the caller's choice; `attempt`: None for what the log says nothing of."""
    link = _approval_link(app().settings) if refusal.approval else None
    values = {"refusal": refusal, "reason": reason, "detail": detail, "link": link, "attempt": attempt}
    return _page("refused.html", values, status=refusal.status)


def _approval_link(settings: Settings) -> Link:
    name = settings.brand.product_name
    body = (
        f"Hello,\n\nI would like to connect our marketing inbox to {name}, and need you to approve the app for our"
        f" organization first. It asks for exactly: {', '.join(ALL_SCOPES)}. That lets it read the inbox of someone"
        " who connects it; it cannot send, change or delete anything.\n\nThis page says more, and leads to Microsoft's"
        f" approval:\n{settings.approval_url}\n"
    )
    return _link("Address of the page for administrators", settings.approval_url, f"Please approve {name}", body)


def _owners_link(settings: Settings) -> Link:
    name = settings.brand.product_name
    body = (
        f"Hello,\n\n{name} is approved for our organization. You can connect the inbox now, on this page:\n"
        f"{settings.connect_url}\n"
    )
    return _link("Link for the owner of the inbox", settings.connect_url, f"Connect your inbox to {name}", body)


def _link(label: str, url: str, subject: str, body: str) -> Link:
    return Link(label, url, f"mailto:?subject={quote(subject)}&body={quote(body)}")


def _to_microsoft(settings: Settings) -> str:
    """Where a form may lead that is answered by a redirect to Microsoft: browsers hold the redirect to it too."""
    return f"'self' {settings.authority_host}"


def _message(title: str, *paragraphs: str) -> func.HttpResponse:
    return _page("message.html", {"title": title, "paragraphs": paragraphs})


def _page(
    template: str, values: Mapping[str, object], *, status: int = 200, form_action: str = "'none'"
) -> func.HttpResponse:
    return page(_HERE, template, values, brand=_brand(), status=status, form_action=form_action)


def _brand() -> Brand:
    """The product's name and links; the page about wrong settings does without."""
    try:
        return app().settings.brand
    except Misconfigured:
        return Brand()
