"""Delivers notifications to one URL, as Graph does to a webhook: batches, deadlines, retries, penalties.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import msgspec

from sandbox.push.state import Subscription
from sandbox.push.timing import (
    DROP_SHARE,
    FIRST_SECONDS,
    FIRST_WAIT,
    GIVE_UP,
    RETRY_SECONDS,
    SLOW_SHARE,
    WINDOW,
    Timing,
)

MAX_ITEMS = 100
"""In one POST. Graph's own bound is not documented."""

type State = Literal["ok", "slow", "drop"]


@dataclass(frozen=True, slots=True)
class Notification:
    """One item of a POST. `lifecycle`: an event of the subscription itself."""

    subscription: Subscription
    body: dict[str, Any] = field(repr=False)
    lifecycle: bool = False


@dataclass(slots=True)
class Counts:
    """What has become of the notifications of a URL; `posts` counts attempts, `failed` those that failed."""

    delivered: int = 0
    lost: int = 0
    posts: int = 0
    failed: int = 0


@dataclass(slots=True)
class Health:
    """How fast a URL has answered in the last ten minutes, and what follows from it."""

    timing: Timing
    _answers: deque[tuple[float, float]] = field(default_factory=deque)
    _state: State = "ok"
    _until: float = 0.0

    def record(self, at: float, seconds: float) -> None:
        """Notes how long an answer took, or how long it was waited for in vain."""
        window = WINDOW * self.timing.waits
        self._answers.append((at, seconds))
        while self._answers[0][0] < at - window:
            self._answers.popleft()
        if len(self._answers) < self.timing.minimum_responses or self.state(at) == "drop":
            return
        if self._share(RETRY_SECONDS) > DROP_SHARE:
            self._state, self._until = "drop", at + window
        elif self._share(FIRST_SECONDS) > SLOW_SHARE:
            self._state, self._until = "slow", at + window

    def state(self, at: float) -> State:
        """The state at that time."""
        return self._state if at < self._until else "ok"

    def _share(self, seconds: float) -> float:
        over = sum(taken >= seconds * self.timing.deadlines for _, taken in self._answers)
        return over / len(self._answers)


class Endpoint:
    """One notification URL.

    `spawn` runs a coroutine in the background, `alive` tells whether a notification may still be sent, and
    `missed` hears of those that were tried for four hours.
    """

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        timing: Timing,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        alive: Callable[[Notification], bool],
        missed: Callable[[list[Notification]], None],
    ) -> None:
        self._url = url
        self._client = client
        self._timing = timing
        self._spawn = spawn
        self._alive = alive
        self._missed = missed
        self._gathered: list[Notification] = []
        self.counts = Counts()
        self.health = Health(timing)

    def add(self, notification: Notification, collect: float | None = None) -> None:
        """Takes a notification; it sets out once `collect` seconds have passed (default: as usual)."""
        state = self.health.state(time.monotonic())
        if state == "drop":
            self.counts.lost += 1
        elif state == "slow":
            asyncio.get_running_loop().call_later(WINDOW * self._timing.waits, self._gather, notification, collect)
        else:
            self._gather(notification, collect)

    def _gather(self, notification: Notification, collect: float | None) -> None:
        self._gathered.append(notification)
        if len(self._gathered) == 1:
            seconds = self._timing.collect if collect is None else collect
            asyncio.get_running_loop().call_later(seconds, self._set_out)

    def _set_out(self) -> None:
        gathered, self._gathered = self._gathered, []
        for begin in range(0, len(gathered), MAX_ITEMS):
            self._spawn(self._deliver(gathered[begin : begin + MAX_ITEMS]))

    async def _deliver(self, notifications: list[Notification]) -> None:
        give_up_at = time.monotonic() + GIVE_UP * self._timing.waits
        deadline, wait = FIRST_SECONDS * self._timing.deadlines, FIRST_WAIT * self._timing.waits
        while sent := [entry for entry in notifications if self._alive(entry)]:
            if await self._post(sent, deadline):
                self.counts.delivered += len(sent)
                return
            if time.monotonic() + wait > give_up_at:
                self.counts.lost += len(sent)
                self._missed(sent)
                return
            await asyncio.sleep(wait)
            deadline, wait = RETRY_SECONDS * self._timing.deadlines, wait * 2

    async def _post(self, notifications: list[Notification], deadline: float) -> bool:
        """One attempt: whether it was acknowledged in time."""
        content = msgspec.json.encode({"value": [entry.body for entry in notifications]})
        headers = {"Content-Type": "application/json; charset=utf-8"}
        self.counts.posts += 1
        begun = time.monotonic()
        try:
            async with asyncio.timeout(deadline):
                response = await self._client.post(self._url, content=content, headers=headers, timeout=None)
            acknowledged = response.is_success
        except (TimeoutError, httpx.HTTPError):
            acknowledged = False
        ended = time.monotonic()
        self.health.record(ended, ended - begun)
        self.counts.failed += not acknowledged
        return acknowledged
