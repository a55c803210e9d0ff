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
    """What `attempt` gives, which saves `record` as changed; tried again on the record as somebody else left it.

    `reread` reads it anew. Raises what that and `attempt` raise, and `contended` where each try met a StaleWrite.
    """
    problem = None
    for _ in range(tries):
        try:
            return attempt(record)
        except StaleWrite as error:
            problem = error
        record = reread()
    raise contended from problem
