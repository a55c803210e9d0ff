import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from mailsync.adapters.storage.async_queue import AsyncStorageHintQueue
from mailsync.adapters.storage.queue import StorageHintQueue
from mailsync.adapters.storage.services import QUEUE, queue_service
from mailsync.errors import Misconfigured, Rejected
from mailsync.mailboxes.ids import mailbox_id
from mailsync.schedule.hints import decode_hint, decode_poison, encode_hint
from mailsync.schedule.records import Hint
from tests.fakes.queue_and_vault import FakeAsyncHintQueue, FakeHintQueue

BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")
HINT = Hint(BOX, datetime(2026, 11, 25, 8, 30, 0, 5, tzinfo=UTC))


class _Azure:
    """The queue, and what the Functions host would take from it."""

    def __init__(self, storage):
        queue = StorageHintQueue(storage)
        self.send, self.send_all = queue.send, queue.send_all
        self._client = queue_service(storage).get_queue_client(QUEUE)

    def take(self):
        return [decode_hint(base64.b64decode(message.content)) for message in self._client.receive_messages()]


class _AsyncAzure(_Azure):
    """The same queue, as the webhook sends."""

    def __init__(self, storage):
        super().__init__(storage)
        queue = AsyncStorageHintQueue(storage)
        self.send = lambda hint, delay=0: asyncio.run(queue.send(hint, delay))
        self.send_all = lambda hints: asyncio.run(queue.send_all(hints))


class _Fake:
    def __init__(self):
        self._queue = FakeHintQueue()
        self.send, self.send_all = self._queue.send, self._queue.send_all

    def take(self):
        return [hint for hint, delay in self._queue.take() if delay <= 0]


class _AsyncFake(_Fake):
    def __init__(self):
        self._queue = FakeAsyncHintQueue()
        self.send = lambda hint, delay=0: asyncio.run(self._queue.send(hint, delay))


def _made(request):
    return request.param() if issubclass(request.param, _Fake) else request.param(request.getfixturevalue("storage"))


@pytest.fixture(params=[_Fake, _AsyncFake, _Azure, _AsyncAzure])
def queue(request):
    return _made(request)


def test_a_hint_arrives_as_it_was_sent(queue):
    full = Hint(BOX, HINT.at, True, True, ("m1",), 2, ("renewed",), ("removed",), ("nonce",))
    queue.send(HINT)
    queue.send(full)
    assert sorted(queue.take(), key=lambda hint: hint.continues) == [HINT, full]


def test_a_delayed_hint_is_not_there_yet(queue):
    queue.send(HINT, delay=0.2)
    queue.send(HINT, delay=9_999_999)
    assert queue.take() == []


@pytest.mark.parametrize("kind", [_Fake, _Azure, _AsyncAzure])
def test_many_hints_arrive_each_after_its_delay(kind, request):
    queue = kind() if kind is _Fake else kind(request.getfixturevalue("storage"))
    hints = [Hint(f"{BOX[:-2]}{number:02x}", HINT.at) for number in range(40)]
    assert queue.send_all([(hint, 9_999 if place % 2 else 0) for place, hint in enumerate(hints)]) == [None] * 40
    arrived = [hint for _ in range(2) for hint in queue.take()]
    assert sorted(arrived, key=lambda hint: hint.mailbox_id) == hints[::2]
    assert queue.send_all([]) == []


@pytest.mark.parametrize("kind", [_Azure, _AsyncAzure])
def test_on_the_wire_it_is_base64_and_holds_ids_and_times_only(storage, kind):
    kind(storage).send(HINT)
    [message] = queue_service(storage).get_queue_client(QUEUE).peek_messages()
    body = json.loads(base64.b64decode(message.content, validate=True))
    assert body == {"mailboxId": BOX, "at": "2026-11-25T08:30:00.000005Z"}
    assert (message.expires_on - message.inserted_on).days == 7


IMPOSSIBLE = (
    "0001-01-01T00:00:00+23:59",
    "2019-12-31T23:59:59Z",
    "9998-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "2026-11-25T08:30:00+99:99",
    "soon",
)
OUT_OF_BOUNDS = (
    ("created", ("m",) * 51),
    ("created", ("m" * 513,)),
    ("created", ("",)),
    ("created", ("m\n",)),
    ("created", ("m\\",)),
    ("created", (5,)),
    ("looks", -1),
    ("looks", 11),
    ("looks", 2**70),
    ("renew", ("s",) * 21),
    ("renew", ("s" * 65,)),
    ("removed", ("s",) * 21),
    ("removed", ("",)),
    ("nonces", ("n",) * 21),
    ("nonces", ("n" * 23,)),
    ("share_from", "d" * 129),
    ("share_from", "due-' or RowKey ge '"),
    ("share_from", "due-x\n"),
    ("share_from", 5),
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        "null",
        '{"mailboxId": "x", "at": "2026-11-25T08:30:00Z"}',
        f'{{"mailboxId": "{BOX}"}}',
        f'{{"mailboxId": "{BOX}", "at": "2026-11-25T08:30:00"}}',
        f'{{"mailboxId": "{BOX}", "at": 5}}',
        f'{{"mailboxId": "{BOX.upper()}", "at": "2026-11-25T08:30:00Z"}}',
        b"[" * 100_000,
        *(f'{{"mailboxId": "{BOX}", "at": "{at}"}}' for at in IMPOSSIBLE),
        *(encode_hint(Hint(BOX, HINT.at, **{name: value})) for name, value in OUT_OF_BOUNDS),
    ],
)
def test_what_is_not_a_hint_is_rejected(body):
    with pytest.raises(Rejected) as refusal:
        decode_hint(body)
    assert refusal.value.reason == "bad_hint"


def test_a_time_may_be_ahead_of_this_clock_and_not_by_much():
    ahead = {"clock": lambda: HINT.at - timedelta(minutes=59)}
    assert decode_hint(encode_hint(HINT), **ahead) == HINT
    with pytest.raises(Rejected):
        decode_hint(encode_hint(HINT), clock=lambda: HINT.at - timedelta(minutes=61))


def test_what_is_not_a_hint_is_none_among_the_poison_either():
    for body in (b"[" * 100_000, encode_hint(Hint(BOX, HINT.at, looks=11)), f'{{"mailboxId": "{BOX}", "at": "soon"}}'):
        assert decode_poison(body) is None


def test_messages_of_the_version_before_are_hints_and_ours_are_to_it():
    """An upgrade has both on the queue, and so has the way back."""
    older = f'{{"mailboxId":"{BOX}","at":"2026-11-25T08:30:00Z","pushed":true,"created":["m1"],"looks":4}}'
    assert decode_hint(older).looks == 4

    class Older(msgspec.Struct, rename="camel"):
        mailbox_id: str
        at: datetime
        continues: bool = False
        pushed: bool = False
        created: tuple[str, ...] = ()
        looks: int = 0
        renew: tuple[str, ...] = ()
        removed: tuple[str, ...] = ()

    ours = msgspec.json.decode(encode_hint(Hint(BOX, HINT.at, pushed=True, nonces=("nonce",))), type=Older)
    assert (ours.mailbox_id, ours.pushed) == (BOX, True)


def test_a_share_of_the_schedule_is_the_hint_of_a_mailbox_to_the_version_before():
    """Its first mailbox is due, so an older version does some of the work and no harm."""
    key = f"due-20261125T083000.123Z-{BOX}"
    share = encode_hint(Hint(BOX, HINT.at, share_from=key))
    assert decode_hint(share).share_from == key

    class Older(msgspec.Struct, rename="camel"):
        mailbox_id: str
        at: datetime
        continues: bool = False

    assert msgspec.json.decode(share, type=Older) == Older(BOX, HINT.at)
    assert "share" not in encode_hint(HINT)


def test_unknown_fields_are_passed_over():
    assert decode_hint(encode_hint(HINT)[:-1] + ',"later":1}') == HINT


@pytest.mark.parametrize("kind", [_Azure, _AsyncAzure])
def test_a_missing_queue_is_the_operators_business(storage, kind):
    queue_service(storage).delete_queue(QUEUE)
    with pytest.raises(Misconfigured) as problem:
        kind(storage).send(HINT)
    assert problem.value.reason == "storage_missing"
    assert {each.reason for each in kind(storage).send_all([(HINT, 0)] * 3)} == {"storage_missing"}
