"""Push brings mail within seconds and loses none, whatever fails. At full size: the `push_…` programs beside this."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest

from mailsync.mailboxes.records import PushState
from sandbox.state import PROJECT
from tests.e2e import push
from tests.e2e.push_burst import posts
from tests.e2e.push_outages import refused, storage

SAMPLES = sorted((PROJECT / "sandbox/samples").glob("*.eml"))


@pytest.fixture
def impatient(product):
    """Graph tries again sooner than it would."""
    product.control.call("POST", "/push", {"waits": 0.05})
    yield
    product.control.call("POST", "/push", {"waits": 1})


def failed_posts(product):
    return sum(entry["failed"] for entry in product.control.call("GET", "/subscriptions")["endpoints"])


def test_mail_comes_at_once_and_once(product):
    addresses = [f"owner{number}@push.example" for number in range(4)]
    ids = push.connect(product, addresses)
    post = push.Post(product)
    found = push.mails([PROJECT / "sandbox/samples"])
    post.deliver_all([(addresses[number % 4], *letter) for number, letter in enumerate(found * 2)], rate=20)
    rows = push.wait_for_all(product, ids, post)
    assert push.percentile(push.waits(post, rows, 1), 0.99) < 5
    assert sum(map(len, rows.values())) == post.count == 2 * len(SAMPLES)
    assert push.problems(product, ids) == []


def test_a_burst_costs_a_handful_of_delta_calls(product):
    address = "ann@burst.example"
    ids = push.connect(product, [address])
    with push.delta_calls(product, address) as calls:
        posts(product, address, ids[address], 100)
        push.settle(product, calls, quiet=1)
        assert 1 <= calls() <= 8
    assert push.problems(product, ids) == []


def test_lost_notifications_that_graph_owns_up_to(product):
    address = "bob@push.example"
    ids = push.connect(product, [address])
    product.fault("notification-drop", address=address)
    product.deliver(address, *SAMPLES[:3])
    product.clear_faults()
    product.control.call("POST", "/lifecycle", {"event": "missed", "address": address})
    product.wait_for_rows(ids[address], 3)
    assert push.problems(product, ids) == []


def test_lifecycle_notifications_of_either_shape_renew(product):
    """The stand-in sends that which is documented and that which Exchange is reported to send, in turn."""
    address = "bea@push.example"
    identity = push.connect(product, [address])[address]
    for _ in range(2):
        before = product.mailbox(identity).folders[0].subscription
        product.control.call("POST", "/lifecycle", {"event": "reauthorizationRequired", "address": address})

        def renewed(before=before):
            kept = product.mailbox(identity).folders[0].subscription
            return kept and kept.id == before.id and kept.renewed_at > before.renewed_at

        product.until(renewed, "a renewal")


def test_a_subscription_that_is_removed_silently(product):
    """The safety poll brings the mail, sees that Graph had not told of it, and subscribes anew."""
    address = "cleo@push.example"
    ids = push.connect(product, [address])
    identity = ids[address]
    before = product.mailbox(identity)
    product.fault("subscription-remove", address=address)
    now = datetime.now(UTC)
    letter = f"From: a@b.example\nDate: {format_datetime(now - timedelta(minutes=10))}\nSubject: Old\n\nUnseen.\n"
    product.control.send("POST", f"/mailboxes/{address}/deliver", letter.encode(), keepDate="1")
    # An hour passes: the subscription is old, and the safety poll is due.
    folder = before.folders[0]
    old = msgspec.structs.replace(folder.subscription, made_at=now - timedelta(hours=1))
    folders = (msgspec.structs.replace(folder, subscription=old),)
    product.app.mailboxes.save(replace(before, folders=folders, last_notification_at=None, next_poll_at=now))
    product.wait_for_rows(identity, 1, poll=True)
    silent = product.mailbox(identity)
    assert silent.push.reason == "silent"
    # A minute passes.
    product.app.mailboxes.save(replace(silent, push=replace(silent.push, until=now), next_poll_at=now))

    def subscribed():
        found = product.mailbox(identity).folders[0].subscription
        return found and found.id != old.id

    product.until(subscribed, "a new subscription", poll=True)
    product.deliver(address, SAMPLES[0])
    product.wait_for_rows(identity, 2)
    product.until(lambda: product.mailbox(identity).push.state is PushState.TRUSTED, "push is healthy")
    assert push.problems(product, ids) == []


def test_a_webhook_that_refuses_for_a_while(product, sandbox, impatient):
    address = "dora@push.example"
    ids = push.connect(product, [address])
    failed = failed_posts(product)
    with refused(sandbox, product, [address]):
        product.deliver(address, *SAMPLES[:2])
        product.until(lambda: failed_posts(product) > failed, "the webhook refuses")
    product.wait_for_rows(ids[address], 2)
    assert push.problems(product, ids) == []


def test_storage_that_stands_still_for_a_while(product, sandbox, impatient):
    address = "emil@push.example"
    ids = push.connect(product, [address])
    failed = failed_posts(product)
    with storage(sandbox, product, [address]):
        product.deliver(address, *SAMPLES[:2])
        product.until(lambda: failed_posts(product) > failed, "the webhook refuses")
    product.wait_for_rows(ids[address], 2)
    assert push.problems(product, ids) == []
