"""Brings one mailbox up to date, whatever woke it.

    hint → read the mailbox → lease → subscriptions → every folder's delta → history where some is left → outcome

One run at a time works on a mailbox, because Graph allows four requests at once and the refresh token wants
one writer. A run has a budget; what is left goes on in a run of its own, so no mailbox starves the others.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

import msgspec

from mailsync import optimistic
from mailsync.clock import Clock
from mailsync.errors import AccessDenied, MailsyncError, Misconfigured, ReconnectRequired, RetryLater, StaleWrite
from mailsync.mailboxes.hold import MailboxHold
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import Looking, Mailbox, MailboxState
from mailsync.push import state as push
from mailsync.push.keeper import SubscriptionKeeper
from mailsync.reasons import Reason
from mailsync.schedule.pace import Pace
from mailsync.schedule.ports import HintQueue
from mailsync.schedule.records import Hint
from mailsync.settings import Settings
from mailsync.sync import looks, outcome
from mailsync.sync.decide import BRIEFLY, Later, Skip, Start, decide
from mailsync.sync.folder_reader import FolderReader, read_folders
from mailsync.sync.folder_state import whole_seconds
from mailsync.sync.ports import MailServiceFactory, MessageStore
from mailsync.sync.row_writer import RowWriter
from mailsync.sync.run import Limits, Run, following
from mailsync.telemetry import Event, emit
from mailsync.tokens.keeper import RETRY, TokenKeeper

_WORRYING = 5
"""Failures in a row after which a passing fault counts as a failing mailbox."""


class Synchronizer:
    """Runs hints. Safe for threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        mailboxes: MailboxStore,
        messages: MessageStore,
        tokens: TokenKeeper,
        keeper: SubscriptionKeeper,
        mail: MailServiceFactory,
        queue: HintQueue,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        self._settings = settings
        self._mailboxes = mailboxes
        self._messages = messages
        self._tokens = tokens
        self._keeper = keeper
        self._mail = mail
        self._queue = queue
        self._clock = clock
        self._limits = limits or Limits()
        self._pace = Pace[str](clock)

    def run(self, hint: Hint) -> None:
        """Does what a hint asks for. What goes wrong ends in the mailbox's status and its next attempt.

        Raises RetryLater where storage itself is away, and what nobody foresaw: the queue tries again then.
        """
        mailbox = self._mailboxes.get(hint.mailbox_id)
        decision = decide(
            mailbox,
            hint,
            self._clock(),
            token_is_elsewhere=mailbox is not None and self._tokens.is_held_elsewhere(mailbox),
        )
        if isinstance(decision, Start) and hint.is_notified and not self._pace.allows(hint.mailbox_id):
            decision = Later(BRIEFLY, "too_soon")
        match decision:
            case Start(mailbox):
                self._start(hint, mailbox)
            case Skip(why):
                _skip(hint, why)
            case Later(seconds, why):
                self._put_back(hint, seconds, why)

    def poisoned(self, hint: Hint | None) -> None:
        """Records on its mailbox that a hint failed too often; None for what was no hint. The schedule goes on."""
        emit(Event.SYNC_POISONED, mailbox=hint.mailbox_id if hint else None)
        if hint is None:
            return
        message = "a sync failed too often for a cause the program does not know; the logs name it"

        def save(mailbox: Mailbox | None) -> None:
            if mailbox is not None:
                self._mailboxes.save(
                    outcome.broken(mailbox, reason=Reason.POISONED, message=message, now=self._clock())
                )

        reread = partial(self._mailboxes.get, hint.mailbox_id)
        contended = RetryLater(Reason.MAILBOX_CONTENDED, "the mailbox record kept changing while it was written")
        optimistic.write(reread(), save, reread, contended=contended)

    def _put_back(self, hint: Hint, seconds: float, why: str) -> None:
        _skip(hint, why)
        self._queue.send(hint, seconds)

    def _start(self, hint: Hint, mailbox: Mailbox) -> None:
        try:
            hold = MailboxHold(mailbox, self._mailboxes, self._clock)
        except StaleWrite:
            return self._put_back(hint, BRIEFLY, "busy")
        try:
            return self._conclude(Run(hold, self._clock, self._limits), hint)
        except StaleWrite:
            return _skip(hint, "lease_lost")

    def _conclude(self, run: Run, hint: Hint) -> None:
        try:
            done = self._worked(run, hint)
        except StaleWrite:
            raise
        except ReconnectRequired as error:
            self._lost_grant(run, error)
        except MailsyncError as error:
            self._failed(run, hint, error)
        except Exception as error:
            # Nobody foresaw it: the queue's retries, and in the end its poison queue, deal with it.
            kind = type(error).__name__
            run.hold.release(partial(outcome.broken, reason=Reason.UNEXPECTED, message=kind, now=self._clock()))
            raise
        else:
            self._keeper.judge(run.hold, hint, run.arrived)
            self._succeeded(run) if done else self._to_be_continued(run, hint)

    def _worked(self, run: Run, hint: Hint) -> bool:
        """Does `_work`; however that ends, notes whether the vault has yet to take a token."""
        try:
            return self._work(run, hint)
        finally:
            run.hold.change(self._tokens.noted(run.mailbox.id))
            if run.mailbox.token_holder:
                self._queue.send(Hint(run.mailbox.id, self._clock()), RETRY)

    def _work(self, run: Run, hint: Hint) -> bool:
        """Sees to the subscriptions, then reads all that the budget allows; whether that was everything."""
        hold, mailbox_id = run.hold, run.mailbox.id
        backfill = timedelta(days=self._settings.backfill_days)
        since = whole_seconds(self._clock() - backfill)
        subscribed = push.subscriptions(run.mailbox)
        hold.change(partial(following, names=self._settings.folders, since=since))
        followed = push.subscriptions(run.mailbox)
        self._keeper.retire(mailbox_id, [one for one in subscribed if one not in followed])
        run.awaited = looks.awaited(run.mailbox, hint)
        hold.change(partial(push.noted, hint=hint))
        self._keeper.tend(hold, hint)
        mail = self._mail(partial(self._tokens.token, mailbox_id), partial(self._tokens.fresh, mailbox_id))
        reader = partial(
            FolderReader,
            mailbox_id,
            mail=mail,
            rows=RowWriter(mailbox_id, self._messages, self._clock),
            run=run,
            clock=self._clock,
            alone=len(run.mailbox.folders) == 1,
        )
        readers = [reader(folder) for folder in run.mailbox.folders]
        run.everything_new_read, done = read_folders(readers, backfill, run.mailbox.last_success_at)
        return done

    def _succeeded(self, run: Run) -> None:
        reliable = push.is_reliable(run.mailbox)
        interval = self._settings.poll_interval_with_push if reliable else self._settings.poll_interval
        latest = push.next_step_at(run.mailbox)
        pending = run.mailbox.looking
        looking = self._looking(run)
        run.hold.change(partial(replace, looking=looking))
        now = self._clock()
        run.hold.release(
            partial(outcome.succeeded, started_at=run.hold.started_at, now=now, interval=interval, latest=latest)
        )
        self._completed(run)
        if looking and not (pending and pending.due_at == looking.due_at):
            look = Hint(run.mailbox.id, looking.due_at, looks=looking.done + 1)
            self._queue.send(look, (looking.due_at - now).total_seconds())

    def _looking(self, run: Run) -> Looking | None:
        """The chain of looks for messages that Graph told of and this run has not come upon; None for none."""
        missing = run.awaited
        if unknown := looks.unknown(run.mailbox, missing):
            with suppress(RetryLater):  # a look too many is no reason for a run to fail that has read everything
                found = self._messages.known(run.mailbox.id, unknown)
                missing = [message_id for message_id in missing if message_id not in found]
        return looks.after(run.mailbox, missing, run.hold.started_at, self._clock())

    def _to_be_continued(self, run: Run, hint: Hint) -> None:
        now = self._clock()
        started_at = run.hold.started_at if run.everything_new_read else None
        run.hold.release(partial(outcome.to_be_continued, started_at=started_at, now=now))
        left = looks.unknown(run.mailbox, run.awaited)
        rest = Hint(run.mailbox.id, now, continues=True, pushed=hint.pushed, created=left)
        self._queue.send(rest)
        self._completed(run)

    def _completed(self, run: Run) -> None:
        seconds = (self._clock() - run.hold.started_at).total_seconds()
        emit(Event.SYNC_COMPLETED, mailbox=run.mailbox.id, added=run.added, seconds=seconds)

    def _failed(self, run: Run, hint: Hint, error: MailsyncError) -> None:
        cleared = partial(outcome.before_failure, served=run.served, added=run.added)
        mailbox = cleared(run.mailbox)
        now = self._clock()
        delay = outcome.retry_delay(mailbox, error, self._limits)
        ended = partial(outcome.failed, error=error, now=now, delay=delay)
        if isinstance(error, AccessDenied):
            if outcome.is_lasting(mailbox, now=now, limits=self._limits):
                return self._lost_grant(run, error)
            ended = partial(outcome.denied, error=error, now=now, delay=delay)
        run.hold.release(lambda mailbox: ended(cleared(mailbox)))
        # Without nonces, because the subscription that woke the run may be another by then; a second late, so that it
        # does not come before `not_before`.
        self._queue.send(msgspec.structs.replace(hint, nonces=()), delay + 1)
        passing = isinstance(error, RetryLater | AccessDenied) and mailbox.failures < _WORRYING
        event = Event.SYNC_DEFERRED if passing else Event.SYNC_FAILED
        if isinstance(error, Misconfigured):
            event = Event.MISCONFIGURED
        failures = mailbox.failures + 1
        emit(event, mailbox=mailbox.id, reason=error.reason, delay=delay, failures=failures, detail=error.message)
        return None

    def _lost_grant(self, run: Run, error: MailsyncError) -> None:
        self._tokens.forget(run.mailbox.id)
        run.hold.release(partial(outcome.lost_grant, error=error, now=self._clock(), granted_at=run.hold.granted_at))
        if run.mailbox.state is MailboxState.NEEDS_RECONNECT:
            emit(Event.NEEDS_RECONNECT, mailbox=run.mailbox.id, reason=error.reason, detail=error.message)


def _skip(hint: Hint, why: str) -> None:
    emit(Event.SYNC_SKIPPED, mailbox=hint.mailbox_id, why=why)
