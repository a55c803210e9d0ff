"""`python -m bench.tick_child tick|help`: one instance of those that wake what is due; prints what it did as JSON.

`tick` runs the timer and then takes shares off the queue, as the Functions host gives them to a worker; `help` takes
shares only. Hints are not run.
"""

import base64
import json
import os
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

from mailsync.adapters.storage.services import QUEUE, queue_service
from mailsync.bootstrap import App
from mailsync.errors import RetryLater
from mailsync.schedule.hints import decode_hint
from mailsync.schedule.records import Hint
from mailsync.settings import Settings

_BATCH = 8
"""`batchSize` of host.json; below half of it, the host asks for more."""
_EVERY = 1
"""Seconds between two requests, host.json's `maxPollingInterval`: Azurite looks through the whole queue for each."""


def main() -> int:
    """The command."""
    app = App(Settings.load(os.environ))
    app.poller.sweep()  # opens connections, as an instance that is warm has them
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.time()
    own = app.poller.tick() if sys.argv[1] == "tick" else 0
    ended = time.time()
    woken, last = _take(app)
    print(json.dumps({"started": started, "ended": max(ended, last), "own": own, "cpu": time.process_time()} | woken))
    return 0


def _take(app: App) -> tuple[dict[str, int], float]:
    """Wakes shares until hints come instead, which are younger: how many, of how many mailboxes; when it was done."""
    queue = queue_service(app.settings.storage).get_queue_client(QUEUE)
    waking: list[Future[tuple[int, float]]] = []
    only_hints = False
    with ThreadPoolExecutor(_BATCH) as pool:
        while not only_hints:
            time.sleep(_EVERY)
            if sum(not one.done() for one in waking) > _BATCH // 2:
                continue
            messages = list(queue.receive_messages(max_messages=_BATCH, visibility_timeout=300))
            taken = [decode_hint(base64.b64decode(message.content)) for message in messages]
            shares = [hint for hint in taken if hint.is_share]
            waking += [pool.submit(_wake, app, share) for share in shares]
            only_hints = bool(taken) and not shares
    done = [one.result() for one in waking]
    woken = {"shares": len(done), "woken": sum(count for count, _ in done)}
    return woken, max((at for _, at in done), default=0.0)


def _wake(app: App, share: Hint) -> tuple[int, float]:
    """As the host does: what fails is done again. How many were woken, and when that was done."""
    try:
        return app.poller.wake_share(share), time.time()
    except RetryLater as error:
        print(f"a share is done again: {error}", file=sys.stderr)
        return _wake(app, share)


if __name__ == "__main__":
    sys.exit(main())
