"""Follows the delta of one folder. A round that Graph does not bring to its end is brought there by other ways.

What keeps failing is asked for again by later runs, then in smaller pages, then in an enumeration with few
properties, whose messages are fetched one by one, and at last beside the message that Graph cannot show.
A round that leads nowhere (to the link it came from, to another host, or to pages without news) is left for a
new enumeration. Each step is bounded, and each thing that is passed over is told.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import replace
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, NoReturn

from msgspec import UNSET

from mailsync.clock import Clock
from mailsync.errors import (
    AccessDenied,
    FilterRefused,
    FolderUnfinished,
    ForeignLink,
    GraphForbidden,
    GraphUnavailable,
    MailsyncError,
    Rejected,
    RetryLater,
)
from mailsync.mailboxes.records import Folder, History
from mailsync.reasons import Reason
from mailsync.sync.folder_state import (
    LONG_PATIENCE,
    PATIENCE,
    FolderState,
    asks_for_time,
    completed,
    is_of_the_page,
    larger,
    smaller,
    whole_seconds,
)
from mailsync.sync.read_ahead import read_ahead
from mailsync.sync.records import DeltaPage, Fetched, Message, StoredMessage
from mailsync.telemetry import Event, emit

FILTERED_CAP = 5_000
"""A filtered delta enumeration returns this many messages at the most
(https://learn.microsoft.com/graph/delta-query-messages)."""

_CLOSE_TO = 0.9
"""The part of the cap that is taken for the whole: mail goes on arriving while it is enumerated."""

_OVERLAP = timedelta(days=1)
"""How far before the last success a new enumeration begins."""

_IDLE = 2_000
"""Idleness beyond which a round is taken to have no end; docs/decisions.md says how much mail that lets pass."""
_EMPTY, _KNOWN, _NEWS = 10, 1, -40
"""Idleness that a page adds: one that is empty or repeats another; one that changes nothing; one with news."""

_MORE_ASKS = 2
"""How often refused messages are asked for again at once, since the fault may be one that comes and goes."""

ONE_BATCH = 20
"""Messages that one call fetches by their ids: https://learn.microsoft.com/graph/json-batching."""

_FIRST_WAIT = 60.0
_LONGEST_WAIT = 3_600.0
"""Seconds to wait after a round that led nowhere: the first time, and at the most."""


class Read(NamedTuple):
    """A page ready to be written, what is stored of it, and why some of its messages could not be fetched whole."""

    page: DeltaPage
    stored: dict[str, StoredMessage]
    fetched: Fetched = Fetched()


@dataclass(slots=True)
class DeltaReader:
    """One run's reading of one folder's delta.

    `alone`: no other folder is followed, so that what is enumerated for the first time can't be stored yet.
    `backfill`, `last_success`: how far a new enumeration reaches back.
    """

    state: FolderState
    clock: Clock
    alone: bool
    backfill: timedelta
    last_success: datetime | None
    _begun: bool = field(default=False, init=False)
    _asked: set[str] = field(default_factory=set, init=False)
    _leads_back: str = field(default="", init=False)
    _shown: set[int] = field(default_factory=set, init=False)

    def round(self) -> bool:
        """Reads up to the delta link; False where the budget ended before. Raises what Graph raises."""
        while True:
            try:
                return self._pages()
            except ForeignLink:
                self._count_astray()
                raise
            except MailsyncError as error:
                if not is_of_the_page(error):
                    raise
                self._ask_for_less(error)

    def restart(self, *, narrow: bool = False, reaches: datetime | None = None, by_name: bool = False) -> None:
        """Makes a new enumeration due: of the whole window, or from `backfill` or `last_success` on where all is read.

        `narrow`, `reaches`: as the folder is to have them. `by_name`: Graph's id of it is asked for anew.
        """
        folder = self.state.folder
        emit(Event.SYNC_RESET, mailbox=self.state.mailbox_id, generation=folder.generation)
        since = self.clock() - self.backfill
        if self.last_success is not None:
            since = min(since, self.last_success - _OVERLAP)
        since = max(folder.since, whole_seconds(since)) if folder.complete else folder.since
        fresh = replace(folder, cursor=None, filtered=True, page_size=0, tries=0, reached=None, idle=0, since=since)
        folder_id = None if by_name else folder.folder_id
        self.state.become(replace(fresh, narrow=narrow, reaches=reaches, folder_id=folder_id))
        self._begun = False

    # One page after the other

    def _pages(self) -> bool:
        if self.state.folder.cursor is None and not self._begun:
            self._begin()
        last = False
        for read in read_ahead(self._fetch_first, self._following, self._prepared):
            last = self._take(read)
            del read  # it would stay in memory while the next one is waited for
        return last

    def _begin(self) -> None:
        """Begins an enumeration, and makes the history due where Graph's cap may leave mail out.

        The generation is saved before any row carries it, so that rows of an enumeration that broke off are
        told from this one's. Mail is counted beforehand, since what goes meanwhile would hide the cap; where
        Graph gives no count, the cap may have been reached.
        """
        folder = self.state.folder
        at = whole_seconds(self.clock())
        folder_id, total = self._survey()
        beside = total is None or total >= FILTERED_CAP * _CLOSE_TO or folder.reaches is not None
        begun = replace(folder, folder_id=folder_id, generation=folder.generation + 1, enumerating=True, enumerated=0)
        history = History(total=total) if beside else None
        self.state.become(replace(begun, counted=total, counted_at=at, history=history))
        self._begun = True
        self.state.run.save()

    def _survey(self) -> tuple[str, int | None]:
        """The folder's id, and the number of messages in the window.

        None for a number that Graph does not say, or fails over in PATIENCE runs.
        """
        folder = self.state.folder
        try:
            if folder.folder_id:
                return folder.folder_id, self.state.mail.count(folder.name, folder.since)
            return self.state.mail.survey(folder.name, folder.since)
        except (AccessDenied, GraphForbidden):
            pass  # where the mail is denied too, the next request shows that
        except MailsyncError as error:
            if not is_of_the_page(error) or folder.tries + 1 < PATIENCE:
                raise
        return folder.folder_id or self.state.mail.folder_id(folder.name), None

    def _fetch_first(self) -> DeltaPage:
        folder = self.state.folder
        mail, size, narrow = self.state.mail, folder.page_size, folder.narrow
        if folder.cursor:
            self._asked.add(folder.cursor)
            return mail.follow_delta(folder.cursor, size=size)
        since = max(folder.since, folder.reaches or folder.since)
        try:
            return mail.start_delta(folder.name, since if folder.filtered else None, size=size, narrow=narrow)
        except FilterRefused:
            self.state.become(replace(folder, filtered=False, history=None))
            return mail.start_delta(folder.name, None, size=size, narrow=narrow)

    def _following(self, page: DeltaPage) -> Callable[[], DeltaPage] | None:
        if page.last:
            return None
        if page.link in self._asked:
            self._leads_back = page.link
            return None
        if not self.state.run.may_go_on():
            return None
        self._asked.add(page.link)
        return partial(self.state.mail.follow_delta, page.link, size=larger(self.state.folder.page_size))

    def _prepared(self, page: DeltaPage) -> Read:
        """Looks up what is stored of a page, and fetches whole what delta says too little of."""
        folder = self.state.folder
        first_sight = self.alone and folder.enumerating and folder.generation == 1 and not folder.tries
        stored = {} if first_sight else self.state.rows.find(page.messages)
        wanted = dict.fromkeys(m.id for m in page.messages if _wants_whole(m, stored.get(m.id), folder))
        if not wanted:
            return Read(page, stored)
        listed = self._listed([m for m in page.messages if m.id in wanted and _lacks_headers_alone(m, stored, folder)])
        fetched = self._fetched([id_ for id_ in wanted if id_ not in listed], alone=len(page.messages) == 1)
        found = {**listed, **fetched.found}
        whole = tuple(completed(message, found) for message in page.messages)
        # A message without a time has no place in the table; it is told of like one that Graph refuses.
        timeless = {m.id: _timeless() for m in whole if m.id in found and m.received is None and not _row(m, stored)}
        return Read(replace(page, messages=whole), stored, Fetched(found, {**fetched.refused, **timeless}))

    def _listed(self, messages: list[Message]) -> Mapping[str, Message]:
        """The headers of these, as far as lists show them. Whatever is the matter with a list, ids are another way."""
        times = {message.id: message.received for message in messages if message.received}
        if len(times) <= ONE_BATCH:
            return {}
        try:
            return self.state.mail.headers(self.state.folder.name, times)
        except MailsyncError as error:
            if not is_of_the_page(error) or asks_for_time(error):
                raise
            return {}

    def _fetched(self, ids: list[str], *, alone: bool) -> Fetched:
        """Messages by id; what is refused is asked for again at once."""
        fetched = self._asked_for(ids, alone=alone)
        for _ in range(_MORE_ASKS):
            if fetched.refused and not any(map(asks_for_time, fetched.refused.values())):
                again = self._asked_for(list(fetched.refused), alone=alone)
                fetched = Fetched({**fetched.found, **again.found}, again.refused)
        return fetched

    def _asked_for(self, ids: list[str], *, alone: bool) -> Fetched:
        if not ids:
            return Fetched()
        try:
            return self.state.mail.messages(ids)
        except (AccessDenied, GraphForbidden) as error:
            # The page itself has just been given, so this is no word about the mailbox.
            return Fetched(refused=dict.fromkeys(ids, error))
        except MailsyncError as error:
            if not alone or not is_of_the_page(error):
                raise
            return Fetched(refused=dict.fromkeys(ids, error))

    def _take(self, read: Read) -> bool:
        """Writes a page and moves on; whether it was the round's last. Raises where the round stays at its place."""
        page = read.page
        if not self._passes(read):
            self._put_off(read)
        if page.link == self._leads_back:
            self.state.write(page.messages, read.stored, self.state.folder, sighting=False)
            self._leads_nowhere("Graph's delta led back to a link that it came from")
        for message_id, error in self._missed(read).items():
            self._tell_refused(read, message_id, error)
        written = self.state.write(page.messages, read.stored, _after(self.state.folder, page), sighting=False)
        if not page.last:
            self._judge(page, written.changed > 0)
            self.state.run.checkpoint()
        return page.last

    # Messages that cannot be fetched whole

    def _passes(self, read: Read) -> bool:
        """Whether the page can be left: all is there, or was asked for often enough."""
        refused = self._missed(read)
        if not refused:
            return True
        if any(map(asks_for_time, refused.values())):
            # After such an answer the messages behind it were not asked for.
            return len(read.page.messages) == 1 and self.state.folder.tries + 1 >= LONG_PATIENCE
        others = read.fetched.found or any(entry.row_key for entry in read.stored.values())
        return self.state.folder.tries + 1 >= (PATIENCE if others else LONG_PATIENCE)

    def _missed(self, read: Read) -> dict[str, MailsyncError]:
        """What was refused and is not yet stored for this folder; of the others there is what there was."""
        here = {id_ for id_, entry in read.stored.items() if entry.row_key and self._is_home_of(entry)}
        return {id_: error for id_, error in read.fetched.refused.items() if id_ not in here}

    def _is_home_of(self, entry: StoredMessage) -> bool:
        return entry.folder_id == self.state.folder.folder_id

    def _put_off(self, read: Read) -> NoReturn:
        """Writes what could be had; the cursor stays, so that the rest is asked for again."""
        refused, folder = self._missed(read), self.state.folder
        others = [message for message in read.page.messages if message.id not in refused]
        self.state.write(others, read.stored, folder, sighting=False)
        waits = [error.retry_after for error in refused.values() if isinstance(error, RetryLater) and error.retry_after]
        tries = folder.tries + 1
        size = smaller(folder.page_size) if waits and tries >= PATIENCE else 0
        self.state.become(replace(folder, tries=tries, page_size=size or folder.page_size))
        first = next(iter(refused.values()))
        message = f"{len(refused)} messages could not be fetched whole: {first.message}"
        raise FolderUnfinished(Reason.MESSAGES_UNREAD, message, max(waits, default=None))

    def _tell_refused(self, read: Read, message_id: str, error: MailsyncError) -> None:
        entry = read.stored.get(message_id)
        shown = any(message.id == message_id and message.received for message in read.page.messages)
        self.state.tell_refused(message_id, error, stored=shown or bool(entry and entry.row_key))

    # Pages that cannot be had

    def _ask_for_less(self, error: MailsyncError) -> None:
        """Makes the next request a smaller one, where waiting has not helped and Graph is well otherwise."""
        folder = self.state.folder
        tries = folder.tries + 1
        if tries < PATIENCE:
            self.state.become(replace(folder, tries=tries))
            raise error
        self.state.mail.count(folder.name, folder.since)  # raises where Graph fails over more than the page
        if size := smaller(folder.page_size):
            self.state.become(replace(folder, page_size=size))
            if asks_for_time(error):
                raise error
        elif not (folder.narrow and folder.enumerating):
            self.restart(narrow=True)
        elif tries < LONG_PATIENCE or not folder.filtered:
            self.state.become(replace(folder, tries=tries))
            raise error
        else:
            self._leave_behind(error)

    def _leave_behind(self, error: MailsyncError) -> None:
        """Where nothing leads past a message: delta follows newer mail from now on, and history reads older mail.

        Raises where not even a delta of what is newer can be had, for then it is no message's fault.
        """
        folder = self.state.folder
        reaches = whole_seconds(folder.reached or self.clock()) + timedelta(seconds=1)
        self.state.mail.follow_delta(self.state.mail.start_delta(folder.name, reaches, size=1).link, size=1)
        came = False
        with suppress(RetryLater, Rejected):
            came = bool(self._prepared(self._fetch_first()))
        if came:
            raise error  # something else is the matter, or was until just now
        self.state.tell_refused("unknown", error, stored=False)
        self.restart(reaches=reaches)

    # Rounds without an end

    def _judge(self, page: DeltaPage, changed: bool) -> None:
        """Adds up how long the round has brought nothing new."""
        content = hash(tuple((m.id, m.removed, m.content) for m in page.messages))
        repeated = not page.messages or content in self._shown
        weight = _EMPTY if repeated else (_NEWS if changed else _KNOWN)
        self._shown.add(content)
        idle = max(0, self.state.folder.idle + weight)
        self.state.become(replace(self.state.folder, idle=idle))
        if idle > _IDLE:
            self._leads_nowhere("Graph's delta goes on without bringing anything new")

    def _leads_nowhere(self, message: str) -> NoReturn:
        wait = min(_FIRST_WAIT * 2.0 ** min(self.state.folder.astray, 16), _LONGEST_WAIT)
        self._count_astray()
        raise FolderUnfinished(Reason.DELTA_ENDLESS, message, wait)

    def _count_astray(self) -> None:
        """After several times at which the round led nowhere, another enumeration may lead on."""
        times = self.state.folder.astray + 1
        self.state.become(replace(self.state.folder, astray=times, idle=0))
        if times % PATIENCE == 0:
            emit(Event.DELTA_ENDLESS, mailbox=self.state.mailbox_id, folder=self.state.folder.name, times=times)
            self.restart()


def _after(folder: Folder, page: DeltaPage) -> Folder:
    """The folder once this page of its delta is in the table."""
    after = replace(folder, cursor=page.link, problem="", tries=0, page_size=larger(folder.page_size))
    if folder.enumerating:
        here = [message for message in page.messages if not message.removed]
        after = replace(after, enumerated=folder.enumerated + len(here))
        if folder.narrow:
            after = replace(after, reached=min((m.received for m in here if m.received), default=folder.reached))
        if page.last and folder.history is None and _falls_short(folder, after.enumerated):
            after = replace(after, history=History(total=folder.counted))
    if page.last:
        after = replace(after, enumerating=False, page_size=0, reached=None, idle=0, astray=0)
    return after


def _row(message: Message, stored: Mapping[str, StoredMessage]) -> str | None:
    entry = stored.get(message.id)
    return entry.row_key if entry else None


def _timeless() -> GraphUnavailable:
    return GraphUnavailable("messages: a message came without the time at which it was received")


def _falls_short(folder: Folder, enumerated: int) -> bool:
    """Whether an enumeration may have left mail out: it came to Graph's cap, or to less than had been counted."""
    return enumerated < (folder.counted or 0) or (folder.filtered and enumerated >= FILTERED_CAP * _CLOSE_TO)


def _lacks_headers_alone(message: Message, stored: Mapping[str, StoredMessage], folder: Folder) -> bool:
    """Whether a message that is wanted whole needs nothing but its headers."""
    return not (folder.narrow or message.id in stored) and message.received is not None


def _wants_whole(message: Message, stored: StoredMessage | None, folder: Folder) -> bool:
    """Whether delta's word is not enough: headers or more are missing, or the row says another folder."""
    if message.removed:
        return False
    if stored is not None and stored.row_key is not None:
        return folder.narrow or stored.folder_id != folder.folder_id
    received = message.received
    return received is None or (received >= folder.since and message.content.headers is UNSET)
