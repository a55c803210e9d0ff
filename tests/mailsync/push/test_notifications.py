"""What Graph posts, on fakes."""

import asyncio
import json
import logging
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.adapters.graph import notifications as reader
from mailsync.errors import Misconfigured, Rejected, RetryLater
from mailsync.mailboxes.ids import MailboxId, mailbox_id
from mailsync.push import client_state
from mailsync.push.notifications import Accepted, Notifications
from mailsync.schedule.hints import decode_hint, encode_hint
from mailsync.schedule.records import Hint
from mailsync.telemetry import Tally
from tests.fakes.queue_and_vault import FakeAsyncHintQueue
from tests.fakes.signing_keys import FakeSigningKeys

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER_TENANT = "aaaaaaaa-0000-4000-8000-000000000002"
USERS = [f"bbbbbbbb-0000-4000-8000-00000000000{number}" for number in range(10)]
BOX = mailbox_id(TENANT, USERS[1])
OTHER_BOX = mailbox_id(OTHER_TENANT, USERS[2])
NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)


class Webhook:
    """The receiver on fakes."""

    def __init__(self, seconds=30.0, forged=None):
        self.keys = FakeSigningKeys()
        self.queue = FakeAsyncHintQueue()
        self.made = []
        self.notifications = Notifications(self._keys, self._queue, reader, lambda: NOW, seconds=seconds, forged=forged)

    def _keys(self):
        self.made.append("keys")
        return self.keys

    def _queue(self):
        self.made.append("queue")
        return self.queue

    def item(self, box=BOX, message="m1", **changes):
        """A change notification as Graph documents it; a change to None leaves the property out."""
        owner = MailboxId.parse(box)
        values = {
            "id": "lsgTZMr9KwAAA",
            "subscriptionId": f"subscription-{box[-1]}",
            "subscriptionExpirationDateTime": "2026-12-01T00:00:00.0000000Z",
            "clientState": client_state.make(self.keys, box, "nonce")[0],
            "changeType": "created",
            "resource": f"Users/{owner.user}/Messages/{message}",
            "tenantId": owner.tenant,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Message",
                "@odata.id": f"Users/{owner.user}/Messages/{message}",
                "@odata.etag": 'W/"CQAAABYAAAD"',
                "id": message,
            },
        } | changes
        return {name: value for name, value in values.items() if value is not None}

    def lifecycle(self, event, box=BOX, **changes):
        nothing = {"id": None, "changeType": None, "resource": None, "resourceData": None}
        return self.item(box, lifecycleEvent=event, **nothing, **changes)

    def post(self, *items):
        return self.post_body(json.dumps({"value": items}).encode())

    def post_body(self, body):
        return asyncio.run(self.notifications.receive(body))

    def hints(self):
        return [hint for hint, _ in self.queue.take()]


@pytest.fixture
def webhook():
    return Webhook()


def test_a_notification_becomes_a_hint(webhook):
    assert webhook.post(webhook.item()) == Accepted(items=1, mailboxes=1, forged=0)
    assert webhook.hints() == [Hint(BOX, NOW, pushed=True, created=("m1",), nonces=("nonce",))]


def test_one_post_one_hint_a_mailbox(webhook):
    items = [webhook.item(box, f"m{number}") for number in range(30) for box in (BOX, OTHER_BOX)]
    assert webhook.post(*items, webhook.item(BOX, "m3")) == Accepted(items=61, mailboxes=2, forged=0)
    hints = {hint.mailbox_id: hint for hint in webhook.hints()}
    assert set(hints) == {BOX, OTHER_BOX}
    assert hints[BOX].created == hints[OTHER_BOX].created == tuple(f"m{number}" for number in range(30))


def test_changes_and_deletions_name_no_new_message(webhook):
    webhook.post(webhook.item(changeType="updated"), webhook.item(message="m2", changeType="deleted"))
    assert webhook.hints() == [Hint(BOX, NOW, pushed=True, nonces=("nonce",))]


def test_lifecycle_events(webhook):
    webhook.post(webhook.lifecycle("reauthorizationRequired"))
    webhook.post(webhook.lifecycle("subscriptionRemoved"))
    webhook.post(webhook.lifecycle("missed"))
    webhook.post(webhook.lifecycle("ofLaterDays"))
    assert webhook.hints() == [
        Hint(BOX, NOW, pushed=True, renew=("subscription-1",), nonces=("nonce",)),
        Hint(BOX, NOW, removed=("subscription-1",), nonces=("nonce",)),
        Hint(BOX, NOW, pushed=True, nonces=("nonce",)),
        Hint(BOX, NOW, pushed=True, nonces=("nonce",)),
    ]


def test_a_lifecycle_event_as_exchange_is_reported_to_send_it(webhook):
    """https://github.com/microsoftgraph/msgraph-sdk-dotnet/issues/3103, /msgraph-sdk-java/issues/1551"""
    reported = webhook.lifecycle("reauthorizationRequired", tenantId=None, organizationId=TENANT) | {
        "resource": "Subscriptions/subscription-1",
        "sequence": None,
        "resourceData": {
            "@odata.type": "#microsoft.graph.subscription",
            "@odata.id": "subscriptions/subscription-1",
            "id": "subscription-1",
        },
        "encryptedContent": None,
        "subscriptionExpirationDateTime": "2026-12-01T04:18:58.0463343-08:00",
    }
    assert webhook.post(reported) == Accepted(items=1, mailboxes=1, forged=0)
    assert webhook.post(reported | {"tenantId": OTHER_TENANT}).forged == 1
    assert webhook.hints() == [Hint(BOX, NOW, pushed=True, renew=("subscription-1",), nonces=("nonce",))]


def test_lifecycle_and_change_notifications_may_be_mixed(webhook):
    webhook.post(
        webhook.lifecycle("subscriptionRemoved"),
        webhook.lifecycle("reauthorizationRequired", subscriptionId="another"),
        webhook.item(),
    )
    assert webhook.hints() == [
        Hint(BOX, NOW, pushed=True, created=("m1",), renew=("another",), removed=("subscription-1",), nonces=("nonce",))
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"clientState": None},
        {"clientState": ""},
        {"clientState": "secret"},
        {"tenantId": OTHER_TENANT},
        {"tenantId": None, "organizationId": OTHER_TENANT},
        {"organizationId": OTHER_TENANT},
        {"tenantId": OTHER_TENANT, "organizationId": TENANT},
        {"resource": f"Users/{USERS[2]}/Messages/m1"},
        {"resource": f"users/{USERS[2].upper()}/mailFolders('inbox')/messages/m1"},
    ],
)
def test_a_forged_item_is_dropped_and_the_others_are_not(webhook, changes):
    assert webhook.post(webhook.item(message="forged", **changes)) == Accepted(items=0, mailboxes=0, forged=1)
    assert webhook.hints() == []
    webhook.post(webhook.item(message="forged", **changes), webhook.item(OTHER_BOX))
    assert webhook.hints() == [Hint(OTHER_BOX, NOW, pushed=True, created=("m1",), nonces=("nonce",))]


def test_a_client_state_of_another_mailbox_is_of_no_use(webhook):
    stolen = webhook.item(BOX)["clientState"]
    assert webhook.post(webhook.item(OTHER_BOX, clientState=stolen)).forged == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"tenantId": TENANT.upper()},
        {"tenantId": None},
        {"tenantId": ""},
        {"tenantId": None, "organizationId": TENANT},
        {"tenantId": "", "organizationId": TENANT.upper()},
        {"resource": f"users/{USERS[1].upper()}/messages/m1"},
        {"resource": "Users/owner@contoso.example/Messages/m1"},
        {"resource": None},
        {"resourceData": None},
        {"changeType": None},
        {"new": {"of": ["later", "days"]}},
    ],
)
def test_other_spellings_are_genuine(webhook, changes):
    assert webhook.post(webhook.item(**changes)).items == 1
    assert [hint.mailbox_id for hint in webhook.hints()] == [BOX]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"value": null}',
        b'{"value": {}}',
        b'{"value": []} trailing',
        b'{"value": [' + b"0," * 10_001 + b"0]}",
        b'{"value": [{"subscriptionId": "s"}',
        '{"value": []}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"other": ' + b"[" * 100_000,
    ],
)
def test_what_is_malformed_is_rejected(webhook, body):
    with pytest.raises(Rejected) as refusal:
        webhook.post_body(body)
    assert refusal.value.reason == "bad_notifications"
    assert webhook.made == []


ODD = (
    "null",
    "5",
    '"text"',
    "[]",
    "{}",
    '{"subscriptionId": 5}',
    '{"subscriptionId": null, "clientState": "STATE"}',
    '{"subscriptionId": "s", "clientState": "STATE", "tenantId": 5}',
    '{"subscriptionId": "s", "clientState": "STATE", "organizationId": ["T"]}',
    '{"subscriptionId": "s", "clientState": "STATE", "resource": {}}',
)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_item_costs_that_item(webhook, odd):
    item = webhook.item()
    items = ", ".join(
        [json.dumps(item), odd.replace("STATE", item["clientState"]), json.dumps(webhook.item(OTHER_BOX))]
    )
    accepted = webhook.post_body(f'{{"value": [{items}]}}'.encode())
    assert accepted == Accepted(items=2, mailboxes=2, forged=1, odd=1)
    assert {hint.mailbox_id for hint in webhook.hints()} == {BOX, OTHER_BOX}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sequence", "null"),
        ("encryptedContent", "5"),
        ("changeType", "5"),
        ("lifecycleEvent", "[]"),
        ("resourceData", '"m1"'),
        ("resourceData", '{"id": 5}'),
        ("other", r'"\ud83d"'),
        ("other", '"\xff"'),
        ("other", '"tab\there"'),
        (r"\udc00", "{}"),
        ("subscriptionExpirationDateTime", '"2026-12-01T04:18:58.0463343-08:00"'),
    ],
)
def test_an_odd_property_costs_less_than_its_item(webhook, name, value):
    whole = json.dumps(webhook.item(OTHER_BOX))
    item = json.dumps(webhook.item())[:-1] + f', "{name}": {value}}}'
    accepted = webhook.post_body(f'{{"value": [{item}, {whole}]}}'.encode("latin-1"))
    assert accepted == Accepted(items=2, mailboxes=2, forged=0)
    hints = {hint.mailbox_id: hint for hint in webhook.hints()}
    assert hints[BOX].pushed
    assert hints[OTHER_BOX].created == ("m1",)


def test_long_bodies_are_read_strictly_only(webhook):
    body = f'{{"value": [{json.dumps(webhook.item())}, {{"subscriptionId": "s"}}'.encode()
    for more, answer in ((b"", 1), (b",5", 1), (b" " * 256 * 1024, 1), (b",5" + b" " * 256 * 1024, None)):
        if answer:
            assert webhook.post_body(body + more + b"]}").items == answer
        else:
            with pytest.raises(Rejected):
                webhook.post_body(body + more + b"]}")


def test_what_cannot_be_a_client_state_is_forged(webhook):
    for state in ("5", "[]", r'"\ud800"', '{"a": 1}'):
        item = json.dumps(webhook.item(clientState=None))[:-1] + f', "clientState": {state}}}'
        assert webhook.post_body(f'{{"value": [{item}]}}'.encode()).forged == 1
    assert webhook.hints() == []


def test_bytes_before_and_odd_bytes_within_are_read(webhook):
    item = json.dumps(webhook.item()).encode()
    for body in (b'\xef\xbb\xbf{"value": [%b]}', b'{"value": [%b, {"subscriptionId": "\xff"}]}'):
        assert webhook.post_body(body % item).items == 1


def test_an_empty_collection_is_nothing(webhook):
    assert webhook.post() == Accepted(items=0, mailboxes=0, forged=0)


@given(st.binary(max_size=300))
def test_bytes_never_queue_anything(body):
    webhook = Webhook()
    with suppress(Rejected):
        assert webhook.post_body(body).items == 0
    assert webhook.hints() == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
near_items = st.fixed_dictionaries(
    {"subscriptionId": st.text(max_size=40)},
    optional={
        name: st.text(max_size=150) | json_values
        for name in ("clientState", "tenantId", "changeType", "lifecycleEvent", "resource", "resourceData")
    },
)


@given(st.lists(near_items | json_values, max_size=4))
def test_what_looks_like_notifications_never_queues_anything(items):
    webhook = Webhook()
    try:
        accepted = webhook.post(*items)
    except Rejected:
        pass
    else:
        assert (accepted.items, accepted.forged) == (0, len(items))
    assert webhook.hints() == []


@given(st.data())
def test_a_genuine_item_altered_anywhere_is_none(data):
    webhook = Webhook()
    item = webhook.item()
    name = data.draw(st.sampled_from(["clientState", "tenantId"]))
    place = data.draw(st.integers(0, len(item[name]) - 1))
    other = data.draw(st.characters(codec="utf-8"))
    altered = item[name][:place] + other + item[name][place + 1 :]
    genuine = altered == item[name] or (name == "tenantId" and altered.lower() == item[name])
    assert webhook.post(item | {name: altered}).items == genuine


def test_a_hint_fits_a_queue_message_whatever_graph_names(webhook):
    items = [webhook.item(message=f"{number:03}" + "m" * 509) for number in range(100)]
    items += [
        webhook.item(message=odd) for odd in ("m" * 513, "\U0001f4e7" * 500, "\x00" * 500, '"', "a b", "a\n", "\\")
    ]
    for event in ("reauthorizationRequired", "subscriptionRemoved"):
        items += [webhook.lifecycle(event, subscriptionId=f"{number:02}" + "s" * 62) for number in range(50)]
    webhook.post(*items)
    [hint] = webhook.hints()
    assert (len(hint.created), len(hint.renew), len(hint.removed)) == (50, 20, 20)
    assert len(encode_hint(hint)) < 48 * 1024
    assert decode_hint(encode_hint(hint)) == hint


@pytest.mark.parametrize("boxes", [1, 9])
@pytest.mark.parametrize(
    "error",
    [
        RetryLater("storage_unavailable", "Away."),
        Misconfigured("storage_forbidden", "No."),
        Rejected("storage_refused", "No."),
    ],
)
def test_a_hint_that_is_not_queued_is_told(webhook, boxes, error):
    webhook.queue.failure = error
    with pytest.raises(type(error)) as told:
        webhook.post(*[webhook.item(mailbox_id(TENANT, user)) for user in USERS[:boxes]])
    assert told.value.reason == error.reason


def test_of_many_hints_one_that_is_not_queued_is_told_and_the_others_are_sent(webhook):
    class Picky(FakeAsyncHintQueue):
        async def send(self, hint):
            if hint.mailbox_id.endswith("4"):
                raise RetryLater("storage_unavailable", "Away.")
            await super().send(hint)

    webhook.queue = Picky()
    with pytest.raises(RetryLater):
        webhook.post(*[webhook.item(mailbox_id(TENANT, user)) for user in USERS])
    assert len(webhook.hints()) == 9


def test_keys_out_of_reach_are_told_and_nothing_is_dropped(webhook):
    item = webhook.item()
    webhook.keys.failure = RetryLater("key_vault_unavailable", "Away.")
    with pytest.raises(RetryLater):
        webhook.post(item)


class Watched(FakeSigningKeys):
    """Notes on which thread a key was asked for."""

    def __init__(self):
        super().__init__()
        self.threads = []

    def find(self, key_id):
        self.threads.append(threading.current_thread())
        return super().find(key_id)


@pytest.mark.parametrize(
    ("items", "remembers", "on_the_loop"), [(1, True, True), (64, True, True), (65, True, False), (1, False, False)]
)
def test_many_signatures_and_keys_that_take_a_call_do_not_hold_up_the_event_loop(items, remembers, on_the_loop):
    webhook = Webhook()
    webhook.keys = Watched()
    webhook.keys.remembers = remembers
    assert webhook.post(*[webhook.item()] * items) == Accepted(items=items, mailboxes=1, forged=0)
    assert len(webhook.keys.threads) == items
    assert {thread is threading.main_thread() for thread in webhook.keys.threads} == {on_the_loop}


def test_many_mailboxes_are_sent_side_by_side(webhook):
    together = asyncio.Barrier(4)

    class Waiting(FakeAsyncHintQueue):
        async def send(self, hint):
            await together.wait()
            await super().send(hint)

    webhook.queue = Waiting()
    webhook.post(*[webhook.item(mailbox_id(TENANT, user)) for user in USERS[:4]])
    assert len(webhook.hints()) == 4


def test_a_queue_that_does_not_answer_holds_nobody_longer_than_graph_waits():
    webhook = Webhook(seconds=0.05)

    class Silent(FakeAsyncHintQueue):
        async def send(self, hint):
            await asyncio.Event().wait()

    webhook.queue = Silent()
    started = time.monotonic()
    with pytest.raises(RetryLater) as late:
        webhook.post(webhook.item())
    assert late.value.reason == "notifications_late"
    assert time.monotonic() - started < 5


def test_posts_at_once_do_not_wait_for_each_other():
    webhook = Webhook()
    together = asyncio.Barrier(5)

    class Waiting(FakeAsyncHintQueue):
        async def send(self, hint):
            await together.wait()
            await super().send(hint)

    webhook.queue = Waiting()
    body = json.dumps({"value": [webhook.item()]}).encode()

    async def burst():
        await asyncio.gather(*[webhook.notifications.receive(body) for _ in range(5)])

    asyncio.run(burst())
    assert len(webhook.hints()) == 5


class TestTelemetry:
    def test_counts_are_told(self, webhook, caplog):
        with caplog.at_level(logging.INFO, logger="mailsync"):
            webhook.post(webhook.item(), webhook.item(OTHER_BOX), webhook.item(clientState="x"))
        assert caplog.messages == ["notifications_forged count=1", "notifications_accepted count=2"]

    def test_odd_items_are_told_among_the_forged(self, webhook, caplog):
        with caplog.at_level(logging.INFO, logger="mailsync"):
            webhook.post(None, webhook.item(clientState="x"), {})
        assert caplog.messages == ["notifications_forged count=3 odd=2"]

    def test_a_flood_of_forgeries_is_a_line_now_and_then(self, caplog):
        now = [0.0]
        webhook = Webhook(forged=Tally(10, lambda: now[0]))
        forged = webhook.item(clientState="the forger's words")
        with caplog.at_level(logging.INFO, logger="mailsync"):
            for second in range(21):
                now[0] = float(second)
                webhook.post(forged, forged)
        assert caplog.messages == [f"notifications_forged count={count}" for count in (2, 20, 20)]

    def test_what_is_left_of_a_flood_is_told_with_the_next_post(self, caplog):
        now = [0.0]
        webhook = Webhook(forged=Tally(10, lambda: now[0]))
        for _ in range(3):
            webhook.post(webhook.item(clientState="x"))
        now[0] = 11.0
        with caplog.at_level(logging.INFO, logger="mailsync"):
            webhook.post(webhook.item())
        assert "notifications_forged count=2" in caplog.messages

    def test_nothing_posted_is_in_the_log(self, webhook, caplog):
        item = webhook.item(message="the-message")
        with caplog.at_level(logging.DEBUG):
            webhook.post(item, webhook.item(clientState="guessed-state"))
        for word in ("the-message", "guessed-state", item["clientState"], USERS[1]):
            assert word not in caplog.text
