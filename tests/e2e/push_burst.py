"""`python -m tests.e2e.push_burst`: many notifications for one mailbox at once, and the delta calls they cost.

Twice: as so many messages that arrive together, and as so many POSTs of one notification each for one message.
Exit code 0 only if everything is in the table once and neither cost more delta calls than allowed.
"""

import argparse
import json
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

from sandbox.state import PROJECT
from tests.e2e import push

SAMPLE = PROJECT / "sandbox/samples/01-plain-reply.eml"


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.push_burst", description=__doc__)
    parser.add_argument("--notifications", type=int, default=500, metavar="N")
    parser.add_argument("--delta-calls", type=int, default=10, metavar="N", help="that each may cost")
    options = parser.parse_args()
    with push.sandbox(POLL_INTERVAL_SECONDS="3600") as (_, product):
        return run(product, options)


def run(product, options):
    count, wrong = options.notifications, []
    ids = push.connect(product, ["messages@burst.example", "posts@burst.example"])
    for burst, (address, identity) in zip((messages, posts), ids.items(), strict=True):
        with push.delta_calls(product, address) as calls:
            sent = burst(product, address, identity, count)
            push.settle(product, calls)
            print(f"{sent}: {calls()} delta calls", flush=True)
            if calls() > options.delta_calls:
                wrong.append(f"{address}: {calls()} delta calls, {options.delta_calls} are allowed")
    wrong += push.problems(product, ids)
    for problem in wrong[:20]:
        print(f"  {problem}")
    return 1 if wrong else 0


def messages(product, address, identity, count):
    """So many new messages, which Graph tells of in as few POSTs as it can."""
    product.generate(address, count, days=1)
    product.wait_for_rows(identity, count)
    return f"{count} notifications of {count} messages"


def posts(product, address, identity, count):
    """So many POSTs about one new message, which Graph itself does not tell of."""
    product.fault("notification-drop", address=address)
    letter = product.control.send("POST", f"/mailboxes/{address}/deliver", SAMPLE.read_bytes())
    body = json.dumps({"value": [push.genuine(product, identity, letter["ids"][0])]}).encode()
    context = ssl.create_default_context(cafile=product.state.ca_file)
    url = f"{product.state.app}/graph/notifications"
    with httpx.Client(verify=context, trust_env=False, timeout=30) as client, ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: client.post(url, content=body).status_code, range(count)))
    assert statuses == [202] * count, f"answers: {set(statuses)}"
    product.wait_for_rows(identity, 1)
    return f"{count} notifications in {count} POSTs of one message"


if __name__ == "__main__":
    sys.exit(main())
