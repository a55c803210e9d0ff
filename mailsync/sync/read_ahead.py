"""Reading one page while the one before it is being written."""

from collections.abc import Callable, Iterator

from mailsync.memory import BUDGET, Budget
from mailsync.threads import Threads


def read_ahead[Page](
    first: Callable[[], Page], following: Callable[[Page], Callable[[], Page] | None], budget: Budget = BUDGET
) -> Iterator[Page]:
    """Yields pages in order, the next one being fetched meanwhile; two are in memory at the most.

    `following` names how to fetch the page after one, or None at the end; every page fetched is yielded.
    What a fetch raises is raised here, after the pages before it. What a page takes of the `budget` is given back
    when the next one is asked for: whoever asks keeps nothing of it.
    """
    ahead, holding = budget.hold(), None
    try:
        with Threads(max_workers=1, thread_name_prefix="read-ahead") as pool:
            pending = pool.submit(ahead.during, first)
            while True:
                page = pending.result()
                fetch = following(page)
                holding, ahead = ahead, budget.hold()
                if fetch is None:
                    yield page
                    return
                pending = pool.submit(ahead.during, fetch)
                yield page
                del page
                holding.release()
    finally:  # nothing is being fetched any more
        for each in (holding, ahead):
            if each is not None:
                each.release()
