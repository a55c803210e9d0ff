"""A hold on a mailbox: the lease, and changes that somebody else's writes do not undo."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailsync.errors import StaleWrite
from mailsync.mailboxes.hold import LEASE, MailboxHold
from mailsync.mailboxes.records import Lease
from tests.fakes.stores import FakeMailboxStore
from tests.mailsync.world import BOX, MAILBOX, Clock


class Held:
    """A mailbox with a hold on it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = FakeMailboxStore()
        self.hold = MailboxHold(self.store.save(MAILBOX), self.store, self.clock)

    @property
    def stored(self):
        return self.store.rows[BOX]

    def meanwhile(self, **changes) -> None:
        """Somebody writes the record who needs no lease."""
        self.store.save(replace(self.stored, **changes))


def one_more(mailbox):
    return replace(mailbox, messages=mailbox.messages + 1)


def test_the_lease_is_taken_at_once():
    held = Held()
    lease = held.stored.lease
    assert (lease.started_at, lease.expires_at) == (held.clock(), held.clock() + LEASE)


def test_who_comes_second_gets_none():
    store = FakeMailboxStore()
    read = store.save(MAILBOX)
    MailboxHold(read, store, Clock())
    with pytest.raises(StaleWrite):
        MailboxHold(read, store, Clock())


def test_a_change_is_seen_at_once_and_stored_with_the_next_save():
    held = Held()
    held.hold.change(one_more)
    assert (held.hold.mailbox.messages, held.stored.messages) == (1, 0)
    held.hold.save()
    assert held.stored.messages == 1


def test_saving_extends_the_lease():
    held = Held()
    held.clock.advance(40)
    held.hold.save()
    assert held.stored.lease.expires_at == held.clock() + LEASE
    assert held.stored.lease.started_at == held.clock() - timedelta(seconds=40)


@pytest.mark.parametrize(("seconds", "saves"), [(30, 0), (30.1, 1)])
def test_making_sure_of_the_lease_saves_when_half_of_it_has_passed(seconds, saves):
    held = Held()
    before = held.store.writes
    held.clock.advance(seconds)
    held.hold.ensure()
    assert held.store.writes - before == saves


def test_what_somebody_else_writes_stays_beside_the_changes():
    held = Held()
    held.hold.change(one_more)
    held.meanwhile(messages=70, display_name="Offers")
    held.hold.change(one_more)
    held.hold.save()
    assert (held.stored.messages, held.stored.display_name) == (72, "Offers")


def test_what_was_saved_is_not_done_again():
    held = Held()
    held.hold.change(one_more)
    held.hold.save()
    held.meanwhile(display_name="Offers")
    held.hold.save()
    assert held.stored.messages == 1


def test_the_outcome_is_of_the_record_as_it_is_then_and_gives_the_lease_back():
    held = Held()
    held.meanwhile(removed=4)
    held.hold.release(lambda mailbox: replace(mailbox, removed=mailbox.removed + 1))
    assert (held.stored.removed, held.stored.lease) == (5, None)


@pytest.mark.parametrize("lease", [None, Lease("thief", MAILBOX.connected_at, MAILBOX.connected_at)])
def test_a_lease_that_was_taken_is_lost_for_good(lease):
    held = Held()
    held.meanwhile(lease=lease)
    taken = held.stored
    held.hold.change(one_more)
    for write in (held.hold.save, held.hold.release):
        with pytest.raises(StaleWrite, match="taken the mailbox over"):
            write()
    assert held.stored == taken


def test_a_mailbox_that_is_gone_is_lost():
    held = Held()
    del held.store.rows[BOX]
    with pytest.raises(StaleWrite):
        held.hold.save()


def test_a_record_that_never_rests_is_given_up():
    held = Held()

    class Restless(FakeMailboxStore):
        def save(self, mailbox):
            super().save(replace(self.rows[BOX], removed=self.rows[BOX].removed + 1))
            return super().save(mailbox)

    held.store.__class__ = Restless
    with pytest.raises(StaleWrite, match="kept changing"):
        held.hold.save()
    assert held.stored.removed == 3
