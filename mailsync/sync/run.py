"""One run over a mailbox that it holds: its budget, and what it has come upon."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailsync.clock import Clock
from mailsync.mailboxes.hold import MailboxHold
from mailsync.mailboxes.records import Folder, Mailbox
from mailsync.sync.records import Message
from mailsync.sync.row_writer import Written

CHECKPOINT = timedelta(seconds=1)
"""A run that dies repeats what it has read since the last save: a save for each page would cost as much as a page."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may take, and how failures are spaced; times in seconds.

    `pages`, `seconds`: the budget. `first_retry` doubles with each failure up to `longest_retry`; a Retry-After is
    obeyed up to `longest_wait`. `denial`, `denials`: access that Graph has denied for so long, and so often, is taken
    for a lost grant.
    """

    pages: int = 60
    seconds: float = 10
    first_retry: float = 30
    longest_retry: float = 3_600
    longest_wait: float = 86_400
    denial: float = 86_400
    denials: int = 12


class Run:
    """What one run has read, and whether it may read more. What it notes of the mailbox, its `hold` saves.

    `awaited`: ids of messages that the run has not come upon yet. `arrived`: when those that it has added to
    the table were received. `served`: Graph has given a page.
    """

    def __init__(self, hold: MailboxHold, clock: Clock, limits: Limits) -> None:
        self.hold = hold
        self._clock = clock
        self._limits = limits
        self.pages = 0
        self.added = 0
        self.arrived: list[datetime] = []
        self.awaited: list[str] = []
        self.everything_new_read = False
        self.served = False

    @property
    def mailbox(self) -> Mailbox:
        """The record with all that was noted."""
        return self.hold.mailbox

    def may_go_on(self) -> bool:
        """Whether the budget allows one more page, and nobody waits for the lease; each call counts a page."""
        self.pages += 1
        now = self._clock()
        spent = now - self.hold.started_at
        if self.mailbox.reserved_until and now < self.mailbox.reserved_until:
            return False
        return self.pages < self._limits.pages and spent < timedelta(seconds=self._limits.seconds)

    def keep(self, folder: Folder, written: Written) -> None:
        """Notes a folder's state and what was written for it; the next save writes it."""
        self.added += written.added
        self.arrived += written.arrived
        self.hold.change(lambda mailbox: _with_folder(mailbox, folder, written))

    def saw(self, messages: Iterable[Message]) -> None:
        """Notes that a page has come, and messages on it."""
        self.served = True
        if self.awaited:
            seen = {message.id for message in messages}
            self.awaited = [message_id for message_id in self.awaited if message_id not in seen]

    def save(self) -> None:
        """Saves what was noted. Raises StaleWrite where the lease is lost."""
        self.hold.save()

    def checkpoint(self) -> None:
        """Saves what was noted, now and then, once its rows are written. Raises StaleWrite where the lease is lost."""
        self.hold.ensure(CHECKPOINT)


def following(mailbox: Mailbox, names: Iterable[str], since: datetime) -> Mailbox:
    """The record with the folders named: known ones go on where they were, new ones reach back to `since`."""
    known = {folder.name: folder for folder in mailbox.folders}
    return replace(mailbox, folders=tuple(known.get(name) or Folder(name=name, since=since) for name in names))


def _with_folder(mailbox: Mailbox, folder: Folder, written: Written) -> Mailbox:
    return replace(
        mailbox,
        folders=tuple(folder if known.name == folder.name else known for known in mailbox.folders),
        messages=mailbox.messages + written.added,
        removed=mailbox.removed + written.removed,
    )
