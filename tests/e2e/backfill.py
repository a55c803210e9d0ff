"""`python -m tests.e2e.backfill`: huge mailboxes backfilled while the worker is killed and new mail arrives.

One mailbox for each way in which Graph's filtered delta query may choose the 5,000 messages it returns: random
ones, the newest, the oldest. The host is killed (SIGKILL) at even steps of the work and started again. At the end
every message must be in the table once and equal to Graph's, and every cursor at its end; new mail must not have
waited for the history. Exit code 0 only then.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from sandbox.state import PROJECT, load_state
from tests.e2e.product import Product, differences

ORDERS = ("random", "newest", "oldest")
_CAP = 5_000
_UNCOUNTED = 200
"""Two pages: one written, one on its way."""
_NEW_MAIL_EVERY = 5
_TIMEOUT = 1_800


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.backfill", description=__doc__)
    parser.add_argument("--messages", type=int, default=12_000, help="in each mailbox (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=5, help="how often the host is killed (default: %(default)s)")
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=ORDERS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"SANDBOX_HOME": home, "SANDBOX_QUEUE_VISIBILITY_SECONDS": "10"}
        with running_sandbox(Path(home)) as product:
            return Soak(product, options).run()


@contextlib.contextmanager
def running_sandbox(home):
    """`sandbox up --restart-host` on a port of its own."""
    command = [sys.executable, "-m", "sandbox", "up", "--restart-host", "--ready-file", str(home / "ready.json")]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL)
    try:
        while not (home / "ready.json").exists():
            if process.poll() is not None:
                sys.exit("the sandbox did not start")
            time.sleep(0.1)
        yield Product(load_state())
    finally:
        process.terminate()
        process.wait(60)


class Soak:
    """The mailboxes, what is done to them, and what is seen of it."""

    def __init__(self, product, options):
        self._product = product
        self._messages = options.messages
        self._kills = options.kills
        self._addresses = {order: f"{order}@fabrikam.com" for order in options.orders}
        self._ids = {}
        self._waits = {order: [] for order in options.orders}
        self._started = time.monotonic()
        self._over = threading.Event()
        self._new = dict.fromkeys(options.orders, 0)

    def run(self):
        for seed, (order, address) in enumerate(self._addresses.items()):
            self._product.generate(address, self._messages, days=29, seed=seed)
            self._product.fault("delta-cap", order=order, address=address)
        self._say(f"{self._messages} messages in each of {len(self._addresses)} mailboxes")
        for order, address in self._addresses.items():
            self._ids[order] = self._product.connect(address)
        postmen = [threading.Thread(target=self._deliver_new_mail, args=(order,)) for order in self._addresses]
        for postman in postmen:
            postman.start()
        try:
            self._watch()
        finally:
            self._over.set()
            for postman in postmen:
                postman.join()
        return self._judge()

    def _watch(self):
        """Kills the host at even steps of the work until everything is read."""
        total, kills = self._messages * len(self._ids), 0
        while not all(self._is_complete(identity) for identity in self._ids.values()):
            if time.monotonic() - self._started > _TIMEOUT:
                raise SystemExit("it takes too long")
            stored = sum(self._mailbox(identity).messages for identity in self._ids.values())
            if kills < self._kills and stored >= total * (kills + 1) / (self._kills + 1):
                kills += 1
                self._say(f"kill {kills} of {self._kills} at {stored} of {total} messages")
                self._kill()
            self._say_progress(stored, total)
            self._over.wait(1)
        self._say(f"all read, after {kills} kills")
        self._kills_done = kills

    def _kill(self):
        before = load_state().pids["host"]
        os.kill(before, signal.SIGKILL)
        while True:
            with contextlib.suppress(Exception):
                if load_state().pids["host"] != before:
                    return
            time.sleep(0.1)

    def _deliver_new_mail(self, order):
        """One new message every few seconds, as long as the history lasts; notes how long each took to its row."""
        address, waiting, delivered_at = self._addresses[order], {}, 0.0
        while not self._over.is_set() or waiting:
            now = time.monotonic()
            if now - delivered_at > _NEW_MAIL_EVERY and not self._over.is_set():
                self._new[order] += 1
                message = f"From: new@contoso.com\nTo: {address}\nSubject: New {self._new[order]}\n\nJust sent.\n"
                answer = self._product.control.send("POST", f"/mailboxes/{address}/deliver", message.encode())
                waiting[answer["ids"][0]] = delivered_at = now
            for message_id in self._product.app.messages.known(self._ids[order], waiting):
                self._waits[order].append(time.monotonic() - waiting.pop(message_id))
            if waiting and now - min(waiting.values()) > 300:
                return
            self._over.wait(0.25) if not self._over.is_set() else time.sleep(0.25)

    def _judge(self):
        problems = []
        for order, identity in self._ids.items():
            truth, rows = self._product.truth(self._addresses[order]), self._product.rows(identity)
            found = differences(rows, truth)
            found += _record_problems(self._mailbox(identity), len(truth), self._kills)
            if self._kills_done < self._kills:
                found.append(f"all was read after {self._kills_done} of {self._kills} kills")
            waits = sorted(self._waits[order])
            if len(waits) < self._new[order]:
                found.append(f"{self._new[order] - len(waits)} new messages did not arrive while the history was read")
            shown = f"median {waits[len(waits) // 2]:.1f} s, longest {waits[-1]:.1f} s" if waits else "none"
            self._say(f"{order}: {len(rows)} rows for {len(truth)} messages; {len(waits)} new ones waited {shown}")
            problems += [f"{order}: {problem}" for problem in found]
        for problem in problems[:20]:
            print(f"  {problem}", flush=True)
        self._say("everything is there, once and as Graph has it" if not problems else f"{len(problems)} problems")
        return 1 if problems else 0

    def _is_complete(self, identity):
        mailbox = self._mailbox(identity)
        return bool(mailbox.folders) and all(folder.complete for folder in mailbox.folders)

    def _mailbox(self, identity):
        return self._product.mailbox(identity)

    def _say_progress(self, stored, total):
        reading = [
            f"{order} {folder.enumerated}+{folder.history.read if folder.history else 0}"
            for order, identity in self._ids.items()
            for folder in self._mailbox(identity).folders
        ]
        if int(time.monotonic() - self._started) % 10 == 0:
            self._say(f"{stored} of {total} stored ({', '.join(reading)}: delta + history)")

    def _say(self, text):
        print(f"{time.monotonic() - self._started:6.0f} s  {text}", flush=True)


def _record_problems(mailbox, messages, kills):
    found = []
    for folder in mailbox.folders:
        if not folder.cursor or "deltatoken" not in folder.cursor.lower():
            found.append(f"the cursor of {folder.name} is no delta link")
        if folder.generation != 1:
            found.append(f"{folder.name} was enumerated {folder.generation} times")
        if messages > _CAP and not (folder.history and folder.history.done):
            found.append(f"the history of {folder.name} is not done")
    # Rows that a run has written and not counted yet when it is killed stay uncounted.
    if not messages - kills * _UNCOUNTED <= mailbox.messages <= messages or mailbox.removed:
        found.append(f"the record counts {mailbox.messages} messages, {mailbox.removed} removed")
    return found


if __name__ == "__main__":
    sys.exit(main())
