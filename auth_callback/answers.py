"""Turns whatever a request ends in, an answer or an error, into a response. No error goes without a page."""

from collections.abc import Callable
from types import TracebackType

import azure.functions as func

from mailsync.errors import Attempt, MailsyncError, Misconfigured
from mailsync.reasons import Reason
from mailsync.telemetry import Event, Tallies, new_reference
from web.headers import with_https_only

_told = Tallies(burst=5)


def answer(request: func.HttpRequest, make: Callable[[], func.HttpResponse]) -> func.HttpResponse:
    """The response that `make` gives, or the page of the error that it raises."""
    try:
        response = make()
    except MailsyncError as error:
        response = _refused(error)
    except Exception as error:  # noqa: BLE001 - the owner gets a page; what the error says may hold a secret
        response = _failed(error)
    return with_https_only(request, response)


def _refused(error: MailsyncError) -> func.HttpResponse:
    from auth_callback import pages

    known, reason, detail = error.attempt is not None, error.reason, error.message
    attempt = error.attempt or Attempt(new_reference())
    # The fields stand by name, or no test could hold alerts and panels to them.
    if isinstance(error, Misconfigured) and not error.hearsay:
        _told.emit(Event.MISCONFIGURED, reason, reason=reason, reference=attempt.reference, detail=detail)
    elif not known:
        _told.emit(Event.CONNECT_REFUSED, reason, reason=reason, reference=attempt.reference, detail=detail)
    return pages.refused(error, attempt)


def _failed(error: Exception) -> func.HttpResponse:
    from auth_callback import pages
    from auth_callback.refusals import UNEXPECTED

    kind, place, attempt = type(error).__qualname__, _place(error.__traceback__), Attempt(new_reference())
    _told.emit(Event.UNEXPECTED_ERROR, f"{kind} {place}", type=kind, at=place, reference=attempt.reference)
    return pages.failed(UNEXPECTED, Reason.UNEXPECTED_ERROR, attempt)


def _place(traceback: TracebackType | None) -> str:
    """Where an exception was raised, as `module:line`."""
    place = "?"
    while traceback:
        place = f"{traceback.tb_frame.f_globals.get('__name__')}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
