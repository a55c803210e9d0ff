"""What the checks of push share: a sandbox of their own, mail at a rate, times from delivery to row, call counts."""

import base64
import contextlib
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

from mailsync.mailboxes.ids import MailboxId
from mailsync.mailboxes.records import PushState
from sandbox.client import mail_files
from sandbox.commands import ensure_account
from sandbox.exchange.mime import split_mbox
from sandbox.up import Sandbox
from tests.e2e.product import Product, differences

_COUNTER = 1_000_000


@contextlib.contextmanager
def sandbox(*, log_storage=False, **environment):
    """A sandbox with the app in it, on a directory and ports of its own: (Sandbox, Product)."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"SANDBOX_HOME": home, **environment}
        with Sandbox(restart_host=True, log_storage=log_storage) as running:
            os.environ["REQUESTS_CA_BUNDLE"] = running.state.ca_file
            product = Product(running.state)
            try:
                yield running, product
            finally:
                product.close()


def connect(product, addresses):
    """Connects inboxes and waits until push is healthy for each; mailbox ids by address."""
    for address in addresses:
        ensure_account(product.state, address)
    with ThreadPoolExecutor(4) as pool:
        ids = dict(zip(addresses, pool.map(product.connect, addresses), strict=True))
    for identity in ids.values():
        product.until(lambda identity=identity: is_healthy(product, identity), "push is healthy", 60)
    return ids


def is_healthy(product, identity):
    """Whether push is to be relied on and no run is under way."""
    mailbox = product.mailbox(identity)
    return mailbox.push.state is PushState.TRUSTED and mailbox.last_success_at and not mailbox.lease


def mails(paths):
    """(name, content) of every message in files, mbox files and folders."""
    return [(str(file), part) for file in mail_files(paths) for part in split_mbox(file.read_bytes())]


class Post:
    """Delivers mail and remembers when: `delivered` is {address: {message id: time}}, `unreadable` names the rest."""

    def __init__(self, product):
        self._product = product
        self.delivered = {}
        self.unreadable = []
        self.seconds = 0.0

    def deliver(self, address, name, content):
        at = datetime.now(UTC)
        answer = self._product.control.send("POST", f"/mailboxes/{address}/deliver", content, name=name)
        self.unreadable += [entry["name"] for entry in answer["unreadable"]]
        self.delivered.setdefault(address, {}).update(dict.fromkeys(answer["ids"], at))
        return answer["ids"]

    def deliver_all(self, letters, rate):
        """Delivers (address, name, content) triples, `rate` a second."""
        begun, pause = time.monotonic(), threading.Event()
        for number, letter in enumerate(letters):
            pause.wait(max(0.0, begun + number / rate - time.monotonic()))
            self.deliver(*letter)
        self.seconds = time.monotonic() - begun

    @property
    def count(self):
        return sum(map(len, self.delivered.values()))


def row_times(product, identity):
    """{message id: (syncedDateTime, when storage had the row)} of a mailbox's rows."""
    from azure.data.tables import TableClient

    verify = product.state.ca_file
    with TableClient.from_connection_string(product.connection_string, "messages", connection_verify=verify) as table:
        query = f"PartitionKey eq '{identity}' and RowKey ge 'm' and RowKey lt 'n'"
        return {
            row["messageId"]: (row["syncedDateTime"], row.metadata["timestamp"]) for row in table.query_entities(query)
        }


def wait_for_all(product, ids, post, seconds=60):
    """The times of the rows of all that was delivered, once they are there; what is there when time is up."""
    missing = {address: set(delivered) for address, delivered in post.delivered.items()}
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while any(missing.values()) and time.monotonic() < deadline:
        for address in [address for address in missing if missing[address]]:
            missing[address] -= product.app.messages.known(ids[address], missing[address])
        pause.wait(0.2)
    return {address: row_times(product, ids[address]) for address in post.delivered}


def waits(post, rows, clock):
    """Seconds from delivery to row, sorted; `clock` 0: by syncedDateTime, 1: by storage's own time."""
    return sorted(
        (rows[address][message_id][clock] - at).total_seconds()
        for address, delivered in post.delivered.items()
        for message_id, at in delivered.items()
        if message_id in rows[address]
    )


def percentile(values, share):
    """The value that `share` of the sorted values do not exceed."""
    return values[min(len(values) - 1, max(0, -int(-len(values) * share // 1) - 1))] if values else float("nan")


def spread(values):
    """The percentiles of sorted seconds, in words."""
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return ", ".join(f"{name} {percentile(values, share):.3f} s" for name, share in shares.items())


def problems(product, ids):
    """What the rows of the mailboxes and Graph's messages do not have in common: lost, doubled, different."""
    return [
        f"{address}: {problem}"
        for address, identity in ids.items()
        for problem in differences(product.rows(identity), product.truth(address))
    ]


@contextlib.contextmanager
def counted(product, fault, **params):
    """Orders a fault for so many requests that it counts them; gives the function that says how many it has met."""
    ordered = {"name": fault, "count": _COUNTER, "params": params}
    product.control.call("POST", "/faults", ordered)

    def met():
        active = product.control.call("GET", "/faults")["active"]
        return _COUNTER - next(entry["remaining"] for entry in active if entry["name"] == fault)

    try:
        yield met
    finally:
        product.control.call("DELETE", f"/faults/{fault}")


def delta_calls(product, address):
    """Counts the delta requests of a mailbox: `with delta_calls(…) as calls: … calls()`."""
    return counted(product, "graph-slow", seconds=0, operation="delta", address=address)


def genuine(product, identity, message_id="a-message", **changes):
    """A notification as Graph would send it, with the clientState of the mailbox's subscription."""
    owner = MailboxId.parse(identity)
    proof = base64.urlsafe_b64encode(UUID(owner.tenant).bytes + UUID(owner.user).bytes).decode().rstrip("=")
    issued = product.control.call("GET", "/issued")["secrets"]
    resource = f"Users/{owner.user}/Messages/{message_id}"
    return {
        "subscriptionId": product.mailbox(identity).folders[0].subscription.id,
        "subscriptionExpirationDateTime": "2027-01-01T00:00:00.0000000Z",
        "clientState": next(text for text in issued if text.count(".") == 3 and text.split(".")[1] == proof),
        "tenantId": owner.tenant,
        "changeType": "created",
        "resource": resource,
        "resourceData": {"@odata.type": "#Microsoft.Graph.Message", "@odata.id": resource, "id": message_id},
    } | changes


def queued(product):
    """How many messages the queue of hints holds, hidden ones too."""
    from azure.storage.queue import QueueClient

    from mailsync.adapters.storage.services import QUEUE

    verify = product.state.ca_file
    with QueueClient.from_connection_string(product.connection_string, QUEUE, connection_verify=verify) as queue:
        return queue.get_queue_properties().approximate_message_count


def settle(product, calls=lambda: 0, quiet=3.0, seconds=120):
    """Waits until the queue has been empty, and `calls()` the same, for `quiet` seconds."""
    pause, since, before = threading.Event(), 0.0, None
    for _ in range(int(seconds / 0.25)):
        now = (queued(product), calls())
        since = since + 0.25 if now == before and now[0] == 0 else 0.0
        if since >= quiet:
            return
        before = now
        pause.wait(0.25)
    raise AssertionError(f"the queue still holds {queued(product)} hints after {seconds} s")
