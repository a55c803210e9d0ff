"""Moves the mail of one folder from Graph to the table: the forward delta, and the history beside it.

Order is everything here: rows first, then the cursor that says so. Every page can be read and written again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from mailsync.clock import Clock
from mailsync.errors import (
    FolderNotFound,
    FolderUnfinished,
    ForeignLink,
    GraphRefused,
    GraphUnavailable,
    GraphUnreachable,
    MailsyncError,
    SyncStateLost,
)
from mailsync.mailboxes.records import Folder
from mailsync.sync.delta_reader import DeltaReader
from mailsync.sync.folder_state import FolderState
from mailsync.sync.history_reader import HistoryReader
from mailsync.sync.ports import MailService
from mailsync.sync.row_writer import RowWriter
from mailsync.sync.run import Run
from mailsync.telemetry import Event, emit

_OF_ONE_FOLDER = (FolderUnfinished, SyncStateLost, GraphUnavailable, GraphUnreachable, GraphRefused, ForeignLink)
"""Failures that say nothing of a mailbox's other folders."""


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
        run: Run,
        clock: Clock,
        alone: bool,
    ) -> None:
        self._state = FolderState(mailbox_id, folder, mail=mail, rows=rows, run=run)
        self._clock = clock
        self._alone = alone

    @property
    def folder(self) -> Folder:
        """Where the folder stands."""
        return self._state.folder

    def forward(self, backfill: timedelta, last_success: datetime | None) -> bool:
        """Follows the delta up to its delta link; False where the budget ended before.

        A lost delta link starts another enumeration, over `backfill` or since `last_success` where that is
        longer ago. Raises RetryLater where that one is lost at once too. A folder that this mailbox lacks has
        nothing to read: MAIL_FOLDERS is for all mailboxes, and not each has every folder.
        """
        delta = DeltaReader(self._state, self._clock, self._alone, backfill, last_success)
        try:
            return _round_or_two(delta)
        except FolderNotFound as error:
            if self.folder.folder_id is None:
                return self._lack(error)
        # What the link led to is gone; by its name there may be another.
        delta.restart(by_name=True)
        try:
            return _round_or_two(delta)
        except FolderNotFound as error:
            return self._lack(error)

    def history(self) -> bool:
        """Reads on through older mail where some is left; False where the budget ended before the end."""
        walk = self.folder.history
        if walk is None or walk.done or self.folder.problem:
            return True
        try:
            HistoryReader(self._state).walk()
        except FolderNotFound as error:
            return self._lack(error)
        return self.folder.complete

    def _lack(self, error: FolderNotFound) -> bool:
        """Notes that the mailbox lacks the folder, and with it what was subscribed to."""
        if not self.folder.problem:
            name, reason = self.folder.name, error.reason
            emit(Event.SYNC_FAILED, mailbox=self._state.mailbox_id, reason=reason, folder=name, detail=error.message)
        self._state.become(replace(self.folder, problem=error.reason, subscription=None))
        return True


def read_folders(
    readers: Sequence[FolderReader], backfill: timedelta, last_success: datetime | None
) -> tuple[bool, bool]:
    """Reads every folder's delta, then every history: whether everything new, and whether everything, is read.

    What fails in one folder keeps no other from being read, and is raised afterwards; what is the mailbox's, such
    as throttling or a denial, is raised at once.
    """
    failures: list[MailsyncError] = []

    def tried(step: Callable[[], bool]) -> bool | None:
        try:
            return step()
        except _OF_ONE_FOLDER as error:
            failures.append(error)
            return None

    results = {}
    for reader in readers:
        results[reader] = tried(partial(reader.forward, backfill, last_success))
        if results[reader] is False:
            break
    everything_new = all(results.get(reader) for reader in readers)
    done = False not in results.values()
    if done:
        done = all(tried(reader.history) is not False for reader, result in results.items() if result)
    if failures:
        raise failures[0]
    return everything_new, done


def _round_or_two(delta: DeltaReader) -> bool:
    try:
        return delta.round()
    except SyncStateLost:
        delta.restart()
    try:
        return delta.round()
    except SyncStateLost as error:
        raise FolderUnfinished(error.reason, "Graph dropped a delta link it had just given") from error
