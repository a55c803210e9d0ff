"""Where the reading of one folder stands, and the one way in which that changes: rows first, then the state."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec.structs import replace

from mailsync.errors import (
    FolderUnfinished,
    GraphRefused,
    GraphUnavailable,
    GraphUnreachable,
    MailsyncError,
    RetryLater,
    Throttled,
)
from mailsync.mailboxes.records import Folder
from mailsync.reasons import Reason
from mailsync.sync.ports import MailService
from mailsync.sync.records import Message, StoredMessage
from mailsync.sync.row_writer import RowWriter, Written
from mailsync.sync.run import Run
from mailsync.telemetry import Event, emit

PATIENCE = 3
"""Runs that fail at one place before anything but waiting is tried."""

LONG_PATIENCE = 6
"""The same where nothing else shows that Graph is well: with the waits between them, a quarter of an hour."""

_SMALLER = (20, 5, 1)
"""Messages a page, one after the other, where a page cannot be had."""
_USUAL = 100
"""Messages a page from which on as many as usual are asked for again."""


class FolderState:
    """One folder of one mailbox: `folder` is where it stands, the others what it is read with."""

    def __init__(self, mailbox_id: str, folder: Folder, *, mail: MailService, rows: RowWriter, run: Run) -> None:
        self.folder = folder
        self.mailbox_id = mailbox_id
        self.mail = mail
        self.rows = rows
        self.run = run

    def write(
        self, messages: Iterable[Message], stored: Mapping[str, StoredMessage], folder: Folder, *, sighting: bool
    ) -> Written:
        """Writes a page's rows, marks what a whole enumeration has not shown, then notes the new state: `folder`."""
        self.run.hold.ensure()
        self.run.saw(messages)
        written = self.rows.write(self.folder, messages, stored, sighting=sighting)
        self.run.keep(self.folder, written)  # what is written counts, whatever becomes of the rest
        if folder.generation > 1 and folder.complete and not self.folder.complete:
            for marked in self.rows.mark_unseen(folder, self.mail, self.run.hold.ensure, self._unsure):
                self.run.keep(self.folder, marked)
                written += marked
        self.become(folder)
        return written

    def become(self, folder: Folder) -> None:
        """Notes a new state without rows."""
        self.folder = folder
        self.run.keep(folder, Written())

    def _unsure(self, message_id: str, error: MailsyncError) -> None:
        """Graph does not say whether an unseen message is still there; after some tries, its row is left as it is."""
        folder, walk = self.folder, self.folder.history
        walking = walk is not None and not walk.done and not folder.enumerating
        tries = 1 + (walk.tries if walk and walking else folder.tries)
        if tries >= PATIENCE:
            return self.tell_refused(message_id, error, stored=True)
        history = replace(walk, tries=tries) if walk and walking else walk
        self.become(replace(folder, history=history, tries=folder.tries if walking else tries))
        wait = error.retry_after if isinstance(error, RetryLater) else None
        raise FolderUnfinished(Reason.MESSAGES_UNREAD, f"a message could not be asked for: {error.message}", wait)

    def tell_refused(self, message_id: str, error: MailsyncError, *, stored: bool) -> None:
        """Says that a message was passed over. `stored`: as far as it had been shown."""
        emit(
            Event.MESSAGE_REFUSED,
            mailbox=self.mailbox_id,
            folder=self.folder.name,
            message=message_id,
            stored=str(stored).lower(),
            reason=error.reason,
            detail=error.message,
        )


def is_of_the_page(error: MailsyncError) -> bool:
    """Whether a page could not be had for a cause that may lie in a message on it, so that a smaller one may do."""
    return isinstance(error, GraphUnavailable | GraphUnreachable | GraphRefused)


def asks_for_time(error: MailsyncError) -> bool:
    """Whether Graph wants to be left alone for a while."""
    return isinstance(error, Throttled) or (isinstance(error, RetryLater) and error.retry_after is not None)


def smaller(size: int) -> int:
    """The number of messages to ask for where `size` (0: as usual) could not be had; 0 where there is no smaller."""
    return next((step for step in _SMALLER if not size or step < size), 0)


def larger(size: int) -> int:
    """The number of messages to ask for after `size` were had; 0: as usual."""
    return 0 if size * 2 >= _USUAL else size * 2


def completed(message: Message, whole: Mapping[str, Message]) -> Message:
    """A message with what fetching it whole has added."""
    more = whole.get(message.id)
    if more is None or message.removed:
        return message
    return Message(message.id, message.content.updated(more.content))


def whole_seconds(moment: datetime) -> datetime:
    """Graph shows times in whole seconds, so the start of a window is compared in them."""
    return moment.replace(microsecond=0)
