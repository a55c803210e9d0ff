"""Whatever happens, in whatever order: in the end the table tells the mailbox's history."""

import logging
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from mailsync.errors import (
    AccessDenied,
    GraphRefused,
    GraphUnavailable,
    Misconfigured,
    Rejected,
    SubscriptionExists,
    SubscriptionGone,
    SubscriptionTooLong,
    Throttled,
)
from mailsync.mailboxes.records import PushState
from mailsync.push import client_state
from mailsync.schedule.records import Hint
from mailsync.sync import delta_reader
from mailsync.sync.run import Limits
from tests.mailsync.world import BOX, START, World

FOLDERS = ("inbox", "archive")
AGES = st.integers(min_value=0, max_value=20 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
LONGEST = timedelta(days=8)
"""How far time may go on, so that what has been delivered stays within the window of thirty days."""
ELSEWHERE = st.sampled_from(("inbox", "archive", "deleteditems"))
ERRORS_OF_PUSH = st.sampled_from(
    (
        GraphUnavailable("out"),
        Throttled("graph_throttled", "wait", 900.0),
        SubscriptionGone("no more"),
        SubscriptionExists("another"),
        SubscriptionTooLong("less"),
        Rejected("handshake_failed", "no answer"),
        Misconfigured("key_vault_refused", "the operator must act"),
    )
)
LASTING = ("start_delta", "follow_delta", "history", "folder_id", "count")
"""What may be away for long without a word being due: messages that cannot be fetched for long are told of."""
OPERATIONS = ("start_delta", "follow_delta", "history", "messages", "folder_id")


REFUSALS = (
    GraphRefused("Graph answered 400 ErrorInvalidIdMalformed"),
    GraphUnavailable("Graph answered 500 ErrorContentConversionFailed"),
    GraphUnavailable("Graph answered 503", 20.0),
    AccessDenied("access_denied", "Graph answered 403 ErrorAccessDenied"),
)
SURE = ("received", "parent_folder_id", "is_read", "subject", "importance")
"""What delta shows of a message that cannot be fetched whole."""


class Told(logging.Handler):
    """Ids of the messages that events say were refused, and of those that were left out altogether."""

    def __init__(self):
        super().__init__()
        self.refused: set[str] = set()
        self.left_out: set[str] = set()

    def emit(self, record):
        event, _, pairs = record.getMessage().partition(" ")
        if event == "message_refused":
            fields = dict(pair.split("=") for pair in pairs.split())
            self.refused.add(fields["message"])
            if fields["stored"] == "false":
                self.left_out.add(fields["message"])


class Mailbox(RuleBasedStateMachine):
    @initialize(
        headers=st.booleans(), partial=st.booleans(), stale=st.booleans(), shift=st.integers(0, 7), refuse=st.booleans()
    )
    def begin(self, headers, partial, stale, shift, refuse):
        self.world = World(folders=FOLDERS, limits=Limits(pages=3))
        service = self.world.service
        service.page_size, service.history_page_size, service.cap = 2, 3, 4
        service.headers_in_delta, service.partial_updates, service.stale_pages = headers, partial, stale
        service.refuse_filter = refuse
        service.choose = lambda ids, cap: [ids[(place + shift) % len(ids)] for place in range(cap)]
        self.ids: list[str] = []
        self.spoilt: set[str] = set()
        self.told = Told()
        logging.getLogger("mailsync").addHandler(self.told)

    @rule(age=AGES, folder=st.sampled_from(FOLDERS), many=st.integers(1, 6))
    def deliver(self, age, folder, many):
        received = (self.world.clock() - age).replace(microsecond=0)
        self.ids += [self.world.graph.deliver(received, folder) for _ in range(many)]

    @rule(data=st.data())
    def read_or_change(self, data):
        if self.ids:
            fields = data.draw(
                st.sampled_from([{"is_read": True}, {"subject": "Anew"}, {"body": "short", "importance": "high"}])
            )
            self.world.graph.update(data.draw(st.sampled_from(self.ids)), **fields)

    @rule(data=st.data(), folder=ELSEWHERE)
    def move(self, data, folder):
        if self.ids:
            self.world.graph.move(data.draw(st.sampled_from(self.ids)), folder)

    @rule(data=st.data())
    def delete(self, data):
        if self.ids:
            self.world.graph.delete(data.draw(st.sampled_from(self.ids)))

    @rule(count=st.integers(1, 6))
    def replay(self, count):
        self.world.service.replays = count

    @rule(count=st.integers(0, 2))
    def empty_pages(self, count):
        self.world.service.empty_pages = count

    @rule()
    def reset(self):
        self.world.service.expire_links()

    @rule(operation=st.sampled_from(OPERATIONS), after=st.integers(0, 4), wait=st.sampled_from((None, 7.0, 120.0)))
    def throttle(self, operation, after, wait):
        self.world.service.fail(Throttled("graph_throttled", "wait", wait), operation, after=after)

    @rule(operation=st.sampled_from(LASTING), times=st.integers(1, 12))
    def break_down(self, operation, times):
        self.world.service.fail(GraphUnavailable("out"), operation, times=times)

    @rule(data=st.data(), refused=st.sampled_from(REFUSALS), pages=st.booleans())
    def spoil(self, data, refused, pages):
        """Graph cannot show a message: not by its id, and perhaps on no page with all its properties."""
        if self.ids:
            message_id = data.draw(st.sampled_from(self.ids))
            self.spoilt.add(message_id)
            self.world.service.refused[message_id] = refused
            if pages:
                self.world.service.unreadable[message_id] = True

    @rule()
    def mend(self):
        self.world.service.refused.clear()
        self.world.service.unreadable.clear()

    @rule(counts=st.booleans(), unlinked=st.integers(0, 3))
    def miscount(self, counts, unlinked):
        self.world.service.counts, self.world.service.unlinked = counts, unlinked

    @rule(write=st.integers(1, 6), how=st.sampled_from(("none", "half", "all")), rows=st.booleans())
    def die(self, write, how, rows):
        (self.world.messages if rows else self.world.mailboxes).die_at(write, how)

    @rule()
    def lag(self):
        self.world.graph.lagging = not self.world.graph.lagging
        if not self.world.graph.lagging:
            self.world.graph.catch_up()

    @rule(data=st.data(), copies=st.integers(0, 2), late=st.integers(0, 300), delay=st.integers(0, 40))
    def tell(self, data, copies, late, delay):
        """Graph tells of messages, some long known, some not to be found: never, twice, late or out of order."""
        known = st.sampled_from(self.ids) if self.ids else st.nothing()
        created = tuple(data.draw(st.lists(known | st.just("gone"), max_size=3, unique=True)))
        at = self.world.clock() - timedelta(seconds=late)
        held = [client_state.nonce(one.client_state) for one in self.world.subscriptions.held.values()]
        nonces = tuple(data.draw(st.lists(st.sampled_from([*held, "stale"]), max_size=2, unique=True)))
        for _ in range(copies):
            self.world.queue.send(Hint(BOX, at, pushed=True, created=created, nonces=nonces), delay)

    @rule(announced=st.booleans(), copies=st.integers(0, 2), keep=st.integers(0, 1))
    def lose_subscriptions(self, announced, copies, keep):
        """Graph drops subscriptions, with or without a word, or asks for their renewal and drops nothing."""
        ids = tuple(self.world.subscriptions.held)[keep:]
        for id_ in ids:
            del self.world.subscriptions.held[id_]
        for _ in range(copies if announced else 0):
            self.world.hint(pushed=True, removed=ids)

    @rule(copies=st.integers(1, 2))
    def ask_for_reauthorization(self, copies):
        for _ in range(copies):
            self.world.hint(pushed=True, renew=tuple(self.world.subscriptions.held))

    @rule(
        error=ERRORS_OF_PUSH,
        operation=st.sampled_from(("create", "renew", "delete", "existing")),
        times=st.integers(1, 3),
    )
    def refuse_subscriptions(self, error, operation, times):
        self.world.subscriptions.fail(error, operation, times=times)

    @rule()
    def rotate_key(self):
        self.world.keys.rotate()

    @rule(seconds=st.sampled_from((60, 400, 3_600, 40_000)))
    def time_passes(self, seconds):
        if self.world.clock() + timedelta(seconds=seconds) < START + LONGEST:
            self.world.clock.advance(seconds)

    @rule()
    def poll(self):
        if (self.world.mailbox.next_poll_at or START) < START + LONGEST:
            self.world.poll()

    @rule()
    def sync(self):
        self.world.hint()
        self.world.work()

    @rule(hints=st.integers(1, 3))
    def some_hints(self, hints):
        """Wakes the worker without letting it finish what it puts back."""
        for _ in range(hints):
            self.world.hint()
        self.world.work_once()

    def teardown(self):
        if not hasattr(self, "world"):
            return
        try:
            self.come_to_rest()
        finally:
            logging.getLogger("mailsync").removeHandler(self.told)

    def come_to_rest(self):
        world = self.world
        self.mend()
        world.graph.lagging = False
        world.graph.catch_up()
        world.work()
        for _ in range(3):
            world.poll()
        self.check_rows()
        self.check_push()
        assert all(folder.complete for folder in world.mailbox.folders)
        assert world.mailbox.lease is None
        assert not world.mailbox.problem

    def check_push(self):
        world, box = self.world, self.world.mailbox
        held = world.subscriptions.held
        assert len(held) <= len(FOLDERS)
        assert {client_state.verify(world.keys.find, one.client_state) for one in held.values()} <= {BOX, None}
        assert box.push.state is not PushState.OFF
        assert (box.push.state is PushState.TRUSTED) == (not box.push.reason)
        kept = [folder.subscription for folder in box.folders if folder.subscription]
        if box.push.state is PushState.TRUSTED:
            assert len(kept) == len(FOLDERS)
        assert all(one.expires_at > box.next_poll_at for one in kept)
        assert box.next_poll_at - world.clock() <= timedelta(hours=1 if box.push.state is PushState.TRUSTED else 1 / 12)

    def check_rows(self):
        world, rows = self.world, self.world.rows()
        homes = {world.graph.folder_id(name): name for name in FOLDERS}
        for message_id, row in rows.items():
            mail = world.graph.messages.get(message_id)
            here = mail is not None and mail.folder in homes
            if message_id in self.told.refused and mail is not None and not here:
                continue  # no enumeration shows it, and Graph refuses it by its id: nobody can tell
            assert bool(row.removed_at) == (not here), f"{message_id} is {'here' if here else 'gone'}"
        for message_id, mail in world.graph.messages.items():
            if mail.folder not in homes or (message_id not in rows and message_id in self.told.left_out):
                continue
            content = rows[message_id].content
            if message_id in self.spoilt:
                assert [getattr(content, name) for name in SURE] == [getattr(mail.content, name) for name in SURE]
            else:
                assert content == mail.content
        assert self.told.refused <= self.spoilt
        assert set(rows) <= world.graph.ever_held("inbox") | world.graph.ever_held("archive")
        assert len(rows) == len(world.messages.rows)


def test_the_table_tells_the_mailboxs_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_reader, "FILTERED_CAP", 4)
    run_state_machine_as_test(
        Mailbox,
        settings=settings(
            max_examples=150,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
