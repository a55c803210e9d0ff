"""Reading one page while the one before it is being written."""

from collections.abc import Callable, Iterator

from mailsync.threads import Threads


def read_ahead[Page](
    first: Callable[[], Page], following: Callable[[Page], Callable[[], Page] | None]
) -> Iterator[Page]:
    """Yields pages in order, the next one being fetched meanwhile; two are in memory at the most.

    `following` names how to fetch the page after one, or None at the end; every page fetched is yielded.
    What a fetch raises is raised here, after the pages before it.
    """
    with Threads(max_workers=1, thread_name_prefix="read-ahead") as pool:
        pending = pool.submit(first)
        while True:
            page = pending.result()
            fetch = following(page)
            if fetch is None:
                yield page
                return
            pending = pool.submit(fetch)
            yield page
