"""HTTP as the Graph and Entra adapters use it: one pooled session, timeouts always, answers read under a limit.

`requests` is heavy to import, and so is imported where it is used.
"""

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING

from mailsync import memory
from mailsync.adapters.json_texts import TextCutter

if TYPE_CHECKING:
    import requests

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
"""Seconds to connect."""
READ_TIMEOUT = 30.0
"""Seconds between two bytes of an answer; a whole answer has `deadlines.PATIENCE` times as long."""
ANSWER_LIMIT = 24 * 1024 * 1024
"""Bytes that an answer may have once decompressed. What all have together is bounded by `memory`."""

_LONGEST_WAIT = 86_400.0
"""Seconds of a Retry-After, at the most; a longer one is taken for none."""


class Unreachable(Exception):
    """No whole answer came: no connection, a timeout, an answer cut short or too long."""


class TooLarge(Unreachable):
    """The answer has more bytes than it may have; another attempt would bring no less."""


class Crowded(Unreachable):
    """The process holds so many answers that there was no room for this one; another attempt may find room."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `headers` have lower-case names; `body` is decompressed."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@cache
def session() -> "requests.Session":
    """The session of this process, which threads share: connections are pooled by host, cookies never kept."""
    from mailsync.adapters.deadlines import DeadlineAdapter, Session

    shared = Session()
    shared.mount("https://", DeadlineAdapter(pool_connections=4, pool_maxsize=32))
    shared.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return shared


def call(
    over: "requests.Session",
    method: str,
    url: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | Mapping[str, str] | None = None,
    limit: int | None = None,
    cut: bool = False,
) -> Answer:
    """One request and its whole answer. Redirects are returned, not followed. Raises Unreachable, TooLarge, Crowded.

    `limit`: bytes of the answer, ANSWER_LIMIT where none is given.
    `cut`: the answer is JSON, and its longest texts may be cut so that it stays below the limit.
    """
    import requests

    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # An `auth` of our own, even an empty one, keeps `requests` from using a login of a .netrc file instead.
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    try:
        with over.request(
            method,
            url,
            headers=headers,
            data=body,
            auth=authorize,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            allow_redirects=False,
            stream=True,
        ) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, _whole(response, limit or ANSWER_LIMIT, cut=cut))
    except requests.RequestException as error:
        raise Unreachable(type(error).__name__) from error


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The Retry-After header as seconds from `now`; None where it names no time. `headers` have lower-case names.

    A time that has passed, or that is more than a day ahead, counts as none: by the first, a service that is away would
    be asked without a pause; by the second, one answer would stop a mailbox. Seconds or an HTTP-date: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
    """
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return seconds if 0 < seconds <= _LONGEST_WAIT else None


def _whole(response: "requests.Response", limit: int, *, cut: bool) -> bytes:
    """The body. The holding that it is read for counts its bytes, and gets them back where reading it fails."""
    cutter = TextCutter(limit // 2) if cut else None
    with memory.holding() as holding, io.BytesIO() as body:
        try:
            for chunk in response.iter_content(64 * 1024):
                kept = cutter.feed(chunk) if cutter else chunk
                _check(body.tell() + len(kept), limit)
                holding.take(len(kept))
                body.write(kept)
        except BaseException as error:
            holding.give_back(body.tell())
            if isinstance(error, memory.TooMuch):
                raise TooLarge("AnswersTooLarge") from error
            if isinstance(error, memory.Crowded):
                raise Crowded("WorkerBusy") from error
            raise
        if cutter and cutter.cuts:
            _log.warning("%d texts of an answer were too long and were cut", cutter.cuts)
        return body.getvalue()


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge("AnswerTooLarge")
