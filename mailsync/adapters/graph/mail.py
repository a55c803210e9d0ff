"""The port `MailService` over Microsoft Graph: each method is one operation, linked to its reference page."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET

from mailsync.adapters import json_reader
from mailsync.adapters.graph import messages as wire
from mailsync.adapters.graph.errors import FRESH_TOKEN_MAY_HELP, error_of, is_missing
from mailsync.adapters.graph.formats import read_answer, time_text
from mailsync.adapters.graph.transport import PREFERENCES, AnswerTooLarge, Pages, UserTransport, by_smaller_pages
from mailsync.adapters.http import Answer
from mailsync.errors import GraphUnavailable, MailsyncError, RetryLater, Throttled
from mailsync.mailboxes.records import Profile
from mailsync.sync.records import Content, DeltaPage, Fetched, HistoryPage, Message

_BATCH = 20
"""Requests that one batch may hold: https://learn.microsoft.com/graph/json-batching."""
_LEAST_OF_DELTA = 1
_LEAST_OF_HISTORY = 2
"""Messages of the smallest pages. A page of history begins with the last message of the one before, which alone
would lead nowhere."""
_SPARE = 25
"""Messages that a list of headers may hold beside those that are wanted."""
_HEADERS = "receivedDateTime,internetMessageHeaders"
_NEWEST_FIRST = "$orderby=receivedDateTime%20desc"
_LAST_SECOND = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The last second of the calendar, for which `lt` the next second cannot be asked."""


class _Id(msgspec.Struct, frozen=True):
    id: str


class _User(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    user_principal_name: str
    mail: str | None = None
    display_name: str | None = None


class _Part(msgspec.Struct, frozen=True):
    id: str | int
    status: int
    headers: dict[str, Any] | None = None
    body: msgspec.Raw = msgspec.Raw(b"{}")


class _Parts(msgspec.Struct, frozen=True):
    responses: list[_Part]


_id_decoder = msgspec.json.Decoder(_Id)
_user_decoder = msgspec.json.Decoder(_User)
_parts_decoder = msgspec.json.Decoder(_Parts)


class GraphClient:
    """One user's mail."""

    def __init__(self, transport: UserTransport) -> None:
        self._transport = transport
        self._shared = transport.shared

    def me(self) -> Profile:
        """GET /me: https://learn.microsoft.com/graph/api/user-get."""
        raw = self._transport.get("me", "/me?$select=id,displayName,mail,userPrincipalName")
        user = read_answer("me", raw, partial(json_reader.read, decoder=_user_decoder))
        return Profile(user.id.lower(), user.user_principal_name, user.mail or "", user.display_name or "")

    def folder_id(self, folder: str) -> str:
        """GET /me/mailFolders/{id}: https://learn.microsoft.com/graph/api/mailfolder-get."""
        raw = self._transport.get("folder_id", f"{_folder(folder)}?$select=id")
        return read_answer("folder_id", raw, partial(json_reader.read, decoder=_id_decoder)).id

    def count(self, folder: str, since: datetime, until: datetime | None = None) -> int | None:
        """GET …/messages with $count: https://learn.microsoft.com/graph/query-parameters#count-parameter.

        With a filter, `"@odata.count": -1` is reported at times: https://github.com/microsoftgraph/microsoft-graph-docs/issues/3848
        """
        return _counted(self._count(folder, since, until))

    def survey(self, folder: str, since: datetime) -> tuple[str, int | None]:
        """The same list; the one message on it names its folder, so that only an empty one is asked for its id."""
        page = self._count(folder, since, None)
        known = next((message.parent_folder_id for message in page.value if message.parent_folder_id), None)
        return known or self.folder_id(folder), _counted(page)

    def _count(self, folder: str, since: datetime, until: datetime | None) -> wire.WirePage:
        path = f"{_folder(folder)}/messages?$select=parentFolderId&$filter={_encode(_window(since, until))}"
        return read_answer("count", self._transport.get("count", f"{path}&$count=true&$top=1"), wire.page)

    def start_delta(self, folder: str, since: datetime | None, *, size: int = 0, narrow: bool = False) -> DeltaPage:
        """GET …/messages/delta: https://learn.microsoft.com/graph/api/message-delta.

        The only filter it takes is `receivedDateTime ge` (or `gt`), the only order newest first.
        """
        path = f"{_folder(folder)}/messages/delta?$select={_selected(narrow)}&{_NEWEST_FIRST}"
        if since is not None:
            path += f"&$filter={_encode(f'receivedDateTime ge {time_text(since)}')}"
        ask = partial(self._transport.get, "start_delta", path, filtered=since is not None)
        return self._delta("start_delta", by_smaller_pages(size or self._shared.page_size, _LEAST_OF_DELTA, ask))

    def follow_delta(self, link: str, *, size: int = 0) -> DeltaPage:
        """GET a next or delta link as it was given: https://learn.microsoft.com/graph/delta-query-messages."""
        ask = partial(self._transport.follow, "follow_delta", link)
        return self._delta("follow_delta", by_smaller_pages(size or self._shared.page_size, _LEAST_OF_DELTA, ask))

    def history(
        self, folder: str, since: datetime, before: datetime | None, skip: int, *, size: int = 0, narrow: bool = False
    ) -> HistoryPage:
        """GET …/messages: https://learn.microsoft.com/graph/api/mailfolder-list-messages.

        What $orderby names must come first in $filter, or Graph answers InefficientFilter. Exchange filters by
        times with fractions but shows whole seconds, so `le` with a time it has shown would leave out the rest of
        that second.
        """
        window = _encode(_window(since, before))
        path = f"{_folder(folder)}/messages?$select={_selected(narrow)}&$filter={window}&{_NEWEST_FIRST}"
        raw = by_smaller_pages(
            size or self._shared.page_size,
            _LEAST_OF_HISTORY,
            lambda pages: self._transport.get("history", f"{path}&$top={pages.size}&$skip={skip}", pages),
        )
        page = read_answer("history", raw, wire.page)
        return HistoryPage(wire.to_messages(page.value), page.next_link is not None)

    def headers(self, folder: str, received: Mapping[str, datetime]) -> Mapping[str, Message]:
        """GET …/messages with $select=internetMessageHeaders.

        https://learn.microsoft.com/graph/api/mailfolder-list-messages. A list goes on from one wanted message to the
        next, so that what lies between them is not read.
        """
        left = sorted(received, key=lambda message_id: received[message_id], reverse=True)
        shown: dict[str, Message] = {}
        for _ in range(len(left) // _BATCH):
            page = self._headers(folder, received[left[-1]], received[left[0]], len(left))
            listed = {message.id: message for message in page.messages if message.id in received}
            shown |= listed
            end = min((message.received for message in page.messages if message.received), default=None)
            left = [each for each in left if each not in shown and end and received[each] <= end] if page.more else []
            if len(left) <= _BATCH or not listed:
                break
        if all(message.content.headers is UNSET for message in shown.values()):
            return {}
        return {message_id: Message(message_id, _headers_of(message)) for message_id, message in shown.items()}

    def _headers(self, folder: str, since: datetime, before: datetime, wanted: int) -> HistoryPage:
        window = _encode(_window(since, before))
        path = f"{_folder(folder)}/messages?$select={_HEADERS}&$filter={window}&{_NEWEST_FIRST}&$top="
        raw = by_smaller_pages(
            wanted + _SPARE,
            _LEAST_OF_HISTORY,
            lambda pages: self._transport.get("headers", f"{path}{pages.size}", pages),
        )
        page = read_answer("headers", raw, wire.page)
        return HistoryPage(wire.to_messages(page.value), page.next_link is not None)

    def messages(self, ids: Sequence[str]) -> Fetched:
        """POST /$batch of GET /me/messages/{id}: https://learn.microsoft.com/graph/api/message-get."""
        found: dict[str, Message] = {}
        refused: dict[str, MailsyncError] = {}
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), _BATCH):
            batch = self._batch(wanted[start : start + _BATCH])
            found |= batch.found
            refused |= batch.refused
            if pause := next((error for error in batch.refused.values() if isinstance(error, Throttled)), None):
                refused |= dict.fromkeys(wanted[start + _BATCH :], pause)
                break
        return Fetched(found, refused)

    def _batch(self, ids: Sequence[str]) -> Fetched:
        """Each part of a batch has a status of its own: what passes is asked again, what is gone left out."""
        found: dict[str, Message] = {}
        refused: dict[str, MailsyncError] = {}
        waits = self._shared.waits()
        outcomes = self._outcomes(ids)
        if all(map(_may_want_a_fresh_token, outcomes.values())) and self._transport.renew_token():
            outcomes = self._outcomes(ids)
        while True:
            found |= {each: outcome for each, outcome in outcomes.items() if isinstance(outcome, Message)}
            errors = {each: outcome for each, outcome in outcomes.items() if isinstance(outcome, MailsyncError)}
            passing = {each: error for each, error in errors.items() if isinstance(error, RetryLater)}
            refused |= {each: error for each, error in errors.items() if each not in passing}
            if not passing:
                return Fetched(found, refused)
            try:
                waits.take(max(passing.values(), key=_wait))
            except RetryLater:
                return Fetched(found, refused | passing)
            outcomes = self._outcomes(list(passing))

    def _outcomes(self, ids: Sequence[str]) -> dict[str, Message | MailsyncError | None]:
        return {message_id: self._outcome(message_id, answer) for message_id, answer in self._ask(ids).items()}

    def _outcome(self, message_id: str, answer: Answer | MailsyncError) -> Message | MailsyncError | None:
        """The message that a part of a batch holds, why it holds none, or None where the message is no more.

        A part that holds another message than was asked for holds none: the content would be stored under a wrong id.
        """
        if isinstance(answer, MailsyncError):
            return answer
        if answer.status == 200:
            with suppress(json_reader.Unreadable):
                message = wire.message(answer.body)
                if message.id == message_id:
                    return wire.to_message(message)
        return None if is_missing(answer) else error_of("messages", answer, self._shared.clock())

    def _ask(self, ids: Sequence[str]) -> Mapping[str, Answer | MailsyncError]:
        """The answer to each id, in as many batches as it takes; an error where even a cut one was too large."""
        try:
            return self._ask_at_once(ids, Pages(len(ids)))
        except AnswerTooLarge:
            if len(ids) == 1:
                try:
                    return self._ask_at_once(ids, Pages(1, cut=True))
                except AnswerTooLarge as error:
                    return {ids[0]: error}
        half = len(ids) // 2
        return {**self._ask(ids[:half]), **self._ask(ids[half:])}

    def _ask_at_once(self, ids: Sequence[str], pages: Pages) -> dict[str, Answer]:
        """The answer to each id; an entry that the batch's answer forgot counts as timed out."""
        path = f"/me/messages/%s?$select={wire.SELECT}"
        requests = [
            {"id": str(n), "method": "GET", "url": path % _encode(message_id), "headers": {"Prefer": PREFERENCES}}
            for n, message_id in enumerate(ids)
        ]
        raw = self._transport.post("messages", "/$batch", msgspec.json.encode({"requests": requests}), pages)
        answers = read_answer("messages", raw, partial(json_reader.read, decoder=_parts_decoder)).responses
        parts = {str(part.id): part for part in answers}
        forgotten = _Part("", 504)
        return {message_id: _answer(parts.get(str(n), forgotten)) for n, message_id in enumerate(ids)}

    def _delta(self, operation: str, raw: bytes) -> DeltaPage:
        """The one place that reads paging links: a page has either, and both lead back to the endpoint."""
        page = read_answer(operation, raw, wire.page)
        link = page.next_link or page.delta_link
        if not link:
            raise GraphUnavailable(f"{operation}: the page has neither a next nor a delta link")
        return DeltaPage(wire.to_messages(page.value), self._shared.own(link), link == page.delta_link)


def _counted(page: wire.WirePage) -> int | None:
    return page.count if page.count is not None and page.count >= 0 else None


def _headers_of(message: Message) -> Content:
    return Content(headers=message.content.headers)


def _answer(part: _Part) -> Answer:
    headers = {name.lower(): str(value) for name, value in (part.headers or {}).items()}
    return Answer(part.status, headers, bytes(part.body))


def _may_want_a_fresh_token(outcome: object) -> bool:
    return isinstance(outcome, FRESH_TOKEN_MAY_HELP)


def _wait(error: RetryLater) -> float:
    return error.retry_after or 0.0


def _window(since: datetime, until: datetime | None) -> str:
    window = f"receivedDateTime ge {time_text(since)}"
    if until is not None and until < _LAST_SECOND:
        window += f" and receivedDateTime lt {time_text(until.replace(microsecond=0) + timedelta(seconds=1))}"
    return window


def _selected(narrow: bool) -> str:
    return wire.NARROW_SELECT if narrow else wire.SELECT


def _folder(folder: str) -> str:
    return f"/me/mailFolders/{_encode(folder)}"


def _encode(text: str) -> str:
    return quote(text, safe="")
