import asyncio
import base64
import json
from datetime import UTC, datetime

import pytest

from mailsync.adapters.async_queue import AsyncStorageHintQueue
from mailsync.adapters.queue import StorageHintQueue, decode_hint, encode_hint
from mailsync.adapters.storage import QUEUE, queue_service
from mailsync.errors import Misconfigured, Rejected
from mailsync.models import Hint, mailbox_id
from tests.fakes.queue_and_vault import FakeAsyncHintQueue, FakeHintQueue

BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")
HINT = Hint(BOX, datetime(2026, 11, 25, 8, 30, 0, 5, tzinfo=UTC))


class _Azure:
    """The queue, and what the Functions host would take from it."""

    def __init__(self, storage):
        self.send = StorageHintQueue(storage).send
        self._client = queue_service(storage).get_queue_client(QUEUE)

    def take(self):
        return [decode_hint(base64.b64decode(message.content)) for message in self._client.receive_messages()]


class _AsyncAzure(_Azure):
    """The same queue, as the webhook sends: at once only."""

    def __init__(self, storage):
        super().__init__(storage)
        queue = AsyncStorageHintQueue(storage)
        self.send = lambda hint, delay=0: asyncio.run(queue.send(hint))


class _Fake:
    def __init__(self):
        self._queue = FakeHintQueue()
        self.send = self._queue.send

    def take(self):
        return [hint for hint, delay in self._queue.take() if delay <= 0]


class _AsyncFake(_Fake):
    def __init__(self):
        self._queue = FakeAsyncHintQueue()
        self.send = lambda hint, delay=0: asyncio.run(self._queue.send(hint))


def _made(request):
    return request.param() if issubclass(request.param, _Fake) else request.param(request.getfixturevalue("storage"))


@pytest.fixture(params=[_Fake, _Azure])
def queue(request):
    return _made(request)


@pytest.fixture(params=[_Fake, _AsyncFake, _Azure, _AsyncAzure])
def any_queue(request):
    return _made(request)


def test_a_hint_arrives_as_it_was_sent(any_queue):
    any_queue.send(HINT)
    any_queue.send(Hint(BOX, HINT.at, continues=True))
    assert sorted(any_queue.take(), key=lambda hint: hint.continues) == [HINT, Hint(BOX, HINT.at, continues=True)]


def test_a_delayed_hint_is_not_there_yet(queue):
    queue.send(HINT, delay=0.2)
    queue.send(HINT, delay=9_999_999)
    assert queue.take() == []


@pytest.mark.parametrize("kind", [_Azure, _AsyncAzure])
def test_on_the_wire_it_is_base64_and_holds_ids_and_times_only(storage, kind):
    kind(storage).send(HINT)
    [message] = queue_service(storage).get_queue_client(QUEUE).peek_messages()
    body = json.loads(base64.b64decode(message.content, validate=True))
    assert body == {"mailboxId": BOX, "at": "2026-11-25T08:30:00.000005Z"}
    assert (message.expires_on - message.inserted_on).days == 7


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
    ],
)
def test_what_is_not_a_hint_is_rejected(body):
    with pytest.raises(Rejected) as refusal:
        decode_hint(body)
    assert refusal.value.reason == "bad_hint"


def test_unknown_fields_are_passed_over():
    assert decode_hint(encode_hint(HINT)[:-1] + ',"later":1}') == HINT


@pytest.mark.parametrize("kind", [_Azure, _AsyncAzure])
def test_a_missing_queue_is_the_operators_business(storage, kind):
    queue_service(storage).delete_queue(QUEUE)
    with pytest.raises(Misconfigured) as problem:
        kind(storage).send(HINT)
    assert problem.value.reason == "storage_missing"
