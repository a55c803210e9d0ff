"""Looking again for messages that Graph told of and delta did not show: Graph's replicas lag. Pure.

A mailbox has one chain of looks, kept in its record: whatever notifications name, they add ids to it and no second
chain. A look is a run like any other, so each run that comes in between is a look as well.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from mailsync.mailboxes.records import Looking, Mailbox
from mailsync.schedule.records import MOST_CREATED, Hint

_SECONDS = (2, 4, 8, 16, 30)
"""Seconds until the next look, by the number of looks in vain. In the end the poll brings what is missing."""


def awaited(mailbox: Mailbox, hint: Hint) -> list[str]:
    """Ids of the messages that the run which `hint` woke should come upon."""
    return list(dict.fromkeys((*_ids(mailbox), *hint.created)))


def unknown(mailbox: Mailbox, ids: Collection[str]) -> tuple[str, ...]:
    """Those of `ids` that have not been looked for yet, and so may have been stored before they were told of."""
    return tuple(message_id for message_id in ids if message_id not in _ids(mailbox))


def is_over(mailbox: Mailbox, hint: Hint) -> bool:
    """Whether `hint` is of a look that was done by another run, or is needed no more."""
    return hint.is_next_look and (mailbox.looking is None or mailbox.looking.due_at != hint.at)


def after(mailbox: Mailbox, missing: Sequence[str], started_at: datetime, now: datetime) -> Looking | None:
    """The chain after a run that began at `started_at` and has not come upon `missing`; None where it ends.

    Where its `due_at` is another than before, a hint is to be sent for then.
    """
    chain = mailbox.looking
    if not missing:
        return None
    looked = chain is not None and chain.due_at <= started_at
    done = 0 if chain is None or unknown(mailbox, missing) else chain.done + looked
    if done >= len(_SECONDS):
        return None
    due_at = now + timedelta(seconds=_SECONDS[done])
    if chain and not looked:
        due_at = min(due_at, chain.due_at)
    return Looking(ids=tuple(missing[-MOST_CREATED:]), due_at=due_at, done=done)


def _ids(mailbox: Mailbox) -> tuple[str, ...]:
    return mailbox.looking.ids if mailbox.looking else ()
