"""Optimistic writes: a record is read, changed, and saved if it is still the one that was read."""

from collections.abc import Callable

from mailsync.errors import MailsyncError, StaleWrite


def write[Record, Written](
    record: Record,
    attempt: Callable[[Record], Written],
    reread: Callable[[], Record],
    *,
    contended: MailsyncError,
    tries: int = 3,
) -> Written:
    """Returns what `attempt` returns, which changes `record` and saves it.

    Where `attempt` raises StaleWrite, it is tried again on the record that `reread` returns. Raises what the two raise,
    and `contended` where each of `tries` met a StaleWrite.
    """
    problem = None
    for _ in range(tries):
        try:
            return attempt(record)
        except StaleWrite as error:
            problem = error
        record = reread()
    raise contended from problem
