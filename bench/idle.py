"""Row `idle`: the remote calls of a poll that finds nothing, counted in the program on the whole sandbox."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import Bound, Figure, Say
from bench.services import Services, measured
from sandbox.client import Control, mail_files, mailsync_app
from sandbox.commands import connect_mailbox, deliver_files
from sandbox.run import ADDRESS, SAMPLES
from sandbox.state import State
from sandbox.up import Sandbox

MOST_CALLS = 4
_TIMEOUT = 60


def idle(services: Services, _number: int, say: Say) -> list[Figure]:
    """Calls of a poll by a warm instance: all of them, Graph's, Key Vault's and Entra's."""
    with connected(services) as (state, identity):
        calls = measured("bench.idle_child", identity, environment=state.environment)
    say(f"  first poll of an instance: {calls['cold']}; the next: {calls['warm']}")
    warm: dict[str, int] = calls["warm"]
    elsewhere = warm.get("keyVault", 0) + warm.get("entra", 0)
    return [
        Figure("idle poll: remote calls", (float(sum(warm.values())),), Bound(most=MOST_CALLS), calls),
        Figure("idle poll: calls to Graph", (float(warm.get("graph", 0)),), Bound(least=1, most=1)),
        Figure("idle poll: calls to Key Vault and Entra", (float(elsewhere),), Bound(most=0)),
    ]


@contextmanager
def connected(services: Services) -> Iterator[tuple[State, str]]:
    """A sandbox of its own with one mailbox, connected and read; its app polls it no more."""
    os.environ |= {"SANDBOX_HOME": str(services.home / "sandbox"), "POLL_INTERVAL_SECONDS": "86400"}
    with Sandbox() as sandbox:
        control = Control(sandbox.state)
        deliver_files(control, ADDRESS, mail_files([SAMPLES]))
        identity = connect_mailbox(sandbox.state, control, ADDRESS)
        mailboxes = mailsync_app(sandbox.state).mailboxes
        deadline = time.monotonic() + _TIMEOUT
        while mailboxes.get(identity).last_success_at is None:
            sandbox.check()
            if time.monotonic() > deadline:
                raise RuntimeError("the first sync does not end")
            time.sleep(0.2)
        yield sandbox.state, identity
