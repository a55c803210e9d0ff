"""What every `SubscriptionService` keeps to: the fake, and Graph's on the stand-in."""

from datetime import UTC, datetime, timedelta

import pytest
import requests
from starlette.responses import PlainTextResponse

from mailsync.adapters.graph.subscriptions import GraphSubscriptions
from mailsync.adapters.graph.transport import GraphTransport
from mailsync.errors import Rejected
from sandbox.entra.tokens import graph_token
from tests.fakes.subscription_service import FakeSubscriptions
from tests.sandbox.push.webhook import listening

ADDRESS = "owner@contoso.example"
LIFE = timedelta(minutes=10_070)


class FakeBox:
    """The fake, and what happens to it."""

    def __init__(self):
        self.service = FakeSubscriptions(lambda: datetime.now(UTC))

    def now(self):
        return self.service.clock()

    def forget(self):
        self.service.held.clear()

    def cap(self, minutes):
        self.service.cap = timedelta(minutes=minutes)

    def refuse(self):
        self.service.fail(Rejected("subscription_forbidden", "no"), "create")

    def fail_handshake(self):
        self.service.fail(Rejected("handshake_failed", "no"), "create")

    def client_states(self):
        return [held.client_state for held in self.service.held.values()]


class GraphBox:
    """Graph on the stand-in, an app that it calls, and what happens there."""

    def __init__(self, microsoft365, session, webhook):
        self.world, self._webhook = microsoft365.world, webhook
        user = self.world.create_user(ADDRESS)
        self._user_id = user.user_id
        grant = self.world.grants.consent(user.user_id, frozenset({"User.Read", "Mail.Read"}))
        token, _ = graph_token(self.world, user, grant, grant.scopes)
        transport = GraphTransport(endpoint=microsoft365.graph, session=session, sleep=lambda seconds: None)
        self.service = GraphSubscriptions(
            transport.as_user(lambda: token),
            notification_url=f"{webhook.url}/notifications",
            lifecycle_url=f"{webhook.url}/lifecycle",
        )

    def now(self):
        return self.world.now()

    def _held(self):
        return self.world.push.subscriptions.of_user(self._user_id)

    def forget(self):
        for subscription in list(self._held()):
            self.world.push.subscriptions.remove(subscription)

    def cap(self, minutes):
        self.world.faults.order("subscription-cap", minutes=minutes)

    def refuse(self):
        self.world.faults.order("subscription-refused")

    def fail_handshake(self):
        self._webhook.echo = lambda token: PlainTextResponse("another")

    def client_states(self):
        return [subscription.client_state for subscription in self._held()]


@pytest.fixture
def graph(microsoft365, tls_files):
    with listening(tls_files) as webhook, requests.Session() as session:
        session.trust_env = False
        session.verify = microsoft365.ca_file
        yield GraphBox(microsoft365, session, webhook)


@pytest.fixture(params=["fake", "graph"])
def box(request):
    return FakeBox() if request.param == "fake" else request.getfixturevalue("graph")


def create(box, folder="inbox", state="state", life=LIFE):
    return box.service.create(folder, state, box.now() + life)


def refused(call, *arguments):
    with pytest.raises(Rejected) as caught:
        call(*arguments)
    return caught.value.reason


def test_one_is_made_as_long_as_was_asked(box):
    asked = box.now() + LIFE
    subscription_id, expires_at = box.service.create("inbox", "state", asked)
    assert abs(expires_at - asked) < timedelta(seconds=2)
    assert expires_at.tzinfo is not None
    assert box.service.existing() == {subscription_id: "inbox"}
    assert box.client_states() == ["state"]


def test_each_folder_has_one(box):
    ids = {create(box, folder)[0]: folder for folder in ("inbox", "archive")}
    assert box.service.existing() == ids
    assert refused(create, box, "archive") == "subscription_exists"


def test_it_is_renewed(box):
    subscription_id, first = create(box, life=timedelta(hours=1))
    renewed = box.service.renew(subscription_id, box.now() + LIFE)
    assert renewed > first + timedelta(days=1)


def test_one_that_is_no_more_is_neither_renewed_nor_in_the_way_of_deleting(box):
    subscription_id, _ = create(box)
    box.forget()
    assert refused(box.service.renew, subscription_id, box.now() + LIFE) == "subscription_gone"
    box.service.delete(subscription_id)
    assert box.service.existing() == {}


def test_deleting(box):
    subscription_id, _ = create(box)
    box.service.delete(subscription_id)
    assert box.service.existing() == {}
    create(box)


def test_a_life_that_is_too_long_is_said(box):
    subscription_id, _ = create(box, life=timedelta(hours=1))
    box.cap(4_230)
    assert refused(create, box, "archive") == "subscription_too_long"
    assert refused(box.service.renew, subscription_id, box.now() + LIFE) == "subscription_too_long"
    create(box, "archive", life=timedelta(minutes=4_230))


def test_a_refusal_to_subscribe_is_no_loss_of_the_grant(box):
    box.refuse()
    assert refused(create, box) == "subscription_forbidden"


def test_an_app_that_does_not_answer_the_handshake(box):
    box.fail_handshake()
    assert refused(create, box) == "handshake_failed"
    assert box.service.existing() == {}
