"""A whole sandbox with one mailbox that has been connected and read, and what Graph would post of it."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.services import Services
from mailsync.mailboxes.ids import MailboxId
from mailsync.mailboxes.ports import MailboxStore
from mailsync.push import client_state
from mailsync.push.ports import SigningKeys
from sandbox.client import Control, mail_files, mailsync_app
from sandbox.commands import connect_mailbox, deliver_files
from sandbox.run import ADDRESS, SAMPLES
from sandbox.state import State
from sandbox.up import Sandbox

_TIMEOUT = 60


@contextmanager
def connected(services: Services) -> Iterator[tuple[State, str]]:
    """The sandbox's state and the mailbox's id. Its Functions host has ended: whatever runs now, the bench runs."""
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
        os.kill(sandbox.state.pids["host"], signal.SIGTERM)
        control.call("POST", "/faults", {"name": "notification-drop"})
        yield sandbox.state, identity


def current_nonce(mailboxes: MailboxStore, mailbox_id: str) -> str:
    """The nonce of the mailbox's first subscription. Raises RuntimeError where it has none."""
    mailbox = mailboxes.get(mailbox_id)
    kept = [folder.subscription for folder in mailbox.folders if folder.subscription] if mailbox else []
    if not kept:
        raise RuntimeError("the mailbox has no subscription")
    return kept[0].nonce


def notification(keys: SigningKeys, mailbox_id: str, message_id: str, nonce: str = "bench") -> bytes:
    """One POST of Graph's: a message has been created. `nonce`: of the subscription that tells of it.

    https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
    """
    owner = MailboxId.parse(mailbox_id)
    resource = f"Users/{owner.user}/Messages/{message_id}"
    item: dict[str, Any] = {
        "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        "subscriptionExpirationDateTime": "2100-01-01T00:00:00.0000000Z",
        "clientState": client_state.make(keys, mailbox_id, nonce)[0],
        "changeType": "created",
        "resource": resource,
        "tenantId": owner.tenant,
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Message",
            "@odata.id": resource,
            "@odata.etag": 'W/"CQAAABYAAAD"',
            "id": message_id,
        },
    }
    return json.dumps({"value": [item]}).encode()
