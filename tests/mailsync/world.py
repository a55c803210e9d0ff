"""The program on fakes, with a clock and a queue that a test turns by hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mailsync.bootstrap import App
from mailsync.connect.disconnect import Disconnector
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.records import Mailbox
from mailsync.push.keeper import SubscriptionKeeper
from mailsync.push.key_rotation import KeyRotation
from mailsync.schedule.poller import Poller
from mailsync.schedule.records import Hint
from mailsync.settings import Settings, Storage
from mailsync.sync.records import StoredMessage
from mailsync.sync.run import Limits
from mailsync.sync.synchronizer import Synchronizer
from mailsync.tokens.keeper import TokenKeeper
from mailsync.tokens.records import Grant, StoredToken
from tests.fakes.mail_service import FakeMailService
from tests.fakes.queue_and_vault import FakeHintQueue, FakeTokenVault
from tests.fakes.signing_keys import FakeSigningKeys
from tests.fakes.stores import FakeMailboxStore, FakeMessageStore, FakeOneTimeStore
from tests.fakes.subscription_service import FakeSubscriptions

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
TENANT = "aaaaaaaa-0000-4000-8000-00000000000a"
USER = "bbbbbbbb-0000-4000-8000-00000000000b"
BOX = mailbox_id(TENANT, USER)


MAILBOX = Mailbox(
    id=BOX,
    account_id="acme",
    address="owner@contoso.example",
    connected_at=START,
    granted_at=START,
    next_poll_at=START,
)


class Killed(BaseException):
    """The process ends here: no handler of the program's may run."""


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Mortal:
    """`die_at(n, how)`: the nth write from now is the last, and `how` much of it is done: none, half or all."""

    _death: tuple[int, str] | None = None

    def die_at(self, write: int, how: str) -> None:
        self._death = write, how

    def _dying(self) -> str:
        if self._death is None:
            return ""
        left, how = self._death
        self._death = (left - 1, how) if left > 1 else None
        return how if left <= 1 else ""


class MortalMailboxes(Mortal, FakeMailboxStore):
    """`calls`: each remote call that the table would have had."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def get(self, mailbox_id: str) -> Mailbox | None:
        self.calls.append("get")
        return super().get(mailbox_id)

    def save(self, mailbox: Mailbox) -> Mailbox:
        self.calls.append("save")
        how = self._dying()
        if how in ("none", "half"):
            raise Killed
        saved = super().save(mailbox)
        if how:
            raise Killed
        return saved


class MortalMessages(Mortal, FakeMessageStore):
    """`calls`: as with `MortalMailboxes`."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def find(
        self, mailbox_id: str, sought: Mapping[str, datetime | None], *, whole: bool = True
    ) -> dict[str, StoredMessage]:
        self.calls.append("find")
        return super().find(mailbox_id, sought, whole=whole)

    def known(self, mailbox_id: str, message_ids: Iterable[str]) -> set[str]:
        self.calls.append("find")
        return super().known(mailbox_id, message_ids)

    def write(self, mailbox_id: str, messages: Sequence[StoredMessage]) -> None:
        self.calls.append("write")
        how = self._dying()
        done = {"": len(messages), "none": 0, "half": len(messages) // 2, "all": len(messages)}[how]
        super().write(mailbox_id, messages[:done])
        if how:
            raise Killed


class FakeRefresh:
    """The part of `Directory` that the token keeper uses; `error` is raised where set."""

    error: Exception | None = None

    def __init__(self, clock: Clock) -> None:
        self.refreshed = 0
        self._clock = clock

    def refresh(self, refresh_token: str) -> Grant:
        if self.error:
            raise self.error
        self.refreshed += 1
        return Grant(
            f"access-{self.refreshed}",
            self._clock() + timedelta(hours=1),
            f"refresh-{self.refreshed}",
            frozenset({"Mail.Read"}),
        )


def settings(folders: tuple[str, ...] = ("inbox",)) -> Settings:
    return Settings(
        public_base_url="https://app.example",
        client_id="22222222-2222-4222-8222-222222222222",
        tenant="organizations",
        authority_host="https://login.example",
        client_secret="",
        identity_client_id="",
        graph_endpoint="https://graph.example/v1.0",
        key_vault_url="https://vault.example",
        key_vault_credential="managedidentity",
        storage=Storage(),
        folders=folders,
        backfill_days=30,
        poll_interval=300,
        poll_interval_with_push=3600,
    )


@dataclass
class World:
    """One connected mailbox and everything around it."""

    folders: tuple[str, ...] = ("inbox",)
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=Clock)
    mailboxes: MortalMailboxes = field(default_factory=MortalMailboxes)
    messages: MortalMessages = field(default_factory=MortalMessages)
    queue: FakeHintQueue = field(default_factory=FakeHintQueue)
    vault: FakeTokenVault = field(default_factory=FakeTokenVault)
    service: FakeMailService = field(default_factory=FakeMailService)
    pending: list[tuple[datetime, Hint]] = field(default_factory=list)
    connected: bool = False

    def __post_init__(self) -> None:
        self.directory = FakeRefresh(self.clock)
        self.keys = FakeSigningKeys(self.clock)
        self.subscriptions = FakeSubscriptions(self.clock)
        self.app = self.instance()
        if not self.connected:
            self.mailboxes.save(MAILBOX)
        self.vault.save(BOX, StoredToken(refresh_token="refresh-0", scopes=(), saved_at=self.clock()))

    def instance(self, **parts) -> App:
        """The program on this world: each has its memory to itself. `parts` stand in for the world's."""
        return App(
            parts.pop("settings", settings(self.folders)),
            **{
                "clock": self.clock,
                "sleep": self.clock.advance,
                "limits": self.limits,
                "mailboxes": self.mailboxes,
                "messages": self.messages,
                "one_time": FakeOneTimeStore(),
                "queue": self.queue,
                "vault": self.vault,
                "directory": self.directory,
                "signing_keys": self.keys,
                "mail": self.service.factory,
                "subscriptions": self.subscriptions.factory,
                **parts,
            },
        )

    @property
    def tokens(self) -> TokenKeeper:
        return self.app.tokens

    @property
    def synchronizer(self) -> Synchronizer:
        return self.app.synchronizer

    @property
    def keeper(self) -> SubscriptionKeeper:
        return self.app.keeper

    @property
    def disconnector(self) -> Disconnector:
        return self.app.disconnector

    @property
    def key_rotation(self) -> KeyRotation:
        return self.app.key_rotation

    @property
    def poller(self) -> Poller:
        return self.app.poller

    @property
    def mailbox(self) -> Mailbox:
        return self.mailboxes.rows[BOX]

    @property
    def graph(self):
        return self.service.mailbox

    def calls(self) -> list[str]:
        """Every remote call since `forget`, by part."""
        return self.mailboxes.calls + self.messages.calls + self.service.calls + self.subscriptions.calls

    def forget(self) -> None:
        """Begins to count calls anew."""
        for part in (self.mailboxes, self.messages, self.service, self.subscriptions):
            part.calls.clear()

    def rows(self) -> dict[str, StoredMessage]:
        """Rows by message id; a message with two rows fails here."""
        found: dict[str, StoredMessage] = {}
        for row in self.messages.rows.values():
            assert row.message_id not in found, "doubled"
            found[row.message_id] = row
        return found

    def hint(self, **more) -> None:
        self.queue.send(Hint(mailbox_id=BOX, at=self.clock(), **more))

    def poll(self) -> None:
        """Comes to the time of the next poll, ticks, and works the queue off."""
        if self.mailbox.next_poll_at:
            self.clock.now = max(self.clock.now, self.mailbox.next_poll_at)
        self.poller.tick()
        self.work()

    def pending_before(self, moment: datetime) -> bool:
        """Whether a hint becomes visible before then."""
        self._arrive()
        return any(at < moment for at, _ in self.pending)

    def work(self, most: int = 2_000) -> None:
        """Runs hints in the order in which they become visible, time passing as it must."""
        for _ in range(most):
            if not self.work_once():
                return
        raise AssertionError("the queue does not come to rest")

    def work_once(self) -> bool:
        """Runs one hint; False where there is none. A run that dies leaves its hint to become visible again."""
        self._arrive()
        if not self.pending:
            return False
        self.pending.sort(key=lambda item: item[0])
        at, hint = self.pending.pop(0)
        self.clock.now = max(self.clock.now, at) + timedelta(milliseconds=10)
        try:
            self.synchronizer.run(hint)
        except Killed:
            self.pending.append((self.clock() + timedelta(seconds=30), hint))  # host.json: visibilityTimeout
        return True

    def _arrive(self) -> None:
        self.pending += [(self.clock() + timedelta(seconds=delay), hint) for hint, delay in self.queue.take()]
