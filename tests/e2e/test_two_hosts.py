"""Two instances of the app on the same services, as Azure runs them under load."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailsync.mailboxes.records import MailboxState
from sandbox.processes import spawn
from sandbox.state import PROJECT
from tests.e2e.product import differences

SAMPLES = sorted((PROJECT / "sandbox/samples").glob("*.eml"))[:6]
ADDRESSES = [f"{name}@two-hosts.example" for name in ("ada", "ben", "cem", "dia")]
_LIFE = 302
"""Seconds of an access token's life; five minutes before its end the app takes another, so nearly each run does."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def second_host(product, home):
    """Another host process, with a queue listener and timers of its own; its log."""
    certificates = home / "certificates"
    command = ["sandbox", "host", "--port", str(free_port())]
    command += ["--certificate", str(certificates / "server.pem"), "--key", str(certificates / "server.key")]
    child = spawn("second-host", command, product.state.environment, home / "logs/second-host.log")
    yield child
    child.stop()


def test_no_refresh_token_is_redeemed_twice(product, second_host, home):
    """Single-use tokens that end every few seconds, two hosts, a vault that at times takes no writes."""
    with ThreadPoolExecutor(4) as pool:
        boxes = dict(zip(ADDRESSES, pool.map(product.connect, ADDRESSES), strict=True))
    begun = product.control.call("GET", "/refresh-tokens")
    product.fault("refresh-token-single-use")
    product.fault("access-token-short", seconds=_LIFE)
    for number, sample in enumerate(SAMPLES):
        if number in (1, 3):
            product.fault("vault-read-only", count=3)
        for address in ADDRESSES:
            product.deliver(address, sample)
        product.poll()
        for box in boxes.values():
            product.wait_for_rows(box, number + 1, seconds=90, poll=True)
    for address, box in boxes.items():
        assert differences(product.rows(box), product.truth(address)) == []
        product.until(lambda box=box: not product.mailbox(box).token_holder, "its token is saved", 90, poll=True)
        assert product.mailbox(box).state is MailboxState.ACTIVE
    logs = [home / "logs" / log for log in ("host.log", "second-host.log")]

    def many_by_both() -> bool:
        redeemed = product.control.call("GET", "/refresh-tokens")["redeemed"] - begun["redeemed"]
        both = all("sync_completed" in log.read_text(errors="replace") for log in logs)
        return both and redeemed > len(SAMPLES) * len(ADDRESSES) / 2

    # How the runs fall upon the hosts depends on how busy the machine is.
    product.until(many_by_both, "both hosts have had much to do", 90, poll=True)
    ended = product.control.call("GET", "/refresh-tokens")
    assert ended["reused"] == begun["reused"]
