"""The port `SubscriptionService` in memory: what Graph holds for one user, and what can go wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailsync.clock import Clock
from mailsync.errors import MailsyncError, SubscriptionExists, SubscriptionGone, SubscriptionTooLong
from mailsync.tokens.ports import GetToken
from tests.fakes.faults import Faults


@dataclass(frozen=True, slots=True)
class Held:
    """A subscription at Graph."""

    folder: str
    client_state: str
    expires_at: datetime


@dataclass(slots=True)
class FakeSubscriptions:
    """One user's subscriptions. `cap`: the longest life granted. `calls`: the operations called, in order.

    `held`: what Graph has, by id; a test removes from it what Graph is to forget. `meanwhile`, where set, is
    called while a subscription is being made, as Graph calls back then.
    """

    clock: Clock
    cap: timedelta = timedelta(minutes=10_080)
    held: dict[str, Held] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    meanwhile: Callable[[], object] | None = None
    get_token: GetToken | None = None
    _made: int = 0
    _faults: Faults = field(default_factory=Faults)

    def factory(self, get_token: GetToken, fresh_token: GetToken | None = None) -> "FakeSubscriptions":
        """A `SubscriptionServiceFactory`: this same service, which asks for a token at every call."""
        self.get_token = get_token
        return self

    def fail(self, error: MailsyncError, *operations: str, after: int = 0, times: int = 1) -> None:
        """Orders a fault, as `FakeMailService.fail` does."""
        self._faults.order(error, *operations, after=after, times=times)

    def alive(self) -> dict[str, Held]:
        """What has not expired."""
        return {id_: held for id_, held in self.held.items() if held.expires_at > self.clock()}

    def create(self, folder: str, client_state: str, expires_at: datetime) -> tuple[str, datetime]:
        self._enter("create")
        if any(held.folder == folder for held in self.alive().values()):
            raise SubscriptionExists("there is one of this kind already")
        self._check_life(expires_at)
        if self.meanwhile:
            self.meanwhile()
        self._made += 1
        subscription_id = f"cccccccc-0000-4000-8000-{self._made:012x}"
        self.held[subscription_id] = Held(folder, client_state, expires_at)
        return subscription_id, expires_at

    def renew(self, subscription_id: str, expires_at: datetime) -> datetime:
        self._enter("renew")
        if (held := self.alive().get(subscription_id)) is None:
            raise SubscriptionGone("there is no such subscription")
        self._check_life(expires_at)
        self.held[subscription_id] = Held(held.folder, held.client_state, expires_at)
        return expires_at

    def delete(self, subscription_id: str) -> None:
        self._enter("delete")
        self.held.pop(subscription_id, None)

    def existing(self) -> dict[str, str]:
        self._enter("existing")
        return {id_: held.folder for id_, held in self.alive().items()}

    def _check_life(self, expires_at: datetime) -> None:
        if expires_at > self.clock() + self.cap:
            raise SubscriptionTooLong("the life asked for is too long")

    def _enter(self, operation: str) -> None:
        self.calls.append(operation)
        if self.get_token is not None:
            self.get_token()
        self._faults.strike(operation)
