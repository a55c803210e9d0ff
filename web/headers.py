"""The headers that every answer carries, and those of a page."""

import azure.functions as func

from mailsync.settings import is_loopback

PLAIN = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Of every answer: nobody keeps it, and nobody guesses what it is."""


def page(style_hash: str = "", *, form_action: str = "'none'", images: str = "") -> dict[str, str]:
    """The headers of a page without scripts and frames.

    `style_hash`: of its one style sheet, as `sha256-…`; "" where it has none. `form_action`: where its forms may lead.
    `images`: where its pictures are; "" where it has none.
    """
    style = f" style-src '{style_hash}';" if style_hash else ""
    pictures = f" img-src {images};" if images else ""
    policy = f"default-src 'none';{style}{pictures} form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    return {
        **PLAIN,
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
    }


def with_https_only(request: func.HttpRequest, response: func.HttpResponse) -> func.HttpResponse:
    """`response`, which tells the browser to come by https alone from now on.

    Not on loopback: browsers would then refuse plain HTTP to every other program on the developer's machine.
    """
    if not is_loopback(request.url):
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
