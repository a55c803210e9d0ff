"""Whether this instance can serve: its settings load. No remote call, so that anyone may ask as often as they like."""

import azure.functions as func

from mailsync.bootstrap import app
from mailsync.errors import Misconfigured
from mailsync.telemetry import Event, Tally, emit
from web.answers import as_json

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # azure.functions leaves it untyped
_failures = Tally()


@blueprint.route(route="health", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """200 `{"status":"ok"}`, or 503 `{"status":"misconfigured"}`; what is wrong stands in the log alone."""
    try:
        app()
    except Misconfigured as error:
        if _failures.add(1):
            emit(Event.MISCONFIGURED, reason=error.reason, detail=error.message)
        return as_json(503, {"status": "misconfigured"})
    return as_json(200, {"status": "ok"})
