"""`python -m sandbox run`: the whole product on this machine, from consent to rows, then left running."""

import sys
import time
from pathlib import Path

from mailsync.terminal import say
from sandbox.browser import Browser
from sandbox.client import Control, mail_files, mailsync_app, message_rows
from sandbox.commands import approve, connect_mailbox, deliver_files, ensure_account
from sandbox.show import line
from sandbox.state import PROJECT, SandboxError, home
from sandbox.up import Sandbox, stop_on_signals

ADDRESS = "hello@contoso.com"
OWN_CONSENT = "hello@fabrikam.com"
SAMPLES = PROJECT / "sandbox/samples"
_TIMEOUT = 90


def run(port: int | None, *, once: bool) -> int:
    """Shows everything once; with `once` ends then, 0 only when all rows are there."""
    stop_on_signals()
    say("Siftrock Inbox Connector, on this machine alone: nothing here reaches Microsoft.", "")
    started = time.monotonic()
    say("Starting storage, a stand-in for Microsoft 365, and the Functions host …")
    try:
        with Sandbox(port) as sandbox:
            say(f"Running after {time.monotonic() - started:.0f} s.")
            mailbox_id, seen = _demonstrate(sandbox)
            if once:
                return 0
            say(*_next_steps(sandbox).split("\n"))
            _follow(sandbox, mailbox_id, seen)
    except KeyboardInterrupt:
        say("")
        say("Stopped.")
    return 0


def _demonstrate(sandbox: Sandbox) -> tuple[str, set[str]]:
    """Returns the mailbox and the ids of the messages that were shown."""
    state = sandbox.state
    control = Control(state)
    files = mail_files([SAMPLES])
    before, after = files[: len(files) // 2], files[len(files) // 2 :]
    delivered, _ = deliver_files(control, ADDRESS, before)
    account = ensure_account(state, ADDRESS)
    say(f"{delivered} messages wait in the inbox of {ADDRESS}; account {account} admits its domain.")
    with Browser(state.ca_file) as browser:
        approve(browser, state, control, ADDRESS)
    say("As in most organizations, its users may not consent to this: its administrator has approved the app, on the")
    say(f"page {state.app}/connect/approval and Microsoft's.")
    mailbox_id = connect_mailbox(state, control, ADDRESS)
    say("Its owner has signed in, without a consent page, over HTTP. The first sync brings what was there:", "")
    seen: set[str] = set()
    _show_rows(sandbox, mailbox_id, seen, len(before))
    _await_push(sandbox, mailbox_id)
    say("")
    say(f"{len(after)} more arrive, one after another. Graph notifies the app of each; no poll is due for an hour:", "")
    for file in after:
        began = time.monotonic()
        delivered, _ = deliver_files(control, ADDRESS, [file])
        _show_rows(sandbox, mailbox_id, seen, len(seen) + delivered, since=began)
    say("")
    own = _connect_by_own_consent(sandbox, control)
    say(f"In the organization of {OWN_CONSENT} users may consent: its owner has, on Microsoft's page.")
    say(f"That mailbox is {own}.")
    say("")
    say(f"All {len(seen)} messages are in table `messages`, each once.")
    return mailbox_id, seen


def _connect_by_own_consent(sandbox: Sandbox, control: Control) -> str:
    user = control.call("POST", "/users", {"address": OWN_CONSENT})
    control.call("POST", "/tenants", {"tenantId": user["tenantId"], "consentAllowed": True})
    return connect_mailbox(sandbox.state, control, OWN_CONSENT)


def _follow(sandbox: Sandbox, mailbox_id: str, seen: set[str]) -> None:
    """Shows rows that come later, for ever. Raises SandboxError when a process dies."""
    mailboxes, count = mailsync_app(sandbox.state).mailboxes, len(seen)
    while True:
        sandbox.check()
        mailbox = mailboxes.get(mailbox_id)
        if mailbox and mailbox.messages != count:
            count = mailbox.messages
            show_new(sandbox, mailbox_id, seen)
        time.sleep(0.5)


def _await_push(sandbox: Sandbox, mailbox_id: str) -> None:
    """Waits until the mailbox is subscribed to. Raises SandboxError when that takes too long."""
    mailboxes = mailsync_app(sandbox.state).mailboxes
    deadline = time.monotonic() + _TIMEOUT
    while (mailbox := mailboxes.get(mailbox_id)).push.state.shown != "healthy":
        sandbox.check()
        if time.monotonic() > deadline:
            push = mailbox.push
            raise SandboxError(f"push is {push.state.shown} after {_TIMEOUT} s: {push.reason or 'no reason yet'}")
        time.sleep(0.1)


def _show_rows(sandbox: Sandbox, mailbox_id: str, seen: set[str], wanted: int, *, since: float | None = None) -> None:
    """Prints rows as they arrive until `wanted` are there, with the seconds `since` where that is given.

    Raises SandboxError when that takes too long.
    """
    deadline = time.monotonic() + _TIMEOUT
    while len(seen) < wanted:
        sandbox.check()
        if time.monotonic() > deadline:
            raise SandboxError(
                f"{len(seen)} of {wanted} messages are in the table after {_TIMEOUT} s; see {home() / 'logs'}"
            )
        show_new(sandbox, mailbox_id, seen, since)
        time.sleep(0.05)


def show_new(sandbox: Sandbox, mailbox_id: str, seen: set[str], since: float | None = None) -> None:
    rows = list(message_rows(sandbox.state, mailbox_id))
    if len(rows) > len({row["messageId"] for row in rows}):
        raise SandboxError("a message is in the table twice")
    for row in rows:
        if row["messageId"] not in seen:
            seen.add(row["messageId"])
            took = f"after {time.monotonic() - since:.1f} s  " if since else ""
            say(f"  {line(row, took)}")


def _next_steps(sandbox: Sandbox) -> str:
    python = Path(sys.executable)
    name = python.relative_to(PROJECT) if python.is_relative_to(PROJECT) else python
    return f"""
It keeps running; Ctrl-C ends it. What to try next:

  {sandbox.state.app}/connect
      The page that owners meet. Sign in as {ADDRESS}; anybody else of contoso.com
      can once mail was delivered to their address (the command below).
      Anybody else of fabrikam.com meets Microsoft's consent page, as its users may consent;
      in a third organization Microsoft asks for the administrator first.
      The browser warns, there and at the sign-in: the certificate is the sandbox's own.
  {name} -m sandbox deliver {ADDRESS} FILE…      mail of yours (.eml, mbox, folders): its rows show here
  {name} -m sandbox messages {ADDRESS}           what Table Storage holds; --json for all of it
  {name} -m sandbox fault list                           throttling, outages, lost grants, lost notifications
  {name} -m sandbox --help                               everything else

Logs: {home() / "logs"}"""
