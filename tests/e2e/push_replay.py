"""`python -m tests.e2e.push_replay`: one captured notification, posted again and again, and what others notice of it.

Each POST names fifty messages that there are not. It comes as a change notification, as a lifecycle notification, and
as one of a subscription that has been replaced since; meanwhile other mailboxes get mail. Exit code 0 only if all of
that is in the table in time, and its own mailbox is healthy in the end. Everything stays on this machine's loopback.
"""

import argparse
import asyncio
import json
import sys
import uuid
from functools import partial

from sandbox.state import PROJECT
from tests.e2e import push
from tests.e2e.push_flood import Poster

CAPTURED = "captured@replay.example"
CONNECTIONS = 16


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.push_replay", description=__doc__)
    parser.add_argument("--posts", type=int, default=300, help="of each kind (default: %(default)s)")
    parser.add_argument("--ids", type=int, default=50, help="invented ids in each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="that each kind takes (default: %(default)s)")
    parser.add_argument("--mailboxes", type=int, default=8, help="others, each of which gets mail meanwhile")
    parser.add_argument("--rate", type=float, default=4, help="messages a second, to all others together")
    parser.add_argument("--within", type=float, default=3, help="seconds that any of them may take")
    options = parser.parse_args()
    with push.sandbox(POLL_INTERVAL_SECONDS="3600") as (_, product):
        return asyncio.run(Replay(product, options).run())


class Replay:
    """The three kinds, one after the other, and what is seen of each."""

    def __init__(self, product, options):
        self._product = product
        self._options = options
        self._others = [f"owner{number}@replay.example" for number in range(options.mailboxes)]
        self._wrong = []

    async def run(self):
        self._ids = push.connect(self._product, [CAPTURED, *self._others])
        captured = push.genuine(self._product, self._ids[CAPTURED])
        await self._replay("change notifications", "/graph/notifications", captured)
        asked = captured | {"changeType": None, "lifecycleEvent": "reauthorizationRequired"}
        await self._replay("lifecycle notifications", "/graph/lifecycle", asked)
        await asyncio.to_thread(self._replace_subscription)
        await self._replay("of a subscription of before", "/graph/notifications", captured)
        self._wrong += push.problems(self._product, self._ids)
        self._product.until(lambda: push.is_healthy(self._product, self._ids[CAPTURED]), "push is healthy")
        for problem in self._wrong[:20]:
            print(f"  {problem}")
        return 1 if self._wrong else 0

    async def _replay(self, what, path, item):
        options, post = self._options, push.Post(self._product)
        bodies = [self._body(item) for _ in range(options.posts)]
        name, content = push.mails([PROJECT / "sandbox/samples/01-plain-reply.eml"])[0]
        count = round((options.seconds + 5) * options.rate)
        letters = [(self._others[number % len(self._others)], name, content) for number in range(count)]
        delivering = asyncio.create_task(asyncio.to_thread(post.deliver_all, letters, options.rate))
        with push.delta_calls(self._product, CAPTURED) as calls:
            async with Poster(self._product.state, path, CONNECTIONS) as poster:
                answers = await poster.post_all(bodies, options.posts / options.seconds, options.seconds)
            await delivering
            wait = partial(push.wait_for_all, self._product, self._ids, post)
            rows = await asyncio.to_thread(wait)
            waits = push.waits(post, rows, 1)
            try:
                await asyncio.to_thread(push.settle, self._product, calls)
            except AssertionError as error:
                self._wrong.append(f"{what}: {error}")
            self._show(what, answers, waits, calls())
        if len(waits) < post.count:
            self._wrong.append(f"{what}: {post.count - len(waits)} messages of others did not come")
        if waits and waits[-1] > options.within:
            self._wrong.append(f"{what}: mail of others came too late")
        if any(status != 202 for status, _ in answers):
            self._wrong.append(f"{what}: not all were answered by 202")

    def _body(self, item):
        """The captured item, as often as ids are invented for it."""
        ids = [f"AAkALg{uuid.uuid4().hex}" for _ in range(self._options.ids)]
        return json.dumps({"value": [item | {"resourceData": {"id": message_id}} for message_id in ids]}).encode()

    def _replace_subscription(self):
        identity = self._ids[CAPTURED]
        before = self._product.mailbox(identity).folders[0].subscription.id
        self._product.fault("subscription-remove", address=CAPTURED, lifecycle=True)

        def replaced():
            kept = self._product.mailbox(identity).folders[0].subscription
            return kept and kept.id != before and push.is_healthy(self._product, identity)

        self._product.until(replaced, "another subscription")

    @staticmethod
    def _show(what, answers, waits, calls):
        acknowledged = push.percentile(sorted(seconds for _, seconds in answers), 0.99)
        print(f"{len(answers)} POSTs, {what}: acknowledged within {acknowledged:.3f} s (p99)")
        print(
            f"  {calls} delta calls of its own mailbox; {len(waits)} messages of others: {push.spread(waits)}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
