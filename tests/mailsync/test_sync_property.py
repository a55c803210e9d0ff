"""Whatever happens, in whatever order: in the end the table tells the mailbox's history."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from mailsync import folder_reader
from mailsync.errors import RetryLater
from mailsync.run import Limits
from tests.mailsync.world import World

FOLDERS = ("inbox", "archive")
AGES = st.integers(min_value=0, max_value=29 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
ELSEWHERE = st.sampled_from(("inbox", "archive", "deleteditems"))
OPERATIONS = ("start_delta", "follow_delta", "history", "messages", "folder_id")


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

    @rule(age=AGES, folder=st.sampled_from(FOLDERS), many=st.integers(1, 6))
    def deliver(self, age, folder, many):
        received = (self.world.clock() - age).replace(microsecond=0)
        self.ids += [self.world.graph.deliver(received, folder) for _ in range(many)]

    @rule(data=st.data())
    def read_or_change(self, data):
        if self.ids:
            columns = data.draw(
                st.sampled_from([{"isRead": True}, {"subject": "Anew"}, {"body": "short", "importance": "high"}])
            )
            self.world.graph.update(data.draw(st.sampled_from(self.ids)), **columns)

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
        self.world.service.fail(RetryLater("graph_throttled", "wait", wait), operation, after=after)

    @rule(write=st.integers(1, 6), how=st.sampled_from(("none", "half", "all")), rows=st.booleans())
    def die(self, write, how, rows):
        (self.world.messages if rows else self.world.mailboxes).die_at(write, how)

    @rule()
    def lag(self):
        self.world.graph.lagging = not self.world.graph.lagging
        if not self.world.graph.lagging:
            self.world.graph.catch_up()

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
        world = self.world
        world.graph.lagging = False
        world.graph.catch_up()
        world.work()
        for _ in range(3):
            world.poll()
        self.check_rows()
        assert all(folder.complete for folder in world.mailbox.folders)
        assert world.mailbox.lease is None
        assert not world.mailbox.last_error_reason

    def check_rows(self):
        world, rows = self.world, self.world.rows()
        homes = {world.graph.folder_id(name): name for name in FOLDERS}
        for message_id, row in rows.items():
            mail = world.graph.messages.get(message_id)
            here = mail is not None and mail.folder in homes
            assert ("removedDateTime" in row.columns) == (not here), f"{message_id} is {'here' if here else 'gone'}"
        for message_id, mail in world.graph.messages.items():
            if mail.folder in homes:
                given = {k: v for k, v in rows[message_id].columns.items() if k not in ("messageId", "syncedDateTime")}
                assert given == mail.columns
        assert set(rows) <= world.graph.ever_held("inbox") | world.graph.ever_held("archive")
        assert len(rows) == len(world.messages.rows)


def test_the_table_tells_the_mailboxs_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_reader, "FILTERED_CAP", 4)
    run_state_machine_as_test(
        Mailbox,
        settings=settings(
            max_examples=150,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
