"""`python -m tests.e2e.push_outages`: push fails in every way it can while mail arrives; nothing may be lost.

Each outage begins with mailboxes whose push is healthy. Mail is delivered throughout. Measured from the outage's
end: until all of that mail is in the table, and until mail comes by push again. The poll timer runs each minute,
as in Azure. Graph delays what it tells an endpoint that has been slow, so several outages are run in the order
given here, or one alone. Exit code 0 only if every message is in the table once, as Graph has it, and push has healed.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
import time

from sandbox.state import PROJECT
from tests.e2e import push

SAMPLES = sorted((PROJECT / "sandbox/samples").glob("0*.eml"))
PROMPT = 10
"""Seconds within which mail comes that push has brought; no poll is as quick but by chance."""


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.push_outages", description=__doc__)
    parser.add_argument("outages", nargs="*", metavar="OUTAGE", help=f"of {', '.join(OUTAGES)} (default: all)")
    parser.add_argument("--seconds", type=float, default=30, help="that an outage lasts (default: %(default)s)")
    parser.add_argument("--mailboxes", type=int, default=3)
    options = parser.parse_args()
    if unknown := set(options.outages) - OUTAGES.keys():
        parser.error(f"there is no outage {', '.join(sorted(unknown))}")
    # A safety poll this rare finds mail old enough to tell that push is silent.
    settings = {"POLL_INTERVAL_SECONDS": "20", "POLL_INTERVAL_WITH_PUSH_SECONDS": "280"}
    with push.sandbox(SANDBOX_QUEUE_VISIBILITY_SECONDS="30", **settings) as (sandbox, product):
        wrong = [
            problem
            for name in options.outages or OUTAGES
            for problem in Trial(sandbox, product, name, options.mailboxes).run(options.seconds)
        ]
    for problem in wrong[:20]:
        print(f"  {problem}")
    print(f"{len(wrong)} problems" if wrong else "nothing was lost, nothing doubled")
    return 1 if wrong else 0


class Trial:
    """One outage, with mailboxes of its own."""

    def __init__(self, sandbox, product, name, mailboxes):
        self._sandbox = sandbox
        self._product = product
        self._name = name
        self._addresses = [f"owner{number}@{name}.example" for number in range(mailboxes)]

    def run(self, seconds, rate=2, patience=600):
        """The problems met."""
        post = push.Post(self._product)
        ids = push.connect(self._product, self._addresses)
        letters = [
            (self._addresses[number % len(ids)], path.name, path.read_bytes())
            for number in range(int(seconds * rate))
            for path in (SAMPLES[number % len(SAMPLES)],)
        ]
        failed = self._failed_posts()
        with OUTAGES[self._name](self._sandbox, self._product, self._addresses):
            post.deliver_all(letters, rate)
        ended, failed = time.monotonic(), self._failed_posts() - failed
        there = self._until(lambda: self._all_stored(ids, post), patience)
        stored_after = time.monotonic() - ended
        rows = sum(len(push.row_times(self._product, identity)) for identity in ids.values())
        healed = self._until(lambda: self._push_works(ids), patience)
        healed_after = time.monotonic() - ended
        print(
            f"{self._name}, {post.seconds:.0f} s with {post.count} messages, {failed} POSTs of Graph's failed:"
            f" {rows} rows {stored_after:.1f} s after its end, push back {healed_after:.1f} s after it",
            flush=True,
        )
        wrong = push.problems(self._product, ids)
        wrong += [] if there else [f"{self._name}: not everything was stored after {patience} s"]
        return wrong + ([] if healed else [f"{self._name}: push did not work again after {patience} s"])

    def _all_stored(self, ids, post):
        return all(
            len(self._product.app.messages.known(ids[address], delivered)) == len(delivered)
            for address, delivered in post.delivered.items()
        )

    def _failed_posts(self):
        return sum(entry["failed"] for entry in self._product.control.call("GET", "/subscriptions")["endpoints"])

    def _push_works(self, ids):
        """Whether a message to each comes at once, and push is healthy: one that was silent is not until then."""
        probe = push.Post(self._product)
        for address in ids:
            probe.deliver(address, SAMPLES[0].name, SAMPLES[0].read_bytes())
        return self._until(lambda: self._all_stored(ids, probe) and self._all_healthy(ids), PROMPT)

    def _all_healthy(self, ids):
        return all(push.is_healthy(self._product, identity) for identity in ids.values())

    def _until(self, condition, seconds):
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while not (met := condition()) and time.monotonic() < deadline:
            self._sandbox.check()
            pause.wait(0.2)
        return met


@contextlib.contextmanager
def dropped(sandbox, product, addresses):
    """Graph loses every notification of these mailboxes."""
    for address in addresses:
        product.fault("notification-drop", address=address)
    yield
    product.control.call("DELETE", "/faults/notification-drop")


@contextlib.contextmanager
def removed(sandbox, product, addresses):
    """Graph removes the subscriptions and says nothing."""
    for address in addresses:
        product.fault("subscription-remove", address=address)
    yield


@contextlib.contextmanager
def told(sandbox, product, addresses):
    """Graph removes the subscriptions and sends subscriptionRemoved."""
    for address in addresses:
        product.fault("subscription-remove", address=address, lifecycle=True)
    yield


@contextlib.contextmanager
def refused(sandbox, product, addresses):
    """The app is started anew while Key Vault is away: it cannot tell what is genuine, and answers 503."""
    product.fault("vault-outage")
    kill_host(sandbox)
    yield
    product.control.call("DELETE", "/faults/vault-outage")


@contextlib.contextmanager
def down(sandbox, product, addresses):
    """The app does not run; nobody takes Graph's connections."""
    os.kill(sandbox.state.pids["host"], signal.SIGKILL)
    sandbox.child("host").process.wait()
    yield
    sandbox.check()


@contextlib.contextmanager
def storage(sandbox, product, addresses):
    """Azurite is stopped: queue, tables and blobs answer nothing, connections stay open."""
    with stopped(sandbox.state.pids["azurite"]):
        yield


@contextlib.contextmanager
def paused(sandbox, product, addresses):
    """The app is stopped in the middle of whatever it does."""
    with stopped(sandbox.state.pids["host"]):
        yield


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill_host(sandbox):
    """Ends the app's process at once and starts another."""
    os.kill(sandbox.state.pids["host"], signal.SIGKILL)
    sandbox.child("host").process.wait()
    sandbox.check()


OUTAGES = {
    "dropped": dropped,
    "removed": removed,
    "told": told,
    "refused": refused,
    "storage": storage,
    "down": down,
    "paused": paused,
}


if __name__ == "__main__":
    sys.exit(main())
