"""`python -m bench.usage_child pushed|polled DAYS MAILBOX`: lives through days of one mailbox; prints what they took.

The clocks of the program and of the stand-in are moved on from event to event: a message, or a poll that is due.
`pushed`: Graph tells of each message at once. `polled`: it tells of none, and new subscriptions fail.
"""

import base64
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import azure.functions as func

from bench import corpus
from bench.calls_child import services
from bench.connected import current_nonce, notification
from bench.counting import Calls, counted
from mailsync import bootstrap
from mailsync.adapters.storage.services import QUEUE, queue_service
from mailsync.schedule.hints import decode_hint
from sandbox.client import Control, message_rows
from sandbox.run import ADDRESS
from sandbox.state import load_state

MESSAGES_A_DAY = 20
_MINUTE = timedelta(minutes=1)


class _Lines(logging.Handler):
    """Counts the lines that the program logs, and their characters, by the function that runs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.function = ""
        self.lines: Counter[str] = Counter()
        self.characters: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines[self.function] += 1
        self.characters[self.function] += len(record.getMessage())


class Life:
    """One mailbox through its days, and what was counted meanwhile."""

    def __init__(self, mailbox_id: str, *, pushed: bool) -> None:
        self._id = mailbox_id
        self._pushed = pushed
        self._state = load_state()
        self._control = Control(self._state)
        self._now = datetime.now(UTC).replace(second=0, microsecond=0)
        self._logged = _Lines()
        self._processor = 0.0
        self.calls: Counter[str] = Counter()
        self.executions: Counter[str] = Counter()

    def now(self) -> datetime:
        """The program's time. It stands still from event to event, so that the counts are the same every time."""
        return self._now

    def live(self, days: int) -> dict[str, Any]:
        """Lives through the days; the first day warms up and is not counted."""
        self._queue = queue_service(bootstrap.app().settings.storage).get_queue_client(QUEUE)
        self._queue.clear_messages()
        if not self._pushed:
            order = {"name": "access-denied", "params": {"operation": "subscriptions"}}
            self._control.call("POST", "/faults", order)
        logging.getLogger().addHandler(self._logged)
        logging.getLogger("mailsync").setLevel(logging.INFO)
        warm = self.now() + timedelta(days=1)
        self._until(self.now(), warm)
        for counts in (self.calls, self.executions, self._logged.lines, self._logged.characters):
            counts.clear()
        self._processor = 0.0
        self._until(warm, warm + timedelta(days=days))
        tick = self._empty_tick()
        for _ in range(self.executions.pop("poll_due_mailboxes")):
            self.calls.subtract(tick)  # all mailboxes share a tick; what is left is what it does for this one
        sizes = [_stored_bytes(row) for row in message_rows(self._state, self._id)]
        return {
            "days": days,
            "messages": MESSAGES_A_DAY * days,
            "executions": dict(sorted(self.executions.items())),
            "cpuSecondsOfARun": round(self._processor / self.executions["sync_mailbox"], 2),
            "calls": dict(sorted(self.calls.items())),
            "logLines": dict(sorted(self._logged.lines.items())),
            "logCharacters": dict(sorted(self._logged.characters.items())),
            "callsOfEmptyTick": dict(tick),
            "rowBytes": round(sum(sizes) / len(sizes)),
        }

    def _until(self, begin: datetime, end: datetime) -> None:
        spacing = timedelta(days=1) / MESSAGES_A_DAY
        number = 0
        while True:
            mail = begin + spacing * (number + 0.5)
            mailbox = bootstrap.app().mailboxes.get(self._id)
            poll = _next_minute((mailbox and mailbox.next_poll_at) or end)
            if min(mail, poll) >= end:
                return
            self._wait(min(mail, poll))
            if mail <= poll:
                self._arrive(number)
                number += 1
            else:
                self._tick()
            self._work()

    def _wait(self, moment: datetime) -> None:
        now = datetime.fromisoformat(self._control.call("POST", "/clock", {"advanceSeconds": 0})["now"])
        self._control.call("POST", "/clock", {"advanceSeconds": (moment - now).total_seconds()})
        self._now = moment

    def _arrive(self, number: int) -> None:
        [message_id] = self._control.send("POST", f"/mailboxes/{ADDRESS}/deliver", corpus.mail(number), name="x.eml")[
            "ids"
        ]
        if not self._pushed:
            return
        from webhook_receiver.blueprint import graph_notifications

        nonce = current_nonce(bootstrap.app().mailboxes, self._id)
        body = notification(bootstrap.app().signing_keys, self._id, message_id, nonce)
        function: Callable[..., Any] = graph_notifications.build().get_user_function()
        with self._counted("graph_notifications"):
            answer = _finished(function(func.HttpRequest("POST", "/", body=body)))
        if answer.status_code != 202:
            raise RuntimeError(f"the webhook answered {answer.status_code}")

    def _tick(self) -> None:
        with self._counted("poll_due_mailboxes"):
            queued = bootstrap.app().poller.tick()
        if queued != 1:
            raise RuntimeError(f"{queued} mailboxes were due")

    def _empty_tick(self) -> Counter[str]:
        """What a tick takes that finds nothing due."""
        with counted(services()) as calls:
            bootstrap.app().poller.tick()
        return _kinds(calls)

    def _work(self) -> None:
        """What the queue listener does: takes each hint, runs it, deletes it."""
        while True:
            with counted(services()) as listener:
                message = self._queue.receive_message()
            if message is None:
                break
            self.calls.update(_kinds(listener))
            with self._counted("sync_mailbox"):
                bootstrap.app().synchronizer.run(decode_hint(base64.b64decode(message.content), self.now))
                self._queue.delete_message(message)
        if self._queue.get_queue_properties().approximate_message_count:
            raise RuntimeError("a hint waits for later, which this count does not provide for")

    @contextmanager
    def _counted(self, function: str) -> Iterator[None]:
        self._logged.function = function
        processor = time.process_time()
        with counted(services()) as calls:
            yield
        if function == "sync_mailbox":
            self._processor += time.process_time() - processor
        self.executions[function] += 1
        self.calls.update(_kinds(calls))


def _kinds(calls: Calls) -> Counter[str]:
    """Calls by service and by what is paid for alike."""
    return Counter(f"{service} {method}" for service, method, _ in calls.made)


def _next_minute(moment: datetime) -> datetime:
    """When the timer ticks next: on the minute."""
    return moment.replace(second=0, microsecond=0) + _MINUTE


def _finished(coroutine: Any) -> Any:
    import asyncio

    return asyncio.run(coroutine)


def _stored_bytes(row: dict[str, Any]) -> int:
    """About what a message takes in the table, its index entry included: two bytes a character, and the names.

    https://learn.microsoft.com/archive/blogs/avkashchauhan/how-the-size-of-an-entity-is-caclulated-in-windows-azure-table-storage
    """
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
    return 500 + sum(12 + 2 * (len(name) + len(value)) for name, value in texts.items())


def main() -> int:
    """The command."""
    how, days, mailbox_id = sys.argv[1:]
    life = Life(mailbox_id, pushed=how == "pushed")
    with patch.object(bootstrap, "utc_now", life.now):
        print(json.dumps(life.live(int(days))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
