"""`python -m sandbox run`: the whole product on this machine, from consent to rows, then left running."""

import sys
import time
from pathlib import Path

from sandbox.client import Control, fire, mail_files, message_rows
from sandbox.commands import POLL_TIMER, connect_mailbox, deliver_files, ensure_account
from sandbox.show import line
from sandbox.state import PROJECT, SandboxError, home
from sandbox.up import Sandbox, stop_on_signals

ADDRESS = "hello@contoso.com"
SAMPLES = PROJECT / "sandbox/samples"
_TIMEOUT = 90


def run(port: int | None, *, once: bool) -> int:
    """Shows everything once; with `once` ends then, 0 only when all rows are there."""
    stop_on_signals()
    print("Siftrock Inbox Connector, on this machine alone: nothing here reaches Microsoft.\n")
    started = time.monotonic()
    _say("Starting storage, a stand-in for Microsoft 365, and the Functions host …")
    try:
        with Sandbox(port) as sandbox:
            _say(f"Running after {time.monotonic() - started:.0f} s.")
            _demonstrate(sandbox)
            if once:
                return 0
            print(_next_steps(sandbox), flush=True)
            sandbox.watch()
    except KeyboardInterrupt:
        print()
        _say("Stopped.")
    return 0


def _demonstrate(sandbox: Sandbox) -> None:
    state = sandbox.state
    control = Control(state)
    files = mail_files([SAMPLES])
    before, after = files[: len(files) // 2], files[len(files) // 2 :]
    delivered, _ = deliver_files(control, ADDRESS, before)
    account = ensure_account(state, ADDRESS)
    _say(f"{delivered} messages wait in the inbox of {ADDRESS}; account {account} admits its domain.")
    mailbox_id = connect_mailbox(state, control, ADDRESS)
    _say("Its owner has given consent on the pages, over HTTP. The first sync brings what was there:\n")
    seen: set[str] = set()
    _show_rows(sandbox, mailbox_id, seen, len(before))
    delivered, _ = deliver_files(control, ADDRESS, after)
    print()
    _say(f"{delivered} more arrive. The poll timer, due each minute, is run now and finds them:\n")
    _show_rows(sandbox, mailbox_id, seen, len(files), poll=True)
    print()
    _say(f"All {len(seen)} messages are in table `messages`, each once.")


def _show_rows(sandbox: Sandbox, mailbox_id: str, seen: set[str], wanted: int, *, poll: bool = False) -> None:
    """Prints rows as they arrive until `wanted` are there. Raises SandboxError when that takes too long."""
    deadline = time.monotonic() + _TIMEOUT
    fired = 0.0
    while len(seen) < wanted:
        sandbox.check()
        if time.monotonic() > deadline:
            raise SandboxError(
                f"{len(seen)} of {wanted} messages are in the table after {_TIMEOUT} s; see {home() / 'logs'}"
            )
        if poll and time.monotonic() - fired > 2:  # a mailbox polled a moment ago is not due yet
            fire(sandbox.state, POLL_TIMER)
            fired = time.monotonic()
        rows = list(message_rows(sandbox.state, mailbox_id))
        if len(rows) > len({row["messageId"] for row in rows}):
            raise SandboxError("a message is in the table twice")
        for row in rows:
            if row["messageId"] not in seen:
                seen.add(row["messageId"])
                print(f"  {line(row)}", flush=True)
        time.sleep(0.2)


def _next_steps(sandbox: Sandbox) -> str:
    python = Path(sys.executable)
    name = python.relative_to(PROJECT) if python.is_relative_to(PROJECT) else python
    return f"""
It keeps running; Ctrl-C ends it. What to try next:

  {sandbox.state.app}/connect
      The page that owners meet. Sign in as {ADDRESS} or any address of contoso.com.
      The browser warns, there and at the sign-in: the certificate is the sandbox's own.
  {name} -m sandbox deliver {ADDRESS} FILE…      mail of yours (.eml, mbox, folders)
  {name} -m sandbox messages {ADDRESS}           what Table Storage holds; --json for all of it
  {name} -m sandbox fault list                           throttling, outages, lost grants
  {name} -m sandbox --help                               everything else

Logs: {home() / "logs"}"""


def _say(text: str) -> None:
    print(text, flush=True)
