"""The port `MailService` in memory, over a `GraphMailbox`: exact, without a clock, and easy to disturb.

Delta as documented (https://learn.microsoft.com/graph/delta-query-messages): a filtered enumeration is
capped, links are opaque and may be followed again, items may be replayed, changes may be partial, a page
may be empty. Where the documents are silent a knob chooses, so that a test can try both readings.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailsync.errors import (
    FilterRefused,
    FolderNotFound,
    ForeignLink,
    GraphUnavailable,
    MailsyncError,
    SyncStateLost,
)
from mailsync.mailboxes.records import Profile
from mailsync.sync.records import Content, DeltaPage, Fetched, HistoryPage, Message
from mailsync.tokens.ports import GetToken
from tests.fakes.faults import Faults
from tests.fakes.graph_mailbox import GraphMailbox, Mail

_LINKS = "https://graph.example/v1.0/me/messages/delta?"


_NARROW = {"received", "parent_folder_id", "is_read", "subject", "author", "importance"}


@dataclass(frozen=True, slots=True)
class _Item:
    """An entry of a round: whole (`names` None) or partial, and how it looked when the round began."""

    id: str
    names: frozenset[str] | None
    then: Message


@dataclass(frozen=True, slots=True)
class _Round:
    """One delta round: its entries, and where in the log the next one begins."""

    folder: str
    since: datetime | None
    omitted: frozenset[str]
    items: tuple[_Item, ...]
    end: int
    empty_pages: int
    narrow: bool


@dataclass(slots=True)
class FakeMailService:
    """One user's Graph. Fields are knobs and may change between any two calls.

    `cap`, `choose`: how many messages a filtered enumeration returns, and which of the window's ids.
    `omitted_changes`: whether later rounds speak of messages that the cap left out.
    `partial_updates`: a change carries only what changed; else the whole message.
    `headers_in_delta`, `headers_in_lists`: whether delta's and lists' answers carry `headers` at all.
    `list_size`: how many messages a list of headers shows.
    `stale_pages`: a round's later pages show messages as they were when it began; else as they are.
    `replays`: how many of the entries served last the next delta page repeats (once).
    `empty_pages`: how many empty pages begin each round from now on. `refuse_filter`: 400 to a filter.
    `unreadable`: messages that fail every page they are on, and whether only one with all properties.
    `counts`: whether Graph counts. `unlinked`: how many history pages from now on lack the link to the next one.
    `refused`: messages that cannot be read by id, and why. `calls`: the operations called, in order.
    """

    mailbox: GraphMailbox = field(default_factory=GraphMailbox)
    get_token: GetToken | None = None
    profile: Profile = field(
        default_factory=lambda: Profile(
            "aaaaaaaa-0000-4000-8000-000000000001", "owner@contoso.example", "owner@contoso.example", "Owner"
        )
    )
    page_size: int = 100
    history_page_size: int = 100
    cap: int = 5_000
    choose: Callable[[Sequence[str], int], Iterable[str]] = lambda ids, cap: ids[:cap]
    omitted_changes: bool = True
    partial_updates: bool = True
    headers_in_delta: bool = True
    headers_in_lists: bool = True
    list_size: int = 100
    stale_pages: bool = False
    replays: int = 0
    empty_pages: int = 0
    refuse_filter: bool = False
    unreadable: dict[str, bool] = field(default_factory=dict)
    counts: bool = True
    unlinked: int = 0
    refused: dict[str, MailsyncError] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    _faults: Faults = field(default_factory=Faults)
    _rounds: list[_Round | None] = field(default_factory=list)
    _served: dict[str, list[_Item]] = field(default_factory=dict)

    def factory(self, get_token: GetToken, fresh_token: GetToken | None = None) -> "FakeMailService":
        """A `MailServiceFactory`: this same service, which asks for a token at every call."""
        self.get_token = get_token
        return self

    def fail(self, error: MailsyncError, *operations: str, after: int = 0, times: int = 1) -> None:
        """Orders a fault: `error` from the named operations (none: from any), `after` so many calls went well."""
        self._faults.order(error, *operations, after=after, times=times)

    def expire_links(self) -> None:
        """Every link given so far is forgotten: following one loses the sync state."""
        self._rounds = [None] * len(self._rounds)

    def open_windows(self) -> None:
        """Rounds under way speak of mail of any age from now on, as Graph's may."""
        self._rounds = [known and replace(known, since=None) for known in self._rounds]

    def me(self) -> Profile:
        self._enter("me")
        return self.profile

    def folder_id(self, folder: str) -> str:
        self._enter("folder_id")
        return self._home(folder)

    def count(self, folder: str, since: datetime, until: datetime | None = None) -> int | None:
        self._enter("count")
        there = self.mailbox.holds(self._home(folder))
        number = sum(_within(mail, since) and (until is None or mail.received <= until) for mail in there)
        return number if self.counts else None

    def survey(self, folder: str, since: datetime) -> tuple[str, int | None]:
        return self.folder_id(folder), self.count(folder, since)

    def start_delta(self, folder: str, since: datetime | None, *, size: int = 0, narrow: bool = False) -> DeltaPage:
        self._enter("start_delta")
        home = self._home(folder)
        if since is not None and self.refuse_filter:
            raise FilterRefused("the filter is not supported")
        mails = [mail for mail in self.mailbox.holds(home) if _within(mail, since)]
        ids = [mail.id for mail in mails]
        chosen = set(ids if since is None or len(ids) <= self.cap else self.choose(ids, self.cap))
        items = tuple(self._item(mail.id, None) for mail in mails if mail.id in chosen)
        omitted = frozenset() if self.omitted_changes else frozenset(ids) - chosen
        return self._begin(_Round(home, since, omitted, items, len(self.mailbox.log), self.empty_pages, narrow), size)

    def follow_delta(self, link: str, *, size: int = 0) -> DeltaPage:
        self._enter("follow_delta")
        if not link.startswith(_LINKS):
            raise ForeignLink("a delta link leads to another host")
        kind, _, numbers = link.removeprefix(_LINKS).partition("=")
        number, _, place = numbers.partition(".")
        known = self._rounds[int(number)] if number.isdecimal() and int(number) < len(self._rounds) else None
        if known is None:
            raise SyncStateLost("the delta link is no longer known")
        if kind == "$skiptoken":
            return self._page(int(number), known, int(place), size)
        return self._begin(self._next_round(known), size)

    def history(
        self, folder: str, since: datetime, before: datetime | None, skip: int, *, size: int = 0, narrow: bool = False
    ) -> HistoryPage:
        self._enter("history")
        mails = [
            mail
            for mail in self.mailbox.holds(self._home(folder))
            if since <= mail.received and (before is None or mail.received <= before)
        ]
        shown = mails[skip : skip + (size or self.history_page_size)]
        self._fail_for([mail.id for mail in shown], narrow)
        messages = tuple(_shown(Message(mail.id, mail.content), narrow) for mail in shown)
        more = skip + len(shown) < len(mails)
        if more and self.unlinked:
            self.unlinked -= 1
            more = False
        return HistoryPage(messages, more)

    def headers(self, folder: str, received: Mapping[str, datetime]) -> Mapping[str, Message]:
        self._enter("headers")
        home = self._home(folder)
        there = [mail for mail in self.mailbox.holds(home) if received and mail.received >= min(received.values())][
            : self.list_size
        ]
        self._fail_for([mail.id for mail in there], narrow=True)
        if not self.headers_in_lists:
            return {}
        shown = (mail for mail in there if mail.id in received)
        return {mail.id: Message(mail.id, Content(headers=mail.content.headers)) for mail in shown}

    def messages(self, ids: Sequence[str]) -> Fetched:
        self._enter("messages")
        there = [message_id for message_id in ids if message_id in self.mailbox.messages]
        refused = {message_id: self.refused[message_id] for message_id in there if message_id in self.refused}
        shown = {message_id: self.mailbox.render(message_id) for message_id in ids if message_id not in refused}
        return Fetched({message_id: message for message_id, message in shown.items() if message is not None}, refused)

    def _enter(self, operation: str) -> None:
        self.calls.append(operation)
        if self.get_token is not None:
            self.get_token()
        self._faults.strike(operation)

    def _home(self, folder: str) -> str:
        try:
            return self.mailbox.folder_id(folder)
        except KeyError:
            raise FolderNotFound("the mailbox has no such folder") from None

    def _item(self, message_id: str, names: frozenset[str] | None) -> _Item:
        then = self.mailbox.render(message_id, names, headers=self.headers_in_delta)
        return _Item(message_id, names, then or Message(message_id, removed=True))

    def _next_round(self, last: _Round) -> _Round:
        """What happened in the folder since `last` began: each message once, in order of its last change."""
        changed: dict[str, frozenset[str] | None] = {}
        for change in self.mailbox.log[last.end :]:
            if change.folder == last.folder:
                names = changed.pop(change.id, frozenset())
                changed[change.id] = None if names is None or change.names is None else names | change.names
        items: list[_Item] = []
        for message_id, names in changed.items():
            mail = self.mailbox.messages.get(message_id)
            if message_id in last.omitted and names is not None:
                continue
            if mail is None or mail.folder != last.folder:
                items.append(_Item(message_id, names, Message(message_id, removed=True)))
            elif _within(mail, last.since):
                items.append(self._item(message_id, names if self.partial_updates else None))
        omitted = last.omitted - {message_id for message_id, names in changed.items() if names is None}
        return _Round(
            last.folder, last.since, omitted, tuple(items), len(self.mailbox.log), self.empty_pages, last.narrow
        )

    def _begin(self, started: _Round, size: int) -> DeltaPage:
        self._rounds.append(started)
        return self._page(len(self._rounds) - 1, started, 0, size)

    def _page(self, number: int, current: _Round, place: int, size: int) -> DeltaPage:
        """The page at a place: empty pages take one each, messages too."""
        first = place - current.empty_pages
        end = first + (size or self.page_size)
        items = current.items[first:end] if first >= 0 else ()
        self._fail_for([item.id for item in items if not item.then.removed], current.narrow)
        last = first >= 0 and end >= len(current.items)
        following = end + current.empty_pages if first >= 0 else place + 1
        link = f"{_LINKS}$deltatoken={number}" if last else f"{_LINKS}$skiptoken={number}.{following}"
        served = self._served.setdefault(current.folder, [])
        repeated, self.replays = served[-self.replays :] if self.replays else [], 0
        shown = [_shown(self._now(item, current.folder), current.narrow) for item in repeated]
        served.extend(items)
        for item in items:
            if self.stale_pages or item.then.removed:
                shown.append(_shown(item.then, current.narrow))
            elif not (now := self._now(item, current.folder)).removed:
                shown.append(_shown(now, current.narrow))
        return DeltaPage(tuple(shown), link, last)

    def _fail_for(self, ids: Iterable[str], narrow: bool) -> None:
        if any(message_id in self.unreadable and not (narrow and self.unreadable[message_id]) for message_id in ids):
            raise GraphUnavailable("Graph answered 500 InternalServerError")

    def _now(self, item: _Item, folder: str) -> Message:
        mail = self.mailbox.messages.get(item.id)
        now = self.mailbox.render(item.id, item.names, headers=self.headers_in_delta)
        return now if now and mail and mail.folder == folder else Message(item.id, removed=True)


def _shown(message: Message, narrow: bool) -> Message:
    if not narrow:
        return message
    fields = {name: value for name, value in message.content.given().items() if name in _NARROW}
    return Message(message.id, Content(**fields), message.removed)


def _within(mail: Mail, since: datetime | None) -> bool:
    return since is None or mail.received >= since
