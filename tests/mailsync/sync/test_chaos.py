"""A mailbox on Graph's worst day: the real adapter on the stand-in, one answer in seven being a random one.

CHAOS_SEEDS (numbers, separated by commas) and CHAOS_MESSAGES make longer runs of it; a seed that fails fails again.
"""

import logging
import os
from datetime import timedelta

import pytest
import requests
from msgspec import UNSET

from mailsync.adapters.graph.mail import GraphClient
from mailsync.adapters.graph.transport import GraphTransport
from mailsync.mailboxes.records import MailboxState
from mailsync.sync import delta_reader, history_reader
from sandbox.entra.tokens import graph_token
from sandbox.exchange import mime
from sandbox.graph import chaos
from tests.mailsync.world import START, World
from tests.sandbox.conftest import browser, microsoft365, signing_key, stand_in, tls_files, world

__all__ = ["browser", "microsoft365", "signing_key", "stand_in", "tls_files", "world"]

ALL_KINDS = 1
"""A seed by which everything strikes that chaos has."""
SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", str(ALL_KINDS)).split(",")]
MESSAGES = int(os.environ.get("CHAOS_MESSAGES", "2000"))
ADDRESS = "owner@contoso.example"
CAP = 1_500


def in_turn(first, following, prepare):
    """`read_ahead` without threads: then the same requests come in the same order, and chaos strikes the same ones."""
    step = first
    while step is not None:
        raw = step()
        step = following(raw)
        yield prepare(raw)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    for module in (delta_reader, history_reader):
        monkeypatch.setattr(module, "read_ahead", in_turn)


class Told(logging.Handler):
    """The events of a run, and what chaos has struck."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.struck: set[str] = set()
        self.events: list[tuple[str, dict[str, str]]] = []

    def emit(self, record):
        name, _, pairs = record.getMessage().partition(" ")
        if name == "chaos:":
            self.struck.add(pairs)
        self.events.append((name, dict(pair.split("=", 1) for pair in pairs.split(" ") if "=" in pair)))

    def of(self, name):
        return [fields for event, fields in self.events if event == name]


@pytest.fixture
def told():
    handler = Told()
    loggers = [logging.getLogger(name) for name in ("mailsync", chaos.__name__)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield handler
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


class Hosts(requests.adapters.HTTPAdapter):
    """Notes where requests go."""

    def __init__(self):
        super().__init__()
        self.asked: set[str] = set()

    def send(self, request, **more):
        self.asked.add(request.url.split("/v1.0")[0])
        return super().send(request, **more)


class Stage:
    """The program on in-memory stores with a clock of its own, and Graph by HTTP."""

    def __init__(self, microsoft365, session):
        self.world = microsoft365.world
        self.graph = microsoft365.graph
        user = self.world.create_user(ADDRESS)
        grant = self.world.grants.consent(user.user_id, frozenset({"User.Read", "Mail.Read"}))
        token, _ = graph_token(self.world, user, grant, grant.scopes)
        self.mailbox = self.world.mailbox(user)
        self.delivered = []
        self.program = World()
        transport = GraphTransport(endpoint=self.graph, session=session, page_size=25, sleep=self.program.clock.advance)
        self.client = GraphClient(transport.as_user(lambda: token, lambda: token))
        self.program.app = self.program.instance(mail=lambda *_: self.client)

    def deliver(self, number):
        received = (self.program.clock() - timedelta(minutes=5 * number)).replace(microsecond=0)
        text = f"From: Ann <ann@example.org>\r\nTo: <{ADDRESS}>\r\nSubject: Offer {number} \N{HONEYBEE}\r\n\r\nHello {number}\r\n"
        return self.mailbox.deliver(mime.read(text.encode()), folder="inbox", received=received)

    def settle(self):
        self.program.hint()
        self.program.work()
        for _ in range(3):
            self.program.poll()

    def differences(self):
        """What the table and the mailbox do not have in common."""
        rows = self.program.rows()
        there = {m.immutable_id for m in self.mailbox.folder("inbox").messages.values()}
        whole = self.client.messages(list(there)).found
        found = [f"{id_} is missing" for id_ in there - rows.keys()]
        for id_, row in rows.items():
            if id_ not in there:
                if row.removed_at is None:
                    found.append(f"{id_} is not marked removed")
                continue
            given, wanted = row.content.given(), whole[id_].content.given()
            if row.removed_at or given != wanted:
                names = {name for name in given.keys() | wanted if given.get(name) != wanted.get(name)}
                found.append(f"{id_} differs in {names}" + " and is marked removed" * bool(row.removed_at))
        return found


@pytest.mark.parametrize("seed", SEEDS)
def test_in_the_end_the_table_equals_the_mailbox(seed, microsoft365, told, monkeypatch):
    monkeypatch.setattr(delta_reader, "FILTERED_CAP", CAP)
    with requests.Session() as session:
        session.trust_env, session.verify = False, microsoft365.ca_file
        session.mount("https://", hosts := Hosts())
        stage = Stage(microsoft365, session)
        delivered = [stage.deliver(number) for number in range(MESSAGES)]
        stage.world.faults.order("delta-cap", cap=CAP)
        stage.world.faults.order("graph-chaos", seed=seed, share=0.15)
        stage.settle()
        for message in delivered[5:25]:
            stage.mailbox.update(message, {"isRead": True})
        for message in delivered[30:40]:
            stage.mailbox.delete(message)
        for number in range(20):
            stage.deliver(-number / 100)
        stage.settle()
        stage.world.faults.clear("graph-chaos")
        stage.settle()
        assert stage.differences() == []
        assert hosts.asked == {microsoft365.graph.removesuffix("/v1.0")}
    assert told.struck == chaos.KINDS or seed != ALL_KINDS
    mailbox = stage.program.mailbox
    assert (mailbox.state, mailbox.problem) == (MailboxState.ACTIVE, "")
    assert all(folder.complete for folder in mailbox.folders)
    assert mailbox.messages == MESSAGES + 20
    assert not told.of("needs_reconnect")
    assert not told.of("message_refused")
    assert not told.of("history_short")
    assert mailbox.removed == 10
    assert START < stage.program.clock() < START + timedelta(days=1)


@pytest.fixture
def stage(microsoft365, told, monkeypatch):
    """A mailbox of 120 messages, of which a delta enumeration shows 60."""
    monkeypatch.setattr(delta_reader, "FILTERED_CAP", 60)
    with requests.Session() as session:
        session.trust_env, session.verify = False, microsoft365.ca_file
        stage = Stage(microsoft365, session)
        stage.delivered = [stage.deliver(number) for number in range(120)]
        stage.world.faults.order("delta-cap", cap=60, order="oldest")
        yield stage


HABITS = [
    ("graph-count", None, {}),
    ("graph-count", None, {"value": None}),
    ("next-link-missing", None, {}),
    ("next-link-repeated", 2, {}),
    ("delta-endless", 1, {}),
    ("foreign-next-link", 4, {}),
    ("graph-gateway-page", 6, {"status": 403}),
    ("graph-gateway-page", 6, {"status": 404}),
    ("access-denied", 6, {}),
    ("access-denied", 6, {"code": "UnknownError"}),
    ("graph-unauthorized", 6, {}),
    ("access-denied", 2, {"code": "ErrorInvalidLicense"}),
    ("graph-outage", 30, {}),
    ("list-repeated", 3, {}),
    ("received-missing", 3, {}),
    ("batch-swapped", 3, {}),
]


@pytest.mark.parametrize(("fault", "count", "params"), HABITS, ids=[f"{name} {params}" for name, _, params in HABITS])
def test_each_habit_alone_costs_no_message_and_no_owner(stage, told, fault, count, params):
    stage.world.faults.order(fault, count, **params)
    stage.settle()
    assert stage.differences() == []
    assert stage.program.mailbox.state is MailboxState.ACTIVE
    assert stage.program.mailbox.problem == ""
    assert not told.of("needs_reconnect")
    assert not told.of("message_refused")


@pytest.mark.parametrize("place", [3, 119])
@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("status", [400, 500])
def test_a_message_that_graph_never_shows_is_told_and_the_others_are_read(stage, told, place, narrow, status):
    bad = stage.delivered[place].immutable_id
    stage.world.faults.order("graph-page-refused", message=bad, narrow=narrow)
    stage.world.faults.order("graph-message-refused", message=bad, status=status, code="ErrorInvalidIdMalformed")
    stage.settle()
    new = stage.deliver(-0.1).immutable_id
    stage.settle()
    rows = stage.program.rows()
    assert {message.immutable_id for message in stage.delivered} - rows.keys() == (set() if narrow else {bad})
    assert [id_ for id_, row in rows.items() if row.content.headers is UNSET] == [bad] * narrow
    assert new in rows
    assert {fields["message"][:-1] for fields in told.of("message_refused")} == {(bad if narrow else "unknown")[:-1]}
    assert stage.program.mailbox.state is MailboxState.ACTIVE
    assert stage.program.mailbox.problem == ""
