"""`AsyncHintQueue` on the storage queue `mailbox-sync`: how the webhook sends, on the event loop that answers Graph.

The timer sends its many hints by it too. One request, Put Message, by aiohttp and not by the SDK, for the processor
time that it takes: docs/decisions.md (Push), docs/performance.md.

https://learn.microsoft.com/rest/api/storageservices/put-message
Imports the SDK and aiohttp, which are heavy: the adapter is imported when it is built, not before.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
from yarl import URL

from mailsync.adapters.azure_sdk import authorities, converted, credential, refusal
from mailsync.adapters.storage.queue import LIFETIME, whole_seconds
from mailsync.adapters.storage.services import QUEUE, queue_service
from mailsync.clock import Clock, utc_now
from mailsync.errors import MailsyncError, RetryLater
from mailsync.reasons import Reason
from mailsync.schedule.hints import encode_hint
from mailsync.schedule.records import Hint
from mailsync.settings import Storage

_HEADERS = {"x-ms-version": "2024-08-04", "Accept": "application/xml", "Content-Type": "application/xml"}
_SCOPE = "https://storage.azure.com/.default"
_RENEWED_BEFORE = timedelta(minutes=5)
"""The rest of a token's life at which another is got; the SDK has the same."""
_SIGNED_FOR = timedelta(hours=2)
"""The life of a signed address; in half of that another is signed."""

_SIDE_BY_SIDE = 16
"""Requests of `send_all` under way at once."""
_ALL_WITHIN = 20
"""Seconds for all of `send_all`: where storage is slow, the rest is left to whoever tries again."""


class AsyncStorageHintQueue:
    """The sending end, for one event loop at a time."""

    def __init__(
        self, storage: Storage, connect_timeout: float = 1, read_timeout: float = 1, clock: Clock = utc_now
    ) -> None:
        """Timeouts in seconds, of each of two attempts: both fit into the time that Graph waits for an answer.

        `read_timeout`: of the whole attempt, so that a service that trickles its answer is waited for no longer.
        """
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=read_timeout, sock_connect=connect_timeout)
        self._session: aiohttp.ClientSession | None = None
        if storage.connection_string:
            self._tokens = None
            self._address = _signed_address(storage, clock)
        else:
            self._tokens = _Tokens(storage, clock)
            address = URL(f"{storage.queue_uri.rstrip('/')}/{QUEUE}/messages?messagettl={LIFETIME}")
            self._address = lambda: address

    async def send(self, hint: Hint, delay: float = 0) -> None:
        """One call. Raises RetryLater, Misconfigured and Rejected."""
        text = base64.b64encode(encode_hint(hint).encode()).decode()
        content = f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>".encode()
        wait = whole_seconds(delay)
        problem = await self._put(content, wait)
        if isinstance(problem, RetryLater) and problem.retry_after is None:
            problem = await self._put(content, wait)
        if problem:
            raise problem

    async def send_all(self, hints: Sequence[tuple[Hint, float]]) -> list[MailsyncError | None]:
        """A call for each hint, some at once; what went wrong with each, None where it is queued."""
        late = RetryLater(Reason.STORAGE_UNAVAILABLE, "Storage did not take all hints in time.")
        problems: list[MailsyncError | None] = [late] * len(hints)
        places = iter(range(len(hints)))

        async def send_some() -> None:
            for place in places:
                try:
                    await self.send(*hints[place])
                    problems[place] = None
                except MailsyncError as error:
                    problems[place] = error

        with suppress(TimeoutError):
            async with asyncio.timeout(_ALL_WITHIN):
                await asyncio.gather(*(send_some() for _ in range(_SIDE_BY_SIDE)))
        return problems

    async def _put(self, content: bytes, wait: int) -> MailsyncError | None:
        """One attempt; what was wrong with it. `wait`: seconds until the message becomes visible."""
        address = self._address()
        if wait:
            address = URL(f"{address}&visibilitytimeout={wait}", encoded=True)
        headers = _HEADERS | {"x-ms-date": format_datetime(self._clock().astimezone(UTC), usegmt=True)}
        if self._tokens:
            headers["Authorization"] = f"Bearer {await self._tokens.get()}"
        try:
            async with (await self._opened()).post(
                address, data=content, headers=headers, allow_redirects=False
            ) as answer:
                await answer.read()  # else the connection is not used again
                if answer.status == 201:
                    return None
                code = answer.headers.get("x-ms-error-code", "no code")
                return refusal("storage", answer.status, code, answer.headers)
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = RetryLater(Reason.STORAGE_UNAVAILABLE, f"No answer from storage ({type(error).__name__}).")
            problem.__cause__ = error
            return problem

    async def _opened(self) -> aiohttp.ClientSession:
        """The session, which belongs to the event loop that runs and is closed with it."""
        if self._session is None or self._session.closed:
            self._sessions = _session(self._timeout)
            self._session = await anext(self._sessions)
        return self._session


async def _session(limits: aiohttp.ClientTimeout) -> AsyncGenerator[aiohttp.ClientSession]:
    """The session. A loop that ends closes its generators, and so this: nothing else tells the app of its end."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=authorities()))
    # Without `trust_env`: a login in a .netrc file would be sent in place of the token.
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=limits
    ) as session:
        yield session


class _Tokens:
    """The identity's token for storage, got on a thread and kept until shortly before it expires."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._identity = credential(storage.client_id, storage.credential)
        self._clock = clock
        self._token = ""
        self._renew_at = clock()
        self._renewing = asyncio.Lock()

    async def get(self) -> str:
        """Raises RetryLater, Misconfigured."""
        if self._clock() >= self._renew_at:
            async with self._renewing:
                if self._clock() >= self._renew_at:
                    await self._renew()
        return self._token

    async def _renew(self) -> None:
        with converted("storage"):
            token = await asyncio.to_thread(self._identity.get_token, _SCOPE)
        self._token = token.token
        self._renew_at = datetime.fromtimestamp(token.expires_on, UTC) - _RENEWED_BEFORE


def _signed_address(storage: Storage, clock: Clock) -> Callable[[], URL]:
    """The address of the queue's messages, with a signature by the account's key that allows adding one.

    https://learn.microsoft.com/rest/api/storageservices/create-service-sas
    """
    from azure.storage.queue import QueueSasPermissions, generate_queue_sas

    client = queue_service(storage).get_queue_client(QUEUE)
    adding = QueueSasPermissions(add=True)
    address, renew_at = URL(), clock()

    def signed() -> URL:
        nonlocal address, renew_at
        now = clock()
        if now >= renew_at:
            key, expiry = client.credential.account_key, now + _SIGNED_FOR
            signature = generate_queue_sas(str(client.account_name), QUEUE, key, permission=adding, expiry=expiry)
            address = URL(f"{client.url}/messages?messagettl={LIFETIME}&{signature}", encoded=True)
            renew_at = now + _SIGNED_FOR / 2
        return address

    return signed
