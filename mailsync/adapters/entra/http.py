"""The HTTP client that MSAL is given; it answers like a `requests` response as far as MSAL looks.

MSAL's own client has no timeout, remembers a 429 or 5xx without telling for how long, and logs a token answer that
is no JSON. This client keeps such answers from MSAL, and gives it JSON that `json_reader` has mended.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from mailsync.adapters import http, json_reader
from mailsync.clock import Clock
from mailsync.errors import Misconfigured, RetryLater
from mailsync.reasons import Reason

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True, slots=True)
class MsalResponse:
    """What MSAL reads of an answer."""

    status_code: int
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    def raise_for_status(self) -> None:
        """Nothing is left to raise: `MsalHttp` has raised it."""


class MsalHttp:
    """Raises RetryLater for all that passes; posts to the sign-in host alone."""

    def __init__(self, session: "requests.Session", authority_host: str, clock: Clock) -> None:
        self._session = session
        self._host = urlsplit(authority_host)
        self._clock = clock

    def get(
        self, url: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> MsalResponse:
        """Discovery."""
        return self._send("GET", url, params, headers, None)

    def post(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> MsalResponse:
        """Token requests, which carry the app's proof, codes and refresh tokens."""
        there = urlsplit(url)
        if (there.scheme, there.netloc.lower()) != (self._host.scheme, self._host.netloc.lower()):
            raise Misconfigured(Reason.BAD_AUTHORITY, "the token endpoint is on another host than ENTRA_AUTHORITY_HOST")
        return self._send("POST", url, params, headers, data)

    def close(self) -> None:
        """The session is the process's; it stays open."""

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        data: Mapping[str, str] | None,
    ) -> MsalResponse:
        address = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
        try:
            answer = http.call(self._session, method, address, headers=headers, body=data, limit=1024 * 1024)
        except http.Unreachable as error:
            raise RetryLater(Reason.ENTRA_UNAVAILABLE, f"Entra gave no whole answer ({error})") from error
        if answer.status == 429 or answer.status >= 500:
            wait = http.retry_after(answer.headers, self._clock())
            raise RetryLater(Reason.ENTRA_UNAVAILABLE, f"Entra answered {answer.status}", wait)
        content = None
        with suppress(json_reader.Unreadable):
            content = json_reader.loads(answer.body)
        if not isinstance(content, dict):
            raise RetryLater(Reason.ENTRA_UNAVAILABLE, f"Entra answered {answer.status} without a JSON object")
        return MsalResponse(answer.status, json.dumps(_needed(content, data or {})), answer.headers)


def _needed(content: dict[str, Any], asked: Mapping[str, str]) -> dict[str, Any]:
    """The answer without those properties that nobody needs and that MSAL may fail over.

    A failure would lose the answer's refresh token, which may be the only one that is still good.
    """
    needless = {"client_info", "foci", "refresh_in"}
    if asked.get("grant_type") == "refresh_token":
        needless.add("id_token")
    if not isinstance(content.get("scope"), str):
        needless.add("scope")
    if not content.get("error"):
        needless.add("error")
    return {name: value for name, value in content.items() if name not in needless}
