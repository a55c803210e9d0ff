"""The routes by which an owner connects an inbox. Anonymous: Microsoft's answer carries no function key.

The pages are imported when one is made: every instance imports this module, and cold start is a deadline.
"""

import azure.functions as func

from auth_callback.answers import answer
from mailsync.bootstrap import app
from web.answers import redirect
from web.cookies import set_on, value_of
from web.forms import check_origin, form

SIGN_IN_COOKIE = "__Host-siftrock-signin"
CONNECTED_COOKIE = "__Host-siftrock-connected"
APPROVAL_COOKIE = "__Host-siftrock-approval"
_MAX_AGE = 600
_APPROVAL_MAX_AGE = 3600

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # azure.functions leaves it untyped
_open = func.AuthLevel.ANONYMOUS


@blueprint.route(route="{ignored:maxlength(0)?}", methods=["GET", "HEAD"], auth_level=_open)
def root(req: func.HttpRequest) -> func.HttpResponse:
    """Whoever types the bare address is led to /connect; the host would show a page of its own.

    An empty route stands for the function's name, so the root takes a parameter that can only be empty:
    https://github.com/Azure/Azure-Functions/issues/2473
    """
    return answer(req, lambda: redirect("/connect"))


@blueprint.route(route="connect", methods=["GET", "HEAD"], auth_level=_open)
def connect_page(req: func.HttpRequest) -> func.HttpResponse:
    """Says what is asked and why, with the one button. `?invite=` is accepted and has no effect."""
    from auth_callback import pages

    return answer(req, lambda: pages.connect(app().settings))


@blueprint.route(route="connect", methods=["POST"], auth_level=_open)
def connect_start(req: func.HttpRequest) -> func.HttpResponse:
    """Starts OAuth: 303 to Microsoft, with the cookie that binds the sign-in to this browser."""

    def start() -> func.HttpResponse:
        check_origin(req)
        started = app().connector.start()
        response = redirect(started.url)
        # SameSite=None, because Microsoft's answer is a cross-site POST and must bring the cookie back.
        set_on(response, SIGN_IN_COOKIE, started.cookie, max_age=_MAX_AGE, same_site="None")
        return response

    return answer(req, start)


@blueprint.route(route="connect/approval", methods=["GET", "HEAD"], auth_level=_open)
def approval_page(req: func.HttpRequest) -> func.HttpResponse:
    """For the administrator who has to approve the app before owners can connect: what is asked, and the button."""
    from auth_callback import pages

    return answer(req, lambda: pages.approval(app().settings))


@blueprint.route(route="connect/approval", methods=["POST"], auth_level=_open)
def approval_start(req: func.HttpRequest) -> func.HttpResponse:
    """303 to Microsoft's admin consent, with the cookie that ties its answer to this browser."""

    def start() -> func.HttpResponse:
        check_origin(req)
        started = app().approvals.start(value_of(req, APPROVAL_COOKIE))
        response = redirect(started.url)
        # Lax is enough: Microsoft's answer to an administrator comes by GET, as a navigation of the whole window.
        set_on(response, APPROVAL_COOKIE, started.cookie, max_age=_APPROVAL_MAX_AGE, same_site="Lax")
        return response

    return answer(req, start)


@blueprint.route(route="auth/callback", methods=["POST"], auth_level=_open)
def auth_callback(req: func.HttpRequest) -> func.HttpResponse:
    """Microsoft's answer (response_mode=form_post): 303 to the page about the new connection."""

    def finish() -> func.HttpResponse:
        finished = app().connector.finish(form(req), value_of(req, SIGN_IN_COOKIE))
        response = redirect("/connect/done")
        set_on(response, CONNECTED_COOKIE, finished.cookie, max_age=_MAX_AGE, same_site="Lax")
        set_on(response, SIGN_IN_COOKIE, "used", max_age=0, same_site="None")
        return response

    return answer(req, finish)


@blueprint.route(route="auth/callback", methods=["GET", "HEAD"], auth_level=_open)
def auth_callback_admin_consent(req: func.HttpRequest) -> func.HttpResponse:
    """Microsoft's answer to an administrator: a page, and nothing else comes of it."""

    def told() -> func.HttpResponse:
        from auth_callback import pages

        return pages.answered(app().settings, app().approvals.answered(req.params, value_of(req, APPROVAL_COOKIE)))

    return answer(req, told)


@blueprint.route(route="connect/done", methods=["GET", "HEAD"], auth_level=_open)
def connect_done(req: func.HttpRequest) -> func.HttpResponse:
    """How the new connection fares, in the browser that made it."""
    from auth_callback import pages

    return answer(req, lambda: pages.done(app().connector.connection(value_of(req, CONNECTED_COOKIE))))
