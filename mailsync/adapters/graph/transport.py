"""One request to Graph: where it may go, what it carries, how often it is tried, what its refusal means.

A bearer token goes to the configured endpoint alone: every link is checked before it is followed, and a
redirect is an error. Short waits are taken in place, long ones are the caller's.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from mailsync.adapters import http
from mailsync.adapters.graph.errors import FRESH_TOKEN_MAY_HELP, error_of
from mailsync.clock import Clock, utc_now
from mailsync.errors import ForeignLink, GraphUnreachable, MailsyncError, RetryLater
from mailsync.reasons import Reason
from mailsync.tokens.ports import GetToken

if TYPE_CHECKING:
    import requests

_log = logging.getLogger(__name__)

Refusal = Callable[[str, http.Answer, datetime], MailsyncError]
"""The error that a refused request is, by operation, answer and the present."""

PREFERENCES = 'IdType="ImmutableId", outlook.body-content-type="html"'
"""Asked of every request, so that each way to a message gives the same id and body.

https://learn.microsoft.com/graph/outlook-immutable-id, https://learn.microsoft.com/graph/api/message-get#request-headers
"""

_WAITS = (0.5, 2.0)
"""Seconds before the second and the third try, where Graph names none; there is no fourth."""
_LONGEST_WAIT = 5.0
"""Seconds of one wait in place, at the most; a longer one is the caller's."""
_BUSY = 5.0
"""Seconds after which a worker that is full of mail is tried again."""
_FEWEST = 2
"""Messages of the smallest page of history. The answer to a larger one may have half of ANSWER_LIMIT in bytes: more
than that is better asked for in two pages."""
_LONGEST_LINK = 16_000
"""Characters of a link, at the most: it is kept in a property of the mailbox's record, which may have 32,768."""
_SMALLER = (20, 5)
"""Messages a page where the usual number is too large an answer."""


class AnswerTooLarge(RetryLater):
    """More than an answer may have; what asks for less may succeed at once."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.GRAPH_ANSWER_TOO_LARGE, message)


class WorkerBusy(RetryLater):
    """This process holds too much of other mailboxes' mail now; what asks for less may succeed at once."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.WORKER_BUSY, message, _BUSY)


class Pages(NamedTuple):
    """How much an answer may hold: `size` messages a page; `cut`: long texts are cut where it is too large."""

    size: int
    cut: bool = False


def by_smaller_pages(size: int, least: int, ask: Callable[[Pages], bytes]) -> bytes:
    """Asks again for fewer messages while the answer is too large, and at last with their longest texts cut.

    Anybody can fill a page with large mail, and a mailbox must not stop for it. Where it is only that other
    mailboxes' mail leaves no room, fewer messages are asked for too, but nothing is cut.
    """
    least = min(size, least)
    for fewer in (size, *(step for step in (*_SMALLER, least) if least <= step < size)):
        try:
            return ask(Pages(fewer))
        except (AnswerTooLarge, WorkerBusy) as error:
            _log.info("%s", error.message)
            # The error itself is not kept: it would keep this frame, and with it the mail that was read on the way.
            busy = error.message if isinstance(error, WorkerBusy) else ""
    if busy:
        raise WorkerBusy(busy)
    return ask(Pages(least, cut=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTransport:
    """The way to Graph, one for the whole process.

    `endpoint`: Graph's root with version, without a slash at its end; no token goes anywhere else. `page_size`:
    messages a page. `sleep` takes seconds.
    """

    endpoint: str
    session: "requests.Session" = field(repr=False)
    page_size: int = 200
    sleep: Callable[[float], None] = time.sleep
    clock: Clock = utc_now

    def as_user(self, get_token: GetToken, fresh_token: GetToken | None = None) -> "UserTransport":
        """The same for the user whose tokens these are: see `UserTransport`."""
        return UserTransport(self, get_token, fresh_token)

    def own(self, link: str) -> str:
        """`link`, which must lead to the endpoint: else ForeignLink."""
        if not _leads_to(self.endpoint, link):
            raise ForeignLink("a link of Graph's leads away from GRAPH_ENDPOINT and was not followed")
        return link

    def waits(self) -> "Waits":
        """The waits that one operation may take in place."""
        return Waits(self.sleep)

    def attempt(
        self, operation: str, method: str, url: str, token: str, body: bytes | None, *, pages: Pages
    ) -> http.Answer | MailsyncError:
        """One request; its answer, whatever the status, or the error where no whole answer came."""
        headers = {
            "Accept": "application/json",
            "Prefer": f"{PREFERENCES}, odata.maxpagesize={pages.size}",
            "client-request-id": str(uuid.uuid4()),
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            limit = http.ANSWER_LIMIT // 2 if pages.size > _FEWEST else None
            return http.call(
                self.session, method, url, token=token, headers=headers, body=body, limit=limit, cut=pages.cut
            )
        except http.Crowded as cause:
            raise WorkerBusy(f"{operation}: the mail of other mailboxes fills the memory") from cause
        except http.TooLarge as cause:
            raise AnswerTooLarge(f"{operation}: the answer is too large with up to {pages.size} messages") from cause
        except http.Unreachable as cause:
            error = GraphUnreachable(f"{operation}: Graph gave no whole answer ({cause})")
            error.__cause__ = cause
            return error


@dataclass(frozen=True, slots=True)
class UserTransport:
    """Sends requests as one user.

    `get_token` gives an access token, `fresh_token` another one after a 401 or 403, although the first has not
    expired. Graph allows four requests at once a mailbox, of all that use it.
    """

    shared: GraphTransport
    get_token: GetToken = field(repr=False)
    fresh_token: GetToken | None = field(default=None, repr=False)

    def get(self, operation: str, path: str, pages: Pages | None = None, *, filtered: bool = False) -> bytes:
        """GET below the endpoint; `filtered`: the query carries a delta filter, which Graph may refuse."""
        return self._send(
            operation, "GET", self.shared.endpoint + path, None, partial(error_of, filtered=filtered), pages=pages
        )

    def follow(self, operation: str, link: str, pages: Pages | None = None) -> bytes:
        """GET a link as it was given. Raises ForeignLink where it leads elsewhere."""
        return self._send(operation, "GET", self.shared.own(link), None, error_of, pages=pages)

    def post(self, operation: str, path: str, body: bytes, pages: Pages | None = None) -> bytes:
        """POST JSON below the endpoint. Only what may be repeated is sent so."""
        return self._send(operation, "POST", self.shared.endpoint + path, body, error_of, pages=pages)

    def change(self, operation: str, method: str, path: str, body: bytes | None, refusal: Refusal) -> bytes:
        """POST, PATCH or DELETE below the endpoint, where a refusal has a meaning of its own. May be repeated."""
        return self._send(operation, method, self.shared.endpoint + path, body, refusal)

    def renew_token(self) -> bool:
        """Sees to it that the next request carries another token; whether there is a way to."""
        if self.fresh_token is not None:
            self.fresh_token()
        return self.fresh_token is not None

    def _send(
        self, operation: str, method: str, url: str, body: bytes | None, refusal: Refusal, *, pages: Pages | None = None
    ) -> bytes:
        token = self.get_token()
        fresh = self.fresh_token
        waits = self.shared.waits()
        while True:
            answer = self.shared.attempt(
                operation, method, url, token, body, pages=pages or Pages(self.shared.page_size)
            )
            if isinstance(answer, http.Answer):
                if 200 <= answer.status < 300:
                    return answer.body
                answer = refusal(operation, answer, self.shared.clock())
                if fresh is not None and isinstance(answer, FRESH_TOKEN_MAY_HELP):
                    token, fresh = fresh(), None
                    continue
            waits.take(answer)


class Waits:
    """A bounded number of short waits."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._planned: Iterator[float] = iter(_WAITS)

    def take(self, error: MailsyncError) -> None:
        """Waits for what caused `error` to pass; raises it where waiting is of no use, too long or used up."""
        planned = next(self._planned, None)
        if not isinstance(error, RetryLater) or planned is None:
            raise error
        seconds = planned if error.retry_after is None else error.retry_after
        if seconds > _LONGEST_WAIT:
            raise error
        self._sleep(seconds)


def _leads_to(endpoint: str, link: str) -> bool:
    """Same scheme, host and port, below the same path, and nothing that two parsers might read differently."""
    if len(link) > _LONGEST_LINK or not re.fullmatch(r"[!-\[\]-~]+", link):
        return False
    try:
        ours, theirs = urlsplit(endpoint), urlsplit(link)
        same = (ours.scheme, ours.hostname, ours.port or 443) == (theirs.scheme, theirs.hostname, theirs.port or 443)
    except ValueError:
        return False
    steps = re.sub("%2e", ".", theirs.path, flags=re.IGNORECASE).split("/")
    inside = theirs.path.startswith(f"{ours.path}/") and not {".", ".."} & set(steps)
    return same and inside and theirs.username is None
