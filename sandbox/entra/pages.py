"""The pages of the sign-in, and the ways its answer reaches the app."""

import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.entra.request import ReplyTo

_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def page(template: str, *, status: int = 200, **values: Any) -> Response:
    """One page."""
    nonce = secrets.token_urlsafe(16)
    html = _environment().get_template(template).render(nonce=nonce, **values)
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'"
    return HTMLResponse(html, status_code=status, headers={**_HEADERS, "Content-Security-Policy": policy})


def reply(reply_to: ReplyTo, answer: Mapping[str, str]) -> Response:
    """Brings an answer to the redirect URI, as its response mode asks.

    https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html for form_post.
    """
    fields = dict(answer) if reply_to.state is None else {**answer, "state": reply_to.state}
    if reply_to.response_mode == "form_post":
        return page("answer.html", action=reply_to.redirect_uri, fields=fields)
    joint = "&" if "?" in reply_to.redirect_uri else "?"
    return RedirectResponse(f"{reply_to.redirect_uri}{joint}{urlencode(fields)}", 302, headers=_HEADERS)
