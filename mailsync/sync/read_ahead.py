"""Reading and preparing pages while those before them are being written."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue

from mailsync.memory import BUDGET, Budget, Holding
from mailsync.threads import Threads

_AHEAD = 2
"""Pages that may have been fetched, or are being fetched, beside the one that is written."""


def read_ahead[Raw, Page](
    first: Callable[[], Raw],
    following: Callable[[Raw], Callable[[], Raw] | None],
    prepare: Callable[[Raw], Page],
    budget: Budget = BUDGET,
) -> Iterator[Page]:
    """Yields pages in order: one is being fetched while the one before it is prepared and the next before written.

    `following` names how to fetch the page after one, or None at the end; it is asked before that one is yielded.
    Every page fetched is yielded. What a step raises is raised here, after the pages before it. What a page takes of
    the `budget` is given back when the next one is asked for: whoever asks keeps nothing of it.
    """
    line = _Line(first, following, prepare, budget)
    try:
        with Threads(max_workers=2, thread_name_prefix="read-ahead") as pool:
            pool.submit(line.fetch, pool)
            try:
                while (place := line.ready.get()) is not None:
                    page, holding = place
                    done = page.result()
                    line.room.release()
                    del page, place
                    yield done
                    del done
                    holding.release()
            finally:
                line.end()
    finally:  # nothing is being fetched any more
        for holding in line.held:
            holding.release()


class _Line[Raw, Page]:
    """The pages on their way. `room`: for more of them; `ready`: in order, None behind the last."""

    def __init__(
        self,
        first: Callable[[], Raw],
        following: Callable[[Raw], Callable[[], Raw] | None],
        prepare: Callable[[Raw], Page],
        budget: Budget,
    ) -> None:
        self._first = first
        self._following = following
        self._prepare = prepare
        self._budget = budget
        self._over = False
        self.room = threading.Semaphore(_AHEAD)
        self.ready: SimpleQueue[tuple[Future[Page], Holding] | None] = SimpleQueue()
        self.held: list[Holding] = []

    def fetch(self, pool: Threads) -> None:
        """Fetches one page after the other, as there is room, and has each prepared meanwhile."""
        step: Callable[[], Raw] | None = self._first
        while step is not None:
            self.room.acquire()
            if self._over:
                return
            holding = self._budget.hold()
            self.held.append(holding)
            try:
                raw = holding.during(step)
                step = self._following(raw)
            except BaseException as error:  # noqa: BLE001 - it is raised where the page is waited for
                failed: Future[Page] = Future()
                failed.set_exception(error)
                self.ready.put((failed, holding))
                return
            self.ready.put((pool.submit(holding.during, partial(self._prepare, raw)), holding))
            del raw
        self.ready.put(None)

    def end(self) -> None:
        """No more pages are wanted."""
        self._over = True
        self.room.release()
