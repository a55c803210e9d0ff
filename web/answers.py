"""Answers that are no page: a redirect, JSON, plain text."""

import json
from collections.abc import Mapping

import azure.functions as func

from web import headers


def redirect(url: str) -> func.HttpResponse:
    """303: the browser goes on with GET, and the body of its POST stays behind."""
    return func.HttpResponse(status_code=303, headers={"Location": url, **headers.page()})


def as_json(status: int, value: object, more: Mapping[str, str] | None = None) -> func.HttpResponse:
    """`value` as JSON, with `more` headers."""
    return func.HttpResponse(
        json.dumps(value, separators=(",", ":")),
        status_code=status,
        mimetype="application/json",
        headers=headers.PLAIN | dict(more or {}),
    )


def problem(status: int, code: str, message: str, more: Mapping[str, str] | None = None) -> func.HttpResponse:
    """What a program is told that asked for the wrong thing, or in vain; `code` is a reason code."""
    return as_json(status, {"error": {"code": code, "message": message}}, more)


def as_text(status: int, text: str, more: Mapping[str, str] | None = None) -> func.HttpResponse:
    """`text` as it is, and never as something that a browser would run; with `more` headers."""
    return func.HttpResponse(
        text, status_code=status, mimetype="text/plain", charset="utf-8", headers=headers.PLAIN | dict(more or {})
    )
