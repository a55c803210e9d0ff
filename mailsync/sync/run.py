"""One run's hold on its mailbox: the lease, the budget, and the record as it changes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailsync.clock import Clock
from mailsync.errors import StaleWrite
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import Folder, Lease, Mailbox
from mailsync.sync.records import Message
from mailsync.sync.row_writer import Written

_TRIES = 3

_NOTED = (
    "folders",
    "messages",
    "removed",
    "push",
    "push_reason",
    "push_retry_at",
    "push_failures",
    "last_notification_at",
    "looking",
    "token_holder",
    "token_held_until",
)
"""What a run changes on its way, and nobody changes without the lease."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may take, and how failures are spaced; times in seconds.

    `pages`, `seconds`: the budget. `lease`: how long it holds without a save; longer than any one step.
    `busy`: how long a hint that met a lease steps aside at the most. `first_retry` doubles with each failure up to
    `longest_retry`; a Retry-After is obeyed up to `longest_wait`.
    `denial`, `denials`: access that Graph has denied for so long, and so often, is taken for a lost grant.
    """

    pages: int = 60
    seconds: float = 10
    lease: float = 60
    busy: float = 5
    first_retry: float = 30
    longest_retry: float = 3_600
    longest_wait: float = 86_400
    denial: float = 86_400
    denials: int = 12


class Run:
    """Takes the lease when made; `finish` gives it back. `mailbox` is the record with all that was noted.

    The record may be changed meanwhile by somebody who does not need the lease, such as an owner who
    connects again: then what this run noted is laid over the new record. A lease that another run has taken
    is lost, which every method that writes says by StaleWrite.

    `awaited`: ids of messages that the run has not come upon yet. `arrived`: when those that it has added to
    the table were received. `served`: Graph has given a page.
    """

    def __init__(self, mailbox: Mailbox, mailboxes: MailboxStore, owner: str, clock: Clock, limits: Limits) -> None:
        self._mailboxes = mailboxes
        self._clock = clock
        self._limits = limits
        self._owner = owner
        self.started_at = clock()
        self.granted_at = mailbox.granted_at
        self.pages = 0
        self.added = 0
        self.arrived: list[datetime] = []
        self.awaited: list[str] = []
        self.everything_new_read = False
        self.served = False
        self.mailbox = mailboxes.save(self._extended(mailbox))

    def follow(self, names: Iterable[str], since: datetime) -> list[Folder]:
        """Sets the folders to those named: known ones go on where they were, new ones reach back to `since`.

        Returns those that are followed no longer.
        """
        known = {folder.name: folder for folder in self.mailbox.folders}
        folders = tuple(known.get(name) or Folder(name=name, since=since) for name in names)
        dropped = [folder for folder in self.mailbox.folders if folder not in folders]
        self.mailbox = replace(self.mailbox, folders=folders)
        return dropped

    def may_go_on(self) -> bool:
        """Whether the budget allows one more page, and nobody waits for the lease; each call counts a page."""
        self.pages += 1
        now = self._clock()
        spent = now - self.started_at
        if self.mailbox.reserved_until and now < self.mailbox.reserved_until:
            return False
        return self.pages < self._limits.pages and spent < timedelta(seconds=self._limits.seconds)

    def hold(self) -> None:
        """Extends the lease when half of it has passed."""
        lease = self.mailbox.lease
        if lease is None or lease.expires_at - self._clock() < timedelta(seconds=self._limits.lease / 2):
            self.save()

    def keep(self, folder: Folder, written: Written) -> None:
        """Notes a folder's state and what was written for it."""
        self.added += written.added
        self.arrived += written.arrived
        self.mailbox = replace(
            self.mailbox,
            folders=tuple(folder if known.name == folder.name else known for known in self.mailbox.folders),
            messages=self.mailbox.messages + written.added,
            removed=self.mailbox.removed + written.removed,
        )

    def saw(self, messages: Iterable[Message]) -> None:
        """Notes that a page has come, and messages on it."""
        self.served = True
        if self.awaited:
            seen = {message.id for message in messages}
            self.awaited = [message_id for message_id in self.awaited if message_id not in seen]

    def save(self) -> None:
        """Writes what was noted and extends the lease."""
        self._write(self._extended)

    def finish(self, outcome: Callable[[Mailbox], Mailbox]) -> None:
        """Writes what was noted and the outcome, and gives the lease back, all at once."""
        self._write(lambda mailbox: replace(outcome(mailbox), lease=None))

    def _extended(self, mailbox: Mailbox) -> Mailbox:
        expires_at = self._clock() + timedelta(seconds=self._limits.lease)
        return replace(mailbox, lease=Lease(self._owner, self.started_at, expires_at))

    def _write(self, change: Callable[[Mailbox], Mailbox]) -> None:
        for _ in range(_TRIES):
            try:
                self.mailbox = self._mailboxes.save(change(self.mailbox))
            except StaleWrite:
                self.mailbox = self._rebased()
            else:
                return
        raise StaleWrite("the mailbox record kept changing while it was written")

    def _rebased(self) -> Mailbox:
        fresh = self._mailboxes.get(self.mailbox.id)
        if fresh is None or fresh.lease is None or fresh.lease.owner != self._owner:
            raise StaleWrite("another run has taken the mailbox over")
        return replace(fresh, **{name: getattr(self.mailbox, name) for name in _NOTED})
