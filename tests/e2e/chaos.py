"""`python -m tests.e2e.chaos`: the whole product on Graph's worst day, which takes minutes, since it really waits.

One answer of Graph's about mail in ten is a random one (fault `graph-chaos`), while a mailbox is read for the first
time, mail arrives, and mail is read and removed. At the end every message must be in the table once and equal to
Graph's, and no mailbox may need its owner. Exit code 0 only then.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from mailsync.mailboxes.records import MailboxState
from tests.e2e.backfill import running_sandbox
from tests.e2e.product import differences

ADDRESS = "chaos@fabrikam.com"
_TIMEOUT = 3_600
_POLL_EVERY = 20


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.chaos", description=__doc__)
    parser.add_argument("--messages", type=int, default=2_000, help="in the mailbox (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what strikes (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.1, help="of answers that are struck (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "SANDBOX_HOME": home,
            "SANDBOX_QUEUE_VISIBILITY_SECONDS": "10",
            "POLL_INTERVAL_WITH_PUSH_SECONDS": "5",
        }
        with running_sandbox(Path(home)) as product:
            return _run(product, options)


def _run(product, options):
    started = time.monotonic()
    product.generate(ADDRESS, options.messages, days=29, seed=options.seed)
    product.fault("delta-cap", cap=options.messages * 3 // 4, address=ADDRESS)
    identity = product.connect(ADDRESS)
    product.fault("graph-chaos", seed=options.seed, share=options.share, address=ADDRESS)
    _settle(product, identity, started)
    changed = list(product.truth(ADDRESS))[:30]
    for message_id in changed[:20]:
        product.control.call("POST", f"/mailboxes/{ADDRESS}/messages/{message_id}", {"isRead": True})
    for message_id in changed[20:]:
        product.control.call("POST", f"/mailboxes/{ADDRESS}/messages/{message_id}/delete")
    product.generate(ADDRESS, 20, days=1, seed=options.seed + 1)
    _settle(product, identity, started)
    product.clear_faults()
    _settle(product, identity, started)
    box, rows = product.mailbox(identity), product.rows(identity)
    problems = differences([row for row in rows if "removedDateTime" not in row], product.truth(ADDRESS))
    removed = sum("removedDateTime" in row for row in rows)
    if removed != 10:
        problems.append(f"{removed} rows are marked removed, not 10")
    if box.state is not MailboxState.ACTIVE:
        problems.append(f"the mailbox is {box.state}")
    for problem in problems[:20]:
        _say(started, problem)
    _say(started, f"{len(rows)} rows, {len(problems)} differences, last error {box.problem or 'none'}")
    return 1 if problems else 0


def _settle(product, identity, started):
    """Polls until a run that began after now has read everything."""
    begun, polled = time.time(), 0.0
    while True:
        box = product.mailbox(identity)
        since = box.last_sync_started_at
        read = since is not None and since.timestamp() > begun and not box.problem
        if read and all(folder.complete for folder in box.folders) and not box.lease:
            return
        if time.monotonic() - started > _TIMEOUT:
            raise SystemExit("it takes too long")
        if time.monotonic() - polled > _POLL_EVERY:
            polled = time.monotonic()
            _say(started, f"{box.messages} messages, {box.problem or 'no error'}")
        product.poll()
        time.sleep(1)


def _say(started, text):
    print(f"{time.monotonic() - started:6.0f} s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
