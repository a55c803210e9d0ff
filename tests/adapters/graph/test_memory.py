"""Graph's answers and the memory of the process: what is read is counted, what is not kept is given back."""

import gc
import weakref

import pytest

from mailsync import memory
from mailsync.adapters import http
from mailsync.adapters.graph.mail import GraphClient
from mailsync.adapters.graph.transport import AnswerTooLarge, GraphTransport, by_smaller_pages
from mailsync.errors import RetryLater
from tests.adapters.stub_transport import Reply, stub_session

GRAPH = "https://graph.example:8443/v1.0"
LINK = f"{GRAPH}/me/mailFolders/inbox/messages/delta?$deltatoken=abc"


@pytest.fixture
def budget(monkeypatch):
    """A process with room for 1,000 bytes, and 200 for everybody."""
    budget = memory.Budget(total=1_000, free=200, most=5_000, wait=0.01)
    monkeypatch.setattr(memory, "BUDGET", budget)
    return budget


def page(size):
    return Reply(200, b'{"value": [], "@odata.deltaLink": "%s"%s}' % (LINK.encode(), b" " * size))


def sizes(wire):
    return [int(request.headers["Prefer"].split("maxpagesize=")[1]) for request in wire.seen]


def client(*replies):
    session, wire = stub_session(*replies)
    transport = GraphTransport(endpoint=GRAPH, session=session, page_size=50, sleep=lambda _: None)
    return GraphClient(transport.as_user(lambda: "token")), wire


def test_what_a_call_reads_for_nobody_is_given_back_at_its_end(budget):
    session, _ = stub_session(Reply(200, b"x" * 500))
    assert len(http.call(session, "GET", GRAPH).body) == 500
    assert budget.taken == 0


def test_what_is_read_for_a_page_is_counted_until_the_page_is_written(budget):
    graph, _ = client(page(500))
    holding = budget.hold()
    holding.during(lambda: graph.follow_delta(LINK))
    assert 500 < budget.taken < 700
    holding.release()
    assert budget.taken == 0


def test_an_answer_that_is_too_large_counts_no_more(budget, monkeypatch):
    monkeypatch.setattr(http, "ANSWER_LIMIT", 400)
    session, _ = stub_session(Reply(200, b"x" * 500))
    holding = budget.hold()
    with pytest.raises(http.TooLarge):
        holding.during(lambda: http.call(session, "GET", GRAPH))
    assert budget.taken == 0


def test_where_others_fill_the_memory_fewer_messages_are_asked_for(budget):
    budget.hold().take(1_000)
    graph, wire = client(page(900), page(300), page(50))
    graph.follow_delta(LINK)  # the last passes in any case
    assert sizes(wire) == [50, 20, 5]


def test_where_even_one_message_finds_no_room_the_run_comes_again_soon_and_nothing_is_cut(budget):
    budget.hold().take(1_000)
    graph, wire = client(*[page(500)] * 4)
    with pytest.raises(RetryLater) as error:
        graph.follow_delta(LINK)
    assert (error.value.reason, error.value.retry_after) == ("worker_busy", 5)
    assert sizes(wire) == [50, 20, 5, 1]
    assert budget.taken == 1_000


def test_messages_of_a_page_that_has_all_that_one_may_have_are_refused_one_by_one(budget):
    part = b'{"id": "0", "status": 200, "body": {"id": "a", "subject": "%s"}}' % (b"x" * 3_000)
    graph, _ = client(page(4_000), *[Reply(200, b'{"responses": [%s]}' % part)] * 12)
    holding = budget.hold()

    def read():
        graph.follow_delta(LINK)
        return graph.messages(["a"])

    fetched = holding.during(read)
    assert fetched.refused["a"].reason == "graph_answer_too_large"
    assert not fetched.found


def test_an_answer_that_was_too_large_keeps_nothing_of_what_was_read_beside_it():
    class Mail:
        pass

    def read():
        mail = Mail()

        def ask(pages):
            if pages.size > 20:
                raise AnswerTooLarge("too large")
            return b"small"

        by_smaller_pages(50, 1, ask)
        return weakref.ref(mail)

    gc.disable()
    try:
        assert read()() is None
    finally:
        gc.enable()
