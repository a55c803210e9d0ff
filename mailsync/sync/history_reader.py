"""Walks through a folder's older mail by received time, newest first, beside its delta.

The walk trusts no link: each page begins with the last message of the one before, and only a page that brings
nothing more is the end. An end that falls short of what Graph counts, or shows again what was shown, is come back to,
and then told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from mailsync.errors import AccessDenied, FolderUnfinished, GraphForbidden, GraphUnavailable, MailsyncError
from mailsync.mailboxes.records import Folder, History
from mailsync.reasons import Reason
from mailsync.sync.folder_state import PATIENCE, FolderState, asks_for_time, completed, is_of_the_page, larger, smaller
from mailsync.sync.read_ahead import read_ahead
from mailsync.sync.records import Fetched, HistoryPage, Message, StoredMessage
from mailsync.telemetry import Event, emit

_RESTARTS = 5
"""How often one instant is read from its start, until its order is taken as it comes."""


@dataclass(slots=True)
class HistoryReader:
    """One run's part of a walk."""

    state: FolderState
    _counted: dict[str, datetime | None] = field(default_factory=dict, init=False)

    def walk(self) -> None:
        """Goes on until the budget or the mail ends. Raises what Graph raises."""
        while True:
            try:
                return self._pages()
            except MailsyncError as error:
                if not is_of_the_page(error):
                    raise
                self._ask_for_less(error)

    @property
    def _history(self) -> History:
        return self.state.folder.history or History()

    def _pages(self) -> None:
        self._counted = {}  # what was fetched and not written comes again
        first = partial(self._fetch, self._history)
        for page, history, stored in read_ahead(first, self._following, self._prepared):
            if history.done:
                self._check_end(history, page)
            self.state.write(page.messages, stored, self._at(history), sighting=True)
            self.state.run.checkpoint()
            del page, stored  # they would stay in memory while the next page is waited for

    def _fetch(self, history: History) -> tuple[HistoryPage, History]:
        folder = self.state.folder
        place = _place(history)
        page = self.state.mail.history(folder.name, folder.since, history.before, place, size=history.page_size)
        return page, walked(history, page, self._counted)

    def _prepared(self, read: tuple[HistoryPage, History]) -> tuple[HistoryPage, History, Mapping[str, StoredMessage]]:
        page, history = read
        stored = self.state.rows.find_unsettled(self.state.folder, page.messages)
        timed = tuple(m if m.received or m.id in stored else self._whole(m) for m in page.messages)
        return HistoryPage(timed, page.more), history, stored

    def _following(self, read: tuple[HistoryPage, History]) -> Callable[[], tuple[HistoryPage, History]] | None:
        _, history = read
        if history.done or not self.state.run.may_go_on():
            return None
        return partial(self._fetch, history)

    def _at(self, history: History) -> Folder:
        """The folder with the walk at another place."""
        return replace(self.state.folder, history=history)

    def _check_end(self, history: History, page: HistoryPage) -> None:
        """Raises where messages that were counted, and are still there, were not shown; at last, only tells of it.

        So too where the walk ended because Graph showed again what was read before, which is no end.
        """
        folder = self.state.folder
        total = history.total or 0
        if all(message.id == self._history.anchor for message in page.messages):
            if history.total is not None and history.read >= total:
                return
            total = min((number for number in (self._still_there(), history.total) if number is not None), default=0)
            if history.read >= total:
                return
        tries = self._history.tries + 1
        if tries < PATIENCE:
            self.state.become(self._at(replace(self._history, tries=tries)))
            raise FolderUnfinished(Reason.HISTORY_SHORT, f"Graph has shown {history.read} of {total} messages")
        emit(Event.HISTORY_SHORT, mailbox=self.state.mailbox_id, folder=folder.name, read=history.read, counted=total)

    def _still_there(self) -> int | None:
        """How many of the counted messages are still there; None where Graph does not say, or fails over it."""
        folder = self.state.folder
        try:
            return self.state.mail.count(folder.name, folder.since, folder.counted_at)
        except (AccessDenied, GraphForbidden):
            return None  # the page itself has just been given
        except MailsyncError as error:
            if not is_of_the_page(error):
                raise
            return None

    def _whole(self, message: Message) -> Message:
        """A message that came without its time, completed by id. One that has none even so is told of."""
        fetched = self._fetched(message)
        whole = completed(message, fetched.found)
        if message.id in fetched.found and whole.received is None:
            error = GraphUnavailable("messages: a message came without the time at which it was received")
            self.state.tell_refused(message.id, error, stored=False)
        return whole

    def _ask_for_less(self, error: MailsyncError) -> None:
        """Makes the next request a smaller one, where waiting has not helped; the delta has just shown Graph well."""
        history = self._history
        if history.tries + 1 < PATIENCE:
            self.state.become(self._at(replace(history, tries=history.tries + 1)))
            raise error
        if size := smaller(history.page_size):
            self.state.become(self._at(replace(history, page_size=size)))
            if asks_for_time(error):
                raise error
        else:
            self._pass_over(history, error)

    def _pass_over(self, history: History, error: MailsyncError) -> None:
        """Leaves the one message behind that makes every page fail, having stored what can be had of it."""
        place = _place(history)
        folder = self.state.folder
        ask = partial(self.state.mail.history, folder.name, folder.since, history.before, size=1, narrow=True)
        ask(skip=place + 1)  # raises where it is not this message that Graph can't give
        try:
            page = ask(skip=place)
        except MailsyncError as another:
            if not is_of_the_page(another):
                raise
            page = HistoryPage((), more=True)
            self.state.tell_refused("unknown", error, stored=False)
        messages = page.messages
        whole = [self._whole(message) for message in messages]
        stored = self.state.rows.find_unsettled(folder, whole)
        passed = replace(history, skip=place + 1, anchor="", tries=0, read=history.read + len(messages))
        self.state.write(whole, stored, self._at(passed), sighting=True)
        self.state.run.checkpoint()

    def _fetched(self, message: Message) -> Fetched:
        try:
            fetched = self.state.mail.messages([message.id])
        except MailsyncError as error:
            if not is_of_the_page(error):
                raise
            fetched = Fetched(refused={message.id: error})
        for message_id, why in fetched.refused.items():
            self.state.tell_refused(message_id, why, stored=message.received is not None)
        return fetched


def walked(history: History, page: HistoryPage, counted: dict[str, datetime | None]) -> History:
    """The walk after a page: to be read next is what was received at `before` or earlier, from the anchor on.

    `counted`: the messages of this run that `history.read` counts, by id with their times; this function updates it.
    Graph is reported to show pages again: messages that it shows twice, or unasked, lead no further.

    Where the anchor is not where it was, something before it has gone. That matters only where more was skipped
    than the anchor itself: then the instant is read from its start.
    """
    messages = tuple({message.id: message for message in page.messages}.values())
    anchored = bool(history.anchor) and history.page_size != 1
    found = anchored and bool(messages) and messages[0].id == history.anchor
    if anchored and not found and history.skip and history.restarts < _RESTARTS:
        read = max(0, history.read - history.skip - 1)
        _recount(counted, history.before)
        return replace(history, skip=0, anchor="", read=read, restarts=history.restarts + 1, tries=0)
    due = [message for message in messages if message.id != history.anchor and _is_due(message, history)]
    new = {message.id: message.received for message in due if message.id not in counted}
    counted |= new
    moved = replace(history, read=history.read + len(new), page_size=larger(history.page_size), tries=0)
    if new:
        return _onward(moved, messages, _place(history), counted)
    if found and page.more:
        return replace(moved, skip=history.skip + 1, anchor="")  # only the anchor: there may be more behind it
    return replace(moved, done=True)


def _onward(history: History, messages: Sequence[Message], place: int, counted: dict[str, datetime | None]) -> History:
    """The walk after a page with something new on it, which began at `place`."""
    last = messages[-1].received
    earliest = min((message.received for message in messages if message.received), default=None)
    one_instant = messages[0].received == earliest
    if earliest is None or (history.before and earliest >= history.before) or (place and one_instant):
        # One instant fills the page, which may have begun before it, or none of it can be placed in time: only its
        # length leads on.
        return replace(history, skip=place + len(messages) - 1, anchor=messages[-1].id)
    tail = sum(message.received == earliest for message in messages)
    if last != earliest:  # out of order: the instant is read from its start
        _recount(counted, earliest)
        return replace(history, before=earliest, skip=0, anchor="", read=history.read - tail, restarts=0)
    return replace(history, before=earliest, skip=tail - 1, anchor=messages[-1].id, restarts=0)


def _is_due(message: Message, history: History) -> bool:
    """Whether the walk has come to the message. One without a time may be anywhere."""
    return message.received is None or history.before is None or message.received <= history.before


def _recount(counted: dict[str, datetime | None], instant: datetime | None) -> None:
    """Forgets the messages received at `instant`, which are read once more."""
    for message_id in [each for each, received in counted.items() if received == instant]:
        del counted[message_id]


def _place(history: History) -> int:
    """How many messages to skip: a page of one holds the message behind the anchor, any other the anchor too."""
    return history.skip + (history.page_size == 1 and bool(history.anchor))
