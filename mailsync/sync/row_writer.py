"""Writes what Graph says of messages over what the table holds of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import batched

from mailsync import optimistic
from mailsync.clock import Clock
from mailsync.errors import MailsyncError, Rejected, RetryLater
from mailsync.mailboxes.records import Folder
from mailsync.reasons import Reason
from mailsync.sync.merge import merge, says_elsewhere, settled
from mailsync.sync.ports import MailService, MessageStore
from mailsync.sync.records import Message, StoredMessage
from mailsync.telemetry import Event, emit

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Written:
    """What changed: messages new to the table, and how many more are marked removed (or fewer).

    `arrived`: when the new ones were received. `changed`: entries written, whatever of them has changed.
    """

    added: int = 0
    removed: int = 0
    arrived: tuple[datetime, ...] = ()
    changed: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(
            self.added + other.added,
            self.removed + other.removed,
            self.arrived + other.arrived,
            self.changed + other.changed,
        )


class RowWriter:
    """The rows of one mailbox."""

    def __init__(self, mailbox_id: str, messages: MessageStore, clock: Clock) -> None:
        self._mailbox_id = mailbox_id
        self._messages = messages
        self._clock = clock

    def find(self, messages: Iterable[Message]) -> dict[str, StoredMessage]:
        """What is stored of these messages, whole, as far as their times lead there; a write finds out the rest."""
        sought = _sought(messages)
        return self._messages.find(self._mailbox_id, sought) if sought else {}

    def find_unsettled(self, folder: Folder, messages: Iterable[Message]) -> dict[str, StoredMessage]:
        """What is stored of sighted messages; whole only where the sighting can matter."""
        sought = _sought(messages)
        if not sought:
            return {}
        stored = self._messages.find(self._mailbox_id, sought, whole=False)
        unsettled = {id_: sought[id_] for id_, entry in stored.items() if entry.row_key and not settled(entry, folder)}
        return stored | (self._messages.find(self._mailbox_id, unsettled) if unsettled else {})

    def _find_anew(self, messages: Iterable[Message]) -> dict[str, StoredMessage]:
        """What is stored of these messages, by id where their times lead to nothing."""
        stored = self.find(messages)
        missing: dict[str, datetime | None] = {message.id: None for message in messages if message.id not in stored}
        return stored | (self._messages.find(self._mailbox_id, missing) if missing else {})

    def write(
        self, folder: Folder, messages: Iterable[Message], stored: Mapping[str, StoredMessage], *, sighting: bool
    ) -> Written:
        """Merges in order and writes; where a row was not as `stored` had it, the page is looked for again, by ids.

        Raises RetryLater where rows keep changing, and what the store raises.
        """
        messages = tuple(messages)

        def attempt(known: Mapping[str, StoredMessage]) -> Written:
            entries = self._merged(folder, messages, known, sighting=sighting)
            proven = any(_has_row(known, message.id) for message in messages)
            return _counted(known, self._store(entries, proven=proven))

        contended = RetryLater(Reason.ROWS_CONTENDED, "rows kept changing while they were written")
        return optimistic.write(stored, attempt, partial(self._find_anew, messages), contended=contended)

    def mark_unseen(
        self, folder: Folder, mail: MailService, hold: Callable[[], None], refused: Callable[[str, MailsyncError], None]
    ) -> Iterator[Written]:
        """Marks removed what is stored of the folder's window and its latest enumeration has not shown.

        Each message is asked for by its id first, since an enumeration may have left out one that is there. `hold` is
        called before each batch, for there may be many; `refused` for what Graph refuses, whose row stays as it is.
        """
        unseen = self._messages.unseen(self._mailbox_id, folder.folder_id or "", folder.generation, folder.since)
        for entries in batched(unseen, _BATCH, strict=False):
            hold()
            asked = mail.messages([entry.message_id for entry in entries])
            for message_id, error in asked.refused.items():
                refused(message_id, error)
            here = [message for message in asked.found.values() if not says_elsewhere(message, folder)]
            there = {message.id for message in here} | asked.refused.keys()
            gone = [Message(entry.message_id, removed=True) for entry in entries if entry.message_id not in there]
            stored = self._find_anew([*here, *gone])
            yield self.write(folder, here, stored, sighting=True)
            yield self.write(folder, gone, stored, sighting=False)

    def _store(self, entries: list[StoredMessage], *, proven: bool) -> list[StoredMessage]:
        """Writes entries; returns those written. A row that storage refuses must not stop the mail behind it.

        `proven`: others of the page are in the table. Where neither that nor another entry shows that storage
        takes rows at all, it is no single row's fault, and the refusal is raised.
        """
        try:
            if entries:
                self._messages.write(self._mailbox_id, entries)
        except Rejected as error:
            written = [entry for entry in entries if self._stores(entry)] if len(entries) > 1 else []
            if not (written or proven):
                raise
            reason, detail = error.reason, error.message
            for refused in (entry.message_id for entry in entries if entry not in written):
                emit(Event.ROW_REFUSED, mailbox=self._mailbox_id, message=refused, reason=reason, detail=detail)
            return written
        return entries

    def _stores(self, entry: StoredMessage) -> bool:
        try:
            self._messages.write(self._mailbox_id, [entry])
        except Rejected:
            return False
        return True

    def _merged(
        self, folder: Folder, messages: Iterable[Message], stored: Mapping[str, StoredMessage], *, sighting: bool
    ) -> list[StoredMessage]:
        now = self._clock()
        entries: dict[str, StoredMessage] = {}
        for message in messages:
            known = entries.get(message.id) or stored.get(message.id)
            entry = merge(known, message, folder, now, sighting=sighting)
            if entry is not None:
                entries[message.id] = entry
        return list(entries.values())


def _sought(messages: Iterable[Message]) -> dict[str, datetime | None]:
    """Messages by id, with the time that one of their words names."""
    sought: dict[str, datetime | None] = {}
    for message in messages:
        sought[message.id] = message.received or sought.get(message.id)
    return sought


def _has_row(stored: Mapping[str, StoredMessage], message_id: str) -> bool:
    entry = stored.get(message_id)
    return entry is not None and entry.row_key is not None


def _counted(stored: Mapping[str, StoredMessage], entries: Iterable[StoredMessage]) -> Written:
    written = Written()
    for entry in entries:
        known = _has_row(stored, entry.message_id)
        was_removed = known and stored[entry.message_id].removed_generation > 0
        is_removed = entry.row_key is not None and entry.removed_generation > 0
        is_new = entry.row_key is not None and not known
        received = entry.content.received
        arrived = (received,) if is_new and isinstance(received, datetime) else ()
        written += Written(int(is_new), int(is_removed) - int(was_removed), arrived, 1)
    return written
