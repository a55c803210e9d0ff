"""`python -m tests.e2e.push_latency [FILE…]`: mail at a rate to many mailboxes, and how long each message takes.

No poll is due meanwhile, so what arrives has arrived by push. Exit code 0 only if every message is in the table
once, as Graph has it, and 99 of 100 were there within the time allowed.
"""

import argparse
import sys
from pathlib import Path

from sandbox.state import PROJECT
from tests.e2e import push


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.push_latency", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=[PROJECT / "sandbox/samples"], metavar="FILE")
    parser.add_argument("--mailboxes", type=int, default=20)
    parser.add_argument("--rate", type=float, default=20, help="messages a second, to all together")
    parser.add_argument("--rounds", type=int, default=1, help="how often all of it is delivered, each to others")
    parser.add_argument("--within", type=float, default=5, help="seconds that 99 of 100 messages may take")
    options = parser.parse_args()
    with push.sandbox(POLL_INTERVAL_SECONDS="3600") as (_, product):
        return run(product, options)


def run(product, options):
    addresses = [f"owner{number}@latency.example" for number in range(options.mailboxes)]
    ids = push.connect(product, addresses)
    print(f"{len(ids)} mailboxes are connected and subscribed", flush=True)
    post, found = push.Post(product), push.mails(options.files)
    letters = [
        (addresses[(number + turn) % len(addresses)], name, content)
        for turn in range(options.rounds)
        for number, (name, content) in enumerate(found)
    ]
    post.deliver_all(letters, options.rate)
    rows = push.wait_for_all(product, ids, post)
    print(f"{post.count} messages delivered in {post.seconds:.1f} s, {post.count / post.seconds:.1f} a second")
    for name in dict.fromkeys(post.unreadable):
        print(f"  no mail: {name}")
    by_row, by_storage = push.waits(post, rows, 0), push.waits(post, rows, 1)
    print(f"from delivery to syncedDateTime:   {push.spread(by_row)}")
    print(f"from delivery to storage's time:   {push.spread(by_storage)}")
    show_deliveries(product)
    wrong = push.problems(product, ids)
    for problem in wrong[:20]:
        print(f"  {problem}")
    stored = sum(map(len, rows.values()))
    late = push.percentile(by_storage, 0.99) > options.within
    print(f"{stored} rows for {post.count} messages, {len(wrong)} problems; {'too late' if late else 'in time'}")
    return 1 if wrong or late or stored != post.count else 0


def show_deliveries(product):
    for endpoint in product.control.call("GET", "/subscriptions")["endpoints"]:
        path = endpoint["url"].rpartition("/")[2]
        print(f"{path}: {endpoint['delivered']} delivered in {endpoint['posts']} POSTs, {endpoint['failed']} failed")


if __name__ == "__main__":
    sys.exit(main())
