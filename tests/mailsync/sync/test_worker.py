"""What the queue's messages are: hints of a mailbox, and shares of the schedule."""

from datetime import UTC, datetime

from mailsync.schedule.records import Hint
from mailsync.sync.worker import Worker

HINT = Hint("box", datetime(2026, 11, 25, tzinfo=UTC))
SHARE = Hint("box", HINT.at, share_from="due-x")


class Noting:
    """The synchronizer and the poller, that note what they are asked for."""

    def __init__(self) -> None:
        self.asked = []

    def __getattr__(self, name):
        return lambda what: self.asked.append((name, what))


def test_a_hint_is_run_and_a_share_wakes():
    noting = Noting()
    worker = Worker(noting, noting)
    worker.run(HINT)
    worker.run(SHARE)
    assert noting.asked == [("run", HINT), ("wake_share", SHARE)]


def test_a_share_that_failed_too_often_is_no_mailboxs_failure():
    noting = Noting()
    worker = Worker(noting, noting)
    for hint in (HINT, SHARE, None):
        worker.poisoned(hint)
    assert noting.asked == [("poisoned", HINT), ("poisoned", None), ("poisoned", None)]
