"""Turns whatever a request ends in, an answer or an error, into a response. No error goes without a page."""

from collections.abc import Callable
from types import TracebackType

import azure.functions as func

from mailsync.bootstrap import app
from mailsync.errors import MailsyncError, Misconfigured
from mailsync.reasons import Reason
from mailsync.telemetry import Event, Tallies
from web.headers import with_https_only

_told = Tallies()


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
    from auth_callback.refusals import refusal_for

    if isinstance(error, Misconfigured) and not error.hearsay:
        _told.emit(Event.MISCONFIGURED, error.reason, reason=error.reason, detail=error.message)
    return pages.refused(error, app().connector.approval_url() if refusal_for(error).approval else None)


def _failed(error: Exception) -> func.HttpResponse:
    from auth_callback import pages
    from auth_callback.refusals import UNEXPECTED

    kind, place = type(error).__qualname__, _place(error.__traceback__)
    _told.emit(Event.UNEXPECTED_ERROR, f"{kind} {place}", type=kind, at=place)
    return pages.failed(UNEXPECTED, Reason.UNEXPECTED_ERROR)


def _place(traceback: TracebackType | None) -> str:
    """Where an exception was raised, as `module:line`."""
    place = "?"
    while traceback:
        place = f"{traceback.tb_frame.f_globals.get('__name__')}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
