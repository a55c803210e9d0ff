"""The webhook's way to the queue where the storage service misbehaves: a server of this test's own plays it."""

import asyncio
import base64
import json
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from mailsync.adapters.storage import async_queue
from mailsync.adapters.storage.async_queue import AsyncStorageHintQueue
from mailsync.adapters.storage.queue import StorageHintQueue
from mailsync.errors import Misconfigured, Rejected, RetryLater
from mailsync.mailboxes.ids import mailbox_id
from mailsync.schedule.records import Hint
from mailsync.settings import Storage

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")
HINT = Hint(BOX, NOW)
KEY = base64.b64encode(b"a key of this test's own").decode()
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
HANG_UP = b""
TRICKLE_HEADERS, TRICKLE_BODY = object(), object()
SILENCE = None


class Service:
    """Answers each request with the next of `answers`, and the last of them from then on."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.requests = []
        self.headers = []
        self.most_open = self._open = 0

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            try:
                yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/account"
            finally:
                server.close_clients()

    async def _serve(self, reader, writer):
        self._open += 1
        self.most_open = max(self._open, self.most_open)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(re.search(r"content-length: (\d+)", head, re.IGNORECASE)[1])
                line, *fields = head.strip().split("\r\n")
                self.requests.append((line, (await reader.readexactly(length)).decode()))
                self.headers.append({name.lower(): value for name, value in (field.split(": ", 1) for field in fields)})
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if answer is SILENCE:
                    continue
                if answer in (TRICKLE_HEADERS, TRICKLE_BODY):
                    await self._trickle(writer, answer)
                    break
                if answer is HANG_UP:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open -= 1
            writer.close()

    async def _trickle(self, writer, where):
        """A good answer in the end, two seconds later, which nobody may wait for."""
        head = b"HTTP/1.1 201 Created\r\nContent-Length: 200\r\n"
        writer.write(head if where is TRICKLE_HEADERS else head + b"\r\n")
        rest = b"X-Slow: " + b"x" * 190 if where is TRICKLE_HEADERS else b"x" * 199
        for place in range(len(rest)):
            writer.write(rest[place : place + 1])
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"\r\n\r\n" + b"x" * 200 if where is TRICKLE_HEADERS else b"x")


def refused(status, code="SomeCode", headers=""):
    return f"HTTP/1.1 {status} No\r\nx-ms-error-code: {code}\r\n{headers}Content-Length: 0\r\n\r\n".encode()


def send(service, times=1, clock=lambda: NOW, **timeouts):
    """Sends the hint, by the account's key."""

    async def sending():
        async with service.running() as address:
            connection = f"AccountName=account;AccountKey={KEY};QueueEndpoint={address};"
            queue = AsyncStorageHintQueue(Storage(connection_string=connection), clock=clock, **timeouts)
            for _ in range(times):
                await queue.send(HINT)

    asyncio.run(sending())


def test_one_request_a_hint(trusted):
    service = Service(CREATED)
    send(service, times=3)
    assert len(service.requests) == 3
    line, body = service.requests[0]
    assert line.startswith("POST /account/mailbox-sync/messages?messagettl=604800&")
    text = re.fullmatch(r"<QueueMessage><MessageText>([A-Za-z0-9+/=]+)</MessageText></QueueMessage>", body)[1]
    assert json.loads(base64.b64decode(text, validate=True))["mailboxId"] == BOX


def test_the_request_has_the_headers_of_the_sdks_own(trusted):
    """https://learn.microsoft.com/rest/api/storageservices/put-message#request-headers: the date is required."""
    listed = b"<QueueMessagesList><QueueMessage><MessageId>1</MessageId></QueueMessage></QueueMessagesList>"
    head = f"HTTP/1.1 201 Created\r\nContent-Type: application/xml\r\nContent-Length: {len(listed)}\r\n\r\n"
    service = Service(head.encode() + listed, CREATED)

    async def sending():
        async with service.running() as address:
            storage = Storage(connection_string=f"AccountName=account;AccountKey={KEY};QueueEndpoint={address};")
            await asyncio.to_thread(StorageHintQueue(storage).send, HINT)
            await AsyncStorageHintQueue(storage, clock=lambda: NOW).send(HINT)

    asyncio.run(sending())
    theirs, ours = service.headers
    # The SDK signs each request where ours have a signature in the address; the others are its own affair.
    assert theirs.keys() - ours.keys() == {"authorization", "connection", "x-ms-client-request-id"}
    assert ours.keys() <= theirs.keys()
    assert (ours["accept"], ours["content-type"]) == (theirs["accept"], theirs["content-type"])
    assert ours["x-ms-date"] == "Wed, 25 Nov 2026 08:30:00 GMT"
    assert parsedate_to_datetime(theirs["x-ms-date"])


@pytest.mark.parametrize("first", [HANG_UP, refused(503, "ServerBusy"), refused(500)])
def test_a_second_attempt_is_made(trusted, first):
    service = Service(first, CREATED)
    send(service)
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "reason", "attempts"),
    [
        (HANG_UP, RetryLater, "storage_unavailable", 2),
        (refused(503, "ServerBusy"), RetryLater, "storage_unavailable", 2),
        (refused(503, "ServerBusy", "Retry-After: 7\r\n"), RetryLater, "storage_unavailable", 1),
        (refused(403, "AuthorizationFailure"), Misconfigured, "storage_forbidden", 1),
        (refused(404, "QueueNotFound"), Misconfigured, "storage_missing", 1),
        (refused(400, "InvalidInput"), Rejected, "storage_refused", 1),
        (refused(301, headers="Location: https://elsewhere.example/\r\n"), Rejected, "storage_refused", 1),
    ],
)
def test_what_is_not_queued_is_told(trusted, answer, kind, reason, attempts):
    service = Service(answer)
    with pytest.raises(kind) as told:
        send(service)
    assert told.value.reason == reason
    assert len(service.requests) == attempts


def test_a_service_that_is_silent_is_waited_for_twice_and_no_longer(trusted):
    service = Service(SILENCE)
    with pytest.raises(RetryLater) as told:
        send(service, read_timeout=0.05)
    assert told.value.reason == "storage_unavailable"
    assert len(service.requests) == 2


@pytest.mark.parametrize("where", [TRICKLE_HEADERS, TRICKLE_BODY], ids=["headers", "body"])
def test_a_service_that_trickles_its_answer_is_waited_for_no_longer_than_a_silent_one(trusted, where):
    service = Service(where)
    with pytest.raises(RetryLater) as told:
        send(service, read_timeout=0.1)
    assert told.value.reason == "storage_unavailable"
    assert len(service.requests) == 2


def test_a_service_that_cannot_be_reached(trusted):
    async def sending():
        async with Service(CREATED).running() as address:
            pass
        connection = f"AccountName=account;AccountKey={KEY};QueueEndpoint={address};"
        await AsyncStorageHintQueue(Storage(connection_string=connection)).send(HINT)

    with pytest.raises(RetryLater) as told:
        asyncio.run(sending())
    assert told.value.reason == "storage_unavailable"


def test_a_signature_is_made_anew_before_it_expires(trusted):
    service = Service(CREATED)
    times = [NOW + timedelta(minutes=30 * number) for number in range(9)]
    # The first is for the beginning; each message takes one for its signature and one for its date.
    clock = iter([NOW, *(time for time in times for _ in range(2))])
    send(service, times=len(times), clock=lambda: next(clock))
    expiries = [parse_qs(urlsplit(line.split(" ")[1]).query)["se"][0] for line, _ in service.requests]
    left = [datetime.fromisoformat(expiry) - time for expiry, time in zip(expiries, times, strict=True)]
    assert all(timedelta(hours=1) < each <= timedelta(hours=2) for each in left)
    assert len(set(expiries)) == 5


def test_of_many_each_is_told_what_became_of_it(trusted):
    service = Service(refused(400, "InvalidInput"), CREATED)

    async def sending():
        async with service.running() as address:
            connection = f"AccountName=account;AccountKey={KEY};QueueEndpoint={address};"
            return await AsyncStorageHintQueue(Storage(connection_string=connection)).send_all([(HINT, 0)] * 50)

    problems = asyncio.run(sending())
    assert len(service.requests) == 50
    assert [problem.reason for problem in problems if problem] == ["storage_refused"]


def test_of_many_those_are_left_that_do_not_go_out_in_time(trusted, monkeypatch):
    monkeypatch.setattr(async_queue, "_ALL_WITHIN", 0.05)
    service = Service(SILENCE)

    async def sending():
        async with service.running() as address:
            connection = f"AccountName=account;AccountKey={KEY};QueueEndpoint={address};"
            queue = AsyncStorageHintQueue(Storage(connection_string=connection), read_timeout=30)
            return await queue.send_all([(HINT, 0)] * 50)

    problems = asyncio.run(sending())
    assert [problem.reason for problem in problems] == ["storage_unavailable"] * 50
    assert len(service.requests) <= 16


def test_threads_that_send_many_open_no_more_connections_than_one(trusted):
    service = Service(CREATED)

    async def sending():
        async with service.running() as address:
            queue = StorageHintQueue(
                Storage(connection_string=f"AccountName=account;AccountKey={KEY};QueueEndpoint={address};")
            )
            await asyncio.gather(*(asyncio.to_thread(queue.send_all, [(HINT, 0)] * 40) for _ in range(6)))

    asyncio.run(sending())
    assert len(service.requests) == 240
    assert service.most_open <= 32, "those of one that ends and of the next"
