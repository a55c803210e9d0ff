"""Moves the mail of one folder from Graph to the table: the forward delta, and the history beside it.

Order is everything here: rows first, then the cursor that says so. Every page can be read and written again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from mailsync.clock import Clock
from mailsync.errors import FOLDER_NOT_FOUND, FilterRefused, MailsyncError, Rejected, RetryLater, SyncStateLost
from mailsync.mailboxes.records import Folder, History
from mailsync.sync.ports import MailService
from mailsync.sync.read_ahead import read_ahead
from mailsync.sync.records import DeltaPage, HistoryPage, Message, StoredMessage
from mailsync.sync.row_writer import RowWriter, Written
from mailsync.telemetry import Event, emit

FILTERED_CAP = 5_000
"""A filtered delta enumeration returns this many messages at the most
(https://learn.microsoft.com/graph/delta-query-messages)."""

_CLOSE_TO = 0.9
"""This much of the cap is taken for all of it: mail goes on arriving while it is enumerated."""

_OVERLAP = timedelta(days=1)


class Progress(Protocol):
    """The run that a folder is read in."""

    def hold(self) -> None:
        """Makes sure of the lease before rows are written. Raises StaleWrite where it is lost."""
        ...

    def keep(self, folder: Folder, written: Written) -> None:
        """Takes note of the folder's new state; the next save writes it."""
        ...

    def saw(self, messages: Iterable[Message]) -> None:
        """Takes note of messages that Graph has shown."""
        ...

    def save(self) -> None:
        """Saves what was noted. Raises StaleWrite where the lease is lost."""
        ...

    def may_go_on(self) -> bool:
        """Whether the run's budget allows one more page."""
        ...


class _Prepared(NamedTuple):
    """A page ready to be written, what is stored of it, and why some of its messages could not be fetched whole."""

    page: DeltaPage
    stored: dict[str, StoredMessage]
    refused: Mapping[str, MailsyncError] = {}


class FolderReader:
    """Reads one folder of one mailbox; `folder` is where it stands.

    `alone`: no other folder is followed, so that what is enumerated for the first time can't be stored yet.
    """

    def __init__(
        self,
        mailbox_id: str,
        folder: Folder,
        *,
        mail: MailService,
        rows: RowWriter,
        progress: Progress,
        clock: Clock,
        alone: bool,
    ) -> None:
        self.folder = folder
        self._mailbox_id = mailbox_id
        self._mail = mail
        self._rows = rows
        self._progress = progress
        self._clock = clock
        self._alone = alone

    def forward(self, backfill: timedelta, last_success: datetime | None) -> bool:
        """Follows the delta up to its delta link; False where the budget ended before.

        A lost delta link starts another enumeration, over `backfill` or since `last_success` where that is
        longer ago. Raises RetryLater where that one is lost at once too. A folder that this mailbox lacks has
        nothing to read: MAIL_FOLDERS is for all mailboxes, and not each has every folder.
        """
        try:
            return self._round_or_two(backfill, last_success)
        except Rejected as error:
            if error.reason != FOLDER_NOT_FOUND or self.folder.folder_id is None:
                return self._lack(error)
        # What the link led to is gone; by its name there may be another.
        self._lose_cursor(backfill, last_success)
        self._become(folder_id=None)
        try:
            return self._round_or_two(backfill, last_success)
        except Rejected as error:
            return self._lack(error)

    def history(self) -> bool:
        """Reads on through older mail where some is left; False where the budget ended before the end."""
        walk = self.folder.history
        if walk is None or walk.done or self.folder.problem:
            return True
        try:
            self._walk(walk)
        except Rejected as error:
            return self._lack(error)
        return self.folder.complete

    def _lack(self, error: Rejected) -> bool:
        """Notes that the mailbox lacks the folder, and what was subscribed to with it; any other error is raised."""
        if error.reason != FOLDER_NOT_FOUND:
            raise error
        if not self.folder.problem:
            name, reason = self.folder.name, error.reason
            emit(Event.SYNC_FAILED, mailbox=self._mailbox_id, reason=reason, folder=name, detail=error.message)
        self._become(problem=error.reason, subscription=None)
        return True

    # The delta

    def _round_or_two(self, backfill: timedelta, last_success: datetime | None) -> bool:
        try:
            return self._round()
        except SyncStateLost:
            self._lose_cursor(backfill, last_success)
        try:
            return self._round()
        except SyncStateLost as error:
            raise RetryLater(error.reason, "Graph dropped a delta link it had just given") from error

    def _round(self) -> bool:
        if self.folder.cursor is None:
            self._begin()
        last = False
        for page, stored, refused in read_ahead(self._fetch_first, self._next_delta):
            if refused:
                # What could be read is written at once; the cursor stays, so that the rest is asked for again.
                self._write(page.messages, stored, sighting=False)
                raise _unread(refused)
            self._write(page.messages, stored, sighting=False, **self._after(page))
            last = page.last
            if not last:
                self._progress.save()
        return last

    def _begin(self) -> None:
        """Begins an enumeration, and makes the history due where Graph's cap may leave mail out.

        The generation is saved before any row carries it, so that rows of an enumeration that broke off are
        told from this one's. Mail is counted beforehand, since what goes meanwhile would hide the cap.
        """
        folder_id = self.folder.folder_id or self._mail.folder_id(self.folder.name)
        total = self._mail.count(self.folder.name, self.folder.since)
        history = History(total=total) if total >= FILTERED_CAP * _CLOSE_TO else None
        generation = self.folder.generation + 1
        self._become(folder_id=folder_id, generation=generation, enumerating=True, enumerated=0, history=history)
        self._progress.save()

    def _fetch_first(self) -> _Prepared:
        folder = self.folder
        if folder.cursor:
            return self._prepared(self._mail.follow_delta(folder.cursor))
        try:
            return self._prepared(self._mail.start_delta(folder.name, folder.since if folder.filtered else None))
        except FilterRefused:
            self._become(filtered=False, history=None)
            return self._prepared(self._mail.start_delta(folder.name, None))

    def _next_delta(self, read: _Prepared) -> Callable[[], _Prepared] | None:
        page = read.page
        if page.last or read.refused or not self._progress.may_go_on():
            return None
        return lambda: self._prepared(self._mail.follow_delta(page.link))

    def _prepared(self, page: DeltaPage) -> _Prepared:
        """Fetches whole what delta says too little of; what Graph refuses is left out of the page."""
        folder = self.folder
        first_sight = self._alone and folder.enumerating and folder.generation == 1
        stored = {} if first_sight else self._rows.find(page.messages)
        wanted = dict.fromkeys(m.id for m in page.messages if _wants_whole(m, stored.get(m.id), folder))
        if not wanted:
            return _Prepared(page, stored)
        whole = self._mail.messages(list(wanted))
        read = tuple(_completed(m, whole.found) for m in page.messages if m.id not in whole.refused)
        return _Prepared(replace(page, messages=read), stored, whole.refused)

    def _after(self, page: DeltaPage) -> dict[str, object]:
        """How the folder's state changes with this page."""
        folder = self.folder
        return {
            "cursor": page.link,
            "problem": "",
            "enumerating": folder.enumerating and not page.last,
            "enumerated": folder.enumerated + (len(page.messages) if folder.enumerating else 0),
        }

    def _lose_cursor(self, backfill: timedelta, last_success: datetime | None) -> None:
        emit(Event.SYNC_RESET, mailbox=self._mailbox_id, generation=self.folder.generation)
        since = self._clock() - backfill
        if last_success is not None:
            since = min(since, last_success - _OVERLAP)
        self._become(since=max(self.folder.since, whole_seconds(since)), cursor=None, filtered=True)

    # The history

    def _walk(self, walk: History) -> None:
        for page, history in read_ahead(partial(self._fetch_history, walk), self._next_history):
            stored = self._rows.find_unsettled(self.folder, page.messages)
            self._write(page.messages, stored, sighting=True, history=history)
            self._progress.save()

    def _fetch_history(self, history: History) -> tuple[HistoryPage, History]:
        folder = self.folder
        page = self._mail.history(folder.name, folder.since, history.before, history.skip)
        return page, _walked(history, page)

    def _next_history(self, read: tuple[HistoryPage, History]) -> Callable[[], tuple[HistoryPage, History]] | None:
        _, history = read
        if history.done or not self._progress.may_go_on():
            return None
        return partial(self._fetch_history, history)

    # The rows and the state, in this order

    def _write(
        self, messages: Iterable[Message], stored: Mapping[str, StoredMessage], *, sighting: bool, **state: object
    ) -> None:
        """Writes a page's rows, marks what a whole enumeration has not shown, then notes the new state."""
        self._progress.hold()
        self._progress.saw(messages)
        written = self._rows.write(self.folder, messages, stored, sighting=sighting)
        folder = msgspec.structs.replace(self.folder, **state)
        if folder.generation > 1 and folder.complete and not self.folder.complete:
            written += self._rows.mark_unseen(folder, self._progress.hold)
        self.folder = folder
        self._progress.keep(folder, written)

    def _become(self, **state: object) -> None:
        self.folder = msgspec.structs.replace(self.folder, **state)
        self._progress.keep(self.folder, Written())


def whole_seconds(moment: datetime) -> datetime:
    """Graph shows times in whole seconds, so the start of a window is compared in them."""
    return moment.replace(microsecond=0)


def _wants_whole(message: Message, stored: StoredMessage | None, folder: Folder) -> bool:
    """Whether delta's word is not enough: headers or more are missing, or it is stored in another folder."""
    if message.removed:
        return False
    if stored is not None and stored.row_key is not None:
        return stored.folder_id != folder.folder_id
    received = message.received
    return received is None or (received >= folder.since and "headers" not in message.columns)


def _completed(message: Message, whole: Mapping[str, Message]) -> Message:
    more = whole.get(message.id)
    return (
        message if more is None or message.removed else Message(message.id, dict(message.columns) | dict(more.columns))
    )


def _unread(refused: Mapping[str, MailsyncError]) -> MailsyncError:
    """Messages that could not be fetched are asked for later, never sooner than Graph says."""
    waits = [error.retry_after for error in refused.values() if isinstance(error, RetryLater) and error.retry_after]
    first = next(iter(refused.values()))
    message = f"{len(refused)} messages could not be fetched whole: {first.message}"
    return RetryLater("messages_unread", message, max(waits, default=None))


def _walked(history: History, page: HistoryPage) -> History:
    """The walk after a page. The bound is the last message's time, read again with the next page.

    A page full of one instant can't move the bound, so it is skipped over but for its last message: where the
    next page does not begin with that, something before it has gone, and the instant is read from its start.
    """
    read = history.read + len(page.messages)
    if history.anchor and (not page.messages or page.messages[0].id != history.anchor):
        return History(before=history.before, total=history.total, read=history.read)
    times = [message.received for message in page.messages if message.received is not None]
    if not page.more or not times:
        return History(before=history.before, total=history.total, read=read, done=True)
    if min(times) != history.before:
        return History(before=min(times), total=history.total, read=read)
    skip = history.skip + len(page.messages) - 1
    return History(history.before, skip, page.messages[-1].id, history.total, read)
