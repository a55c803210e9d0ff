"""The composition root: builds the program on its adapters, each part when it is first asked for.

Cold start is a deadline, so an adapter and its SDK are imported by the property that builds it.
"""

import logging
import os
import time
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from mailsync.clock import Clock, utc_now
from mailsync.once import once
from mailsync.settings import Settings

if TYPE_CHECKING:
    from mailsync.accounts.ports import AccountStore
    from mailsync.adapters.graph.transport import GraphTransport
    from mailsync.connect.approval import Approvals
    from mailsync.connect.connector import Connector
    from mailsync.connect.disconnect import Disconnector
    from mailsync.mailboxes.ports import MailboxStore
    from mailsync.one_time import OneTimeStore
    from mailsync.push.keeper import SubscriptionKeeper
    from mailsync.push.key_rotation import KeyRotation
    from mailsync.push.notifications import Notifications
    from mailsync.push.ports import SigningKeys, SubscriptionService
    from mailsync.schedule.poller import Poller
    from mailsync.schedule.ports import AsyncHintQueue, HintQueue
    from mailsync.sync.ports import MailService, MessageStore
    from mailsync.sync.run import Limits
    from mailsync.sync.synchronizer import Synchronizer
    from mailsync.sync.worker import Worker
    from mailsync.tokens.keeper import TokenKeeper
    from mailsync.tokens.ports import Directory, GetToken, TokenVault


_making = Lock()


def app() -> "App":
    """The program on the settings of the environment, one for all threads. Raises Misconfigured."""
    with _making:
        return _app()


@cache
def _app() -> "App":
    return App(Settings.load(os.environ))


class App:
    """The program's parts, built once each."""

    def __init__(self, settings: Settings, **parts: object) -> None:
        """`parts` stand in for those of the same names, and all others are built on them: for tests and measurements.

        Raises TypeError for a name that no part has.
        """
        logging.getLogger("azure").setLevel(logging.WARNING)  # at INFO the SDKs log every request
        self.settings = settings
        for name, part in parts.items():
            if name.startswith("_") or not hasattr(type(self), name):
                raise TypeError(f"the program has no part {name}")
            setattr(self, name, part)

    @once
    def clock(self) -> Clock:
        """The time."""
        return utc_now

    @once
    def sleep(self) -> Callable[[float], None]:
        """What waits, for seconds."""
        return time.sleep

    @once
    def random(self) -> Callable[[int], bytes]:
        """Bytes that nobody can guess, as many as are asked for."""
        import secrets

        return secrets.token_bytes

    @once
    def limits(self) -> "Limits":
        """What one run may take."""
        from mailsync.sync.run import Limits

        return Limits()

    @once
    def mailboxes(self) -> "MailboxStore":
        """Mailbox records and the poll schedule."""
        from mailsync.adapters.storage.mailboxes import TableMailboxStore

        return TableMailboxStore(self.settings.storage)

    @once
    def messages(self) -> "MessageStore":
        """Message rows."""
        from mailsync.adapters.storage.messages import TableMessageStore

        return TableMessageStore(self.settings.storage)

    @once
    def accounts(self) -> "AccountStore":
        """Siftrock accounts."""
        from mailsync.adapters.storage.accounts import TableAccountStore

        return TableAccountStore(self.settings.storage)

    @once
    def one_time(self) -> "OneTimeStore":
        """What is used once: pending sign-ins, and the lock on the signing keys."""
        from mailsync.adapters.storage.one_time import TableOneTimeStore

        return TableOneTimeStore(self.settings.storage)

    @once
    def queue(self) -> "HintQueue":
        """The hint queue."""
        from mailsync.adapters.storage.queue import StorageHintQueue

        return StorageHintQueue(self.settings.storage)

    @once
    def vault(self) -> "TokenVault":
        """Refresh tokens."""
        from mailsync.adapters.key_vault.tokens import KeyVaultTokenVault

        return KeyVaultTokenVault(self.settings)

    @once
    def signing_keys(self) -> "SigningKeys":
        """The keys that sign clientStates."""
        from mailsync.adapters.key_vault.signing_keys import KeyVaultSigningKeys

        return KeyVaultSigningKeys(self.settings, lambda: self.one_time, self.clock)

    @once
    def key_rotation(self) -> "KeyRotation":
        """The monthly rotation of the signing keys."""
        from mailsync.push.key_rotation import KeyRotation

        return KeyRotation(self.signing_keys, self.mailboxes, self.clock)

    @once
    def notification_queue(self) -> "AsyncHintQueue":
        """The hint queue for the webhook, which answers on an event loop."""
        from mailsync.adapters.storage.async_queue import AsyncStorageHintQueue

        return AsyncStorageHintQueue(self.settings.storage)

    @once
    def notifications(self) -> "Notifications":
        """The webhook's work."""
        from mailsync.adapters.graph import notifications as reader
        from mailsync.push.notifications import Notifications

        return Notifications(lambda: self.signing_keys, lambda: self.notification_queue, reader, self.clock)

    @once
    def directory(self) -> "Directory":
        """Entra."""
        from mailsync.adapters.entra.directory import EntraDirectory

        return EntraDirectory(self.settings, clock=self.clock)

    @once
    def tokens(self) -> "TokenKeeper":
        """Access tokens."""
        from mailsync.tokens.keeper import TokenKeeper

        return TokenKeeper(self.directory, self.vault, self.clock)

    @once
    def graph(self) -> "GraphTransport":
        """The way to Graph, for every user's mail and subscriptions."""
        from mailsync.adapters.graph.transport import GraphTransport
        from mailsync.adapters.http import session

        return GraphTransport(endpoint=self.settings.graph_endpoint, session=session())

    def mail(self, get_token: "GetToken", fresh_token: "GetToken | None" = None) -> "MailService":
        """Graph as the user whose tokens these are."""
        from mailsync.adapters.graph.mail import GraphClient

        return GraphClient(self.graph.as_user(get_token, fresh_token))

    def subscriptions(self, get_token: "GetToken", fresh_token: "GetToken | None" = None) -> "SubscriptionService":
        """Graph's subscriptions of the user whose tokens these are."""
        from mailsync.adapters.graph.subscriptions import GraphSubscriptions

        return GraphSubscriptions(
            self.graph.as_user(get_token, fresh_token),
            notification_url=self.settings.notification_url,
            lifecycle_url=self.settings.lifecycle_url,
        )

    @once
    def keeper(self) -> "SubscriptionKeeper":
        """Makes and renews subscriptions."""
        from mailsync.push.keeper import SubscriptionKeeper

        return SubscriptionKeeper(
            self.settings,
            keys=self.signing_keys,
            subscriptions=self.subscriptions,
            tokens=self.tokens,
            clock=self.clock,
        )

    @once
    def connector(self) -> "Connector":
        """The sign-in flow."""
        from mailsync.connect.connector import Connector

        return Connector(
            self.settings,
            directory=self.directory,
            mail=self.mail,
            vault=self.vault,
            mailboxes=self.mailboxes,
            accounts=self.accounts,
            signins=self.one_time,
            queue=self.queue,
            random=self.random,
            clock=self.clock,
            sleep=self.sleep,
        )

    @once
    def approvals(self) -> "Approvals":
        """Administrators' approvals."""
        from mailsync.connect.approval import Approvals

        return Approvals(self.settings, self.directory, self.clock)

    @once
    def disconnector(self) -> "Disconnector":
        """Disconnects mailboxes."""
        from mailsync.connect.disconnect import Disconnector

        return Disconnector(
            self.mailboxes,
            vault=self.vault,
            tokens=self.tokens,
            keeper=self.keeper,
            clock=self.clock,
            sleep=self.sleep,
        )

    @once
    def poller(self) -> "Poller":
        """The timer's work."""
        from mailsync.schedule.poller import Poller

        return Poller(self.mailboxes, self.one_time, self.queue, self.clock)

    @once
    def synchronizer(self) -> "Synchronizer":
        """Does what a hint asks for."""
        from mailsync.memory import tidy_allocator
        from mailsync.sync.synchronizer import Synchronizer

        tidy_allocator()

        return Synchronizer(
            self.settings,
            mailboxes=self.mailboxes,
            messages=self.messages,
            tokens=self.tokens,
            keeper=self.keeper,
            mail=self.mail,
            queue=self.queue,
            clock=self.clock,
            limits=self.limits,
        )

    @once
    def worker(self) -> "Worker":
        """Takes messages off the queue."""
        from mailsync.sync.worker import Worker

        return Worker(self.synchronizer, self.poller)
