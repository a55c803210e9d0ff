"""Whatever is thrown at the control API is refused with a sentence, and the stand-in stays up and answers as before."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.control import faults
from sandbox.graph import app as graph
from sandbox.graph import faults as graph_faults
from tests.sandbox.graph.graph_client import Inbox

ADDRESS = "ana@contoso.example"
ROUTES = ["/users", "/tenants", "/faults", "/revoke", "/redirect-uris", "/clock", "/lifecycle", "/push"]
ROUTES += [f"/mailboxes/{ADDRESS}/{rest}" for rest in ("generate", "messages/AAA", "messages/AAA/move")]

numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -1, 0, 1e308, 2**63]))
texts = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "\ud800", "\x00", "a@b.example", "x" * 2000, "nan", "\u202e"])
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def orders(draw):
    """An order of a fault that exists, with parameters of its own names more often than not."""
    kind = draw(st.sampled_from(list(faults.Faults().names().values())))
    names = st.one_of(texts, st.sampled_from(["name", "count", "self", *kind.parameters]))
    order = {"name": kind.name, "params": draw(st.one_of(st.dictionaries(names, values, max_size=3), values))}
    return order | draw(st.sampled_from([{}, {"count": 1}])) | draw(st.dictionaries(st.just("count"), values))


@pytest.fixture
def works(microsoft365, browser):
    """Whether the stand-in still answers a user who asks Graph for mail."""

    def works():
        microsoft365.world.faults.clear()
        answer = Inbox(microsoft365, browser, ADDRESS).get("/me/mailFolders/inbox/messages")
        return answer.status_code == 200

    return works


SLOWLY = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SLOWLY
@given(order=orders())
def test_no_order_of_a_fault_makes_the_stand_in_fall(microsoft365, browser, works, order):
    order["params"] = {"address": ADDRESS} | order["params"] if isinstance(order["params"], dict) else order["params"]
    answer = browser.post(f"{microsoft365.control}/faults", content=json.dumps(order))
    assert answer.status_code in {200, 400}, answer.text
    assert answer.status_code == 200 or answer.json()["error"]
    shown = browser.get(f"{microsoft365.control}/faults")
    assert shown.status_code == 200
    if order["name"] != graph_faults.SLOW:
        for path in ("/me/mailFolders/inbox/messages/delta", "/subscriptions"):
            try:
                struck = Inbox(microsoft365, browser, ADDRESS).get(path)
            except httpx.RemoteProtocolError:
                assert order["name"] == graph_faults.CUT
                continue
            assert struck.status_code != 500, struck.text
    assert works()


@SLOWLY
@given(route=st.sampled_from(ROUTES), body=st.one_of(values, st.dictionaries(texts, values)))
def test_no_body_makes_the_control_api_fall(microsoft365, browser, works, route, body):
    answer = browser.post(f"{microsoft365.control}{route}", content=json.dumps(body))
    assert answer.status_code in {200, 400, 404}, answer.text
    assert works()


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"name": NaN}', b'{"name": "\\ud800"}'])
@pytest.mark.parametrize("route", ROUTES)
def test_what_is_no_json_is_refused_with_a_sentence(microsoft365, browser, works, route, body):
    answer = browser.post(f"{microsoft365.control}{route}", content=body)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]
    assert works()


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({"name": "graph-slow", "params": {"seconds": "two"}}, "seconds takes a number from 0 to 3,600; not 'two'"),
        ({"name": "graph-slow", "params": {"seconds": 1e9}}, "seconds takes a number from 0 to 3,600; not 1000000000.0"),
        ({"name": "graph-throttle", "params": {"seconds": 1.5}}, "seconds takes a whole number from 0 to 1,000,000, or null; not 1.5"),
        ({"name": "graph-throttle", "params": {"date": "yes"}}, "date takes true or false; not 'yes'"),
        ({"name": "delta-cap", "params": {"order": "any"}}, "order takes one of random, newest, oldest; not 'any'"),
        ({"name": "graph-outage", "params": {"operation": "mail"}}, "operation takes one of me, folder,"),
        ({"name": "notification-drop", "params": {"address": 5}}, "address takes a text of up to 1,000 printable characters, or null; not 5"),
        ({"name": "graph-cut", "params": []}, "params takes a JSON object; not []"),
        ({"name": "graph-cut", "count": "2"}, "count takes a whole number from 1 to 1,000,000, or null; not '2'"),
        ({"name": "graph-cut", "params": {"speed": 1}}, "graph-cut takes address, operation; not 'speed'"),
        ({"name": "revoke", "params": {}}, "address is missing"),
        ({"count": 1}, "name is missing"),
        ({"name": "graph-cut", "times": 1}, "/faults takes name, count, params; not 'times'"),
    ],
)  # fmt: skip
def test_a_wrong_order_is_told_what_is_right(microsoft365, browser, order, sentence):
    answer = browser.post(f"{microsoft365.control}/faults", json=order)
    assert (answer.status_code, answer.json()["error"][: len(sentence)]) == (400, sentence)


def test_the_operations_by_which_a_fault_is_restricted_are_those_of_graph():
    assert set(graph_faults.OPERATIONS) == set(graph.PATHS)
