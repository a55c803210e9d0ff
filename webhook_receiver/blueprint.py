"""The two URLs that Microsoft Graph calls. Anonymous: Graph has no function key; `notifications` sees to authenticity.

The functions are async, so that an answer never waits for a thread of the worker's pool: creating a subscription
calls back into this app while the creation is still under way on one of them.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

import azure.functions as func

from mailsync.bootstrap import app
from mailsync.errors import BadNotifications, MailsyncError, Misconfigured
from mailsync.telemetry import Event, Tally, emit
from web.answers import as_text

LONGEST_TOKEN = 4096
"""Characters of a validation token; Microsoft's have some hundred."""
LARGEST_BODY = 1024 * 1024
"""Bytes; a notification has about one thousand."""
RETRY_AFTER = "10"
"""Seconds, as Graph is asked to wait; it keeps trying for four hours."""

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # azure.functions leaves it untyped
_open = func.AuthLevel.ANONYMOUS
_failures = Tally()


@blueprint.route(route="graph/notifications", methods=["POST"], auth_level=_open)
async def graph_notifications(req: func.HttpRequest) -> func.HttpResponse:
    """Change notifications: 202 once they are queued."""
    return await _answer(req)


@blueprint.route(route="graph/lifecycle", methods=["POST"], auth_level=_open)
async def graph_lifecycle(req: func.HttpRequest) -> func.HttpResponse:
    """Lifecycle notifications: 202 once they are queued."""
    return await _answer(req)


async def _answer(req: func.HttpRequest) -> func.HttpResponse:
    """In this order: handshake, size, then what `notifications` does. All items may be forged: 202 all the same."""
    token = req.params.get("validationToken")
    if token is not None:
        return as_text(200, token) if len(token) <= LONGEST_TOKEN else as_text(400, "The validation token is too long.")
    body = req.get_body()
    if len(body) > LARGEST_BODY:
        return as_text(413, f"A body has {LARGEST_BODY} bytes at the most.")
    try:
        await app().notifications.receive(body)
    except BadNotifications as error:
        return as_text(400, error.message)
    except MailsyncError as error:
        _tell(error)
        return as_text(503, "", {"Retry-After": RETRY_AFTER})
    return as_text(202, "")


def _tell(error: MailsyncError) -> None:
    failures = _failures.add(1)
    if not failures:
        return
    if isinstance(error, Misconfigured):
        emit(Event.MISCONFIGURED, reason=error.reason, detail=error.message)
    else:
        emit(Event.NOTIFICATIONS_NOT_QUEUED, reason=error.reason, count=failures, detail=error.message)
