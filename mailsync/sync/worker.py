"""The queue's messages: hints of one mailbox, and shares of the schedule."""

from mailsync.schedule.poller import Poller
from mailsync.schedule.records import Hint
from mailsync.sync.synchronizer import Synchronizer


class Worker:
    """Does what a message asks for. Safe for threads."""

    def __init__(self, synchronizer: Synchronizer, poller: Poller) -> None:
        self._synchronizer = synchronizer
        self._poller = poller

    def run(self, hint: Hint) -> None:
        """Raises what is to be tried again."""
        if hint.is_share:
            self._poller.wake_share(hint)
        else:
            self._synchronizer.run(hint)

    def poisoned(self, hint: Hint | None) -> None:
        """A message that failed too often; None for what was no hint.

        A lost share is no mailbox's failure, and the next tick wakes what it left.
        """
        self._synchronizer.poisoned(None if hint and hint.is_share else hint)
