"""What an operator does that takes the app's own identity: Key Vault, and a mailbox's token. A function key opens it.

What tables alone can tell or do is on the command line: `mailsync.admin`.

https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
"""

import math
from collections.abc import Callable, Mapping

import azure.functions as func

from mailsync.bootstrap import app
from mailsync.errors import MailsyncError, Rejected, RetryLater, StaleWrite
from mailsync.reasons import Reason
from mailsync.telemetry import Event, emit
from web.answers import as_json, problem

RETRY_AFTER = 30
"""Seconds, where whoever is busy named no time."""

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # azure.functions leaves it untyped
_keyed = func.AuthLevel.FUNCTION
_REFUSALS = {Reason.BAD_MAILBOX_ID: 400, Reason.UNKNOWN_MAILBOX: 404}


@blueprint.route(route="api/mailboxes/{mailboxId}/disconnect", methods=["POST"], auth_level=_keyed)
def disconnect_mailbox(req: func.HttpRequest) -> func.HttpResponse:
    """Stops reading a mailbox: 200 `{"mailboxId", "state", "subscriptionsLeft"}`, the last a reason code or null."""
    mailbox_id = req.route_params["mailboxId"].lower()

    def disconnect() -> dict[str, str | None]:
        from mailsync.mailboxes.ids import is_mailbox_id

        if not is_mailbox_id(mailbox_id):
            raise Rejected(
                Reason.BAD_MAILBOX_ID, "A mailbox id is two GUIDs joined by a hyphen; `mailbox list` shows them."
            )
        left = app().disconnector.disconnect(mailbox_id)
        return {"mailboxId": mailbox_id, "state": "disconnected", "subscriptionsLeft": left or None}

    return _answer(disconnect)


@blueprint.route(route="api/signing-key/rotate", methods=["POST"], auth_level=_keyed)
def rotate_signing_key(req: func.HttpRequest) -> func.HttpResponse:
    """Makes a new signing key: 200 `{"keyId"}`."""
    return _answer(lambda: {"keyId": app().key_rotation.rotate()})


def _answer(work: Callable[[], Mapping[str, str | None]]) -> func.HttpResponse:
    """200 with what `work` gives, or its error as `{"error": {"code", "message"}}`; the code is a reason code."""
    try:
        return as_json(200, work())
    except MailsyncError as error:
        if isinstance(error, RetryLater | StaleWrite):
            seconds = error.retry_after if isinstance(error, RetryLater) else None
            return problem(503, error.reason, error.message, {"Retry-After": str(math.ceil(seconds or RETRY_AFTER))})
        if error.reason in _REFUSALS:
            return problem(_REFUSALS[error.reason], error.reason, error.message)
        emit(Event.MISCONFIGURED, reason=error.reason, detail=error.message)
        return problem(500, error.reason, "The app cannot do this as it is set up; its log says what is wrong.")
