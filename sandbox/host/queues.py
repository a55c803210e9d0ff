"""The queue listener: messages of a storage queue become invocations.

Behaviour of the Storage extension: at most `batchSize` + `newBatchThreshold` messages at once; a message is
invisible while it is worked on, and that is renewed; success deletes it, failure makes it visible again after
`visibilityTimeout`, and after `maxDequeueCount` attempts it moves to `<queue>-poison`.
Reference: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

import asyncio
import base64
import binascii
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceNotFoundError

from sandbox.host.config import QueueOptions
from sandbox.host.runtime import Function, FunctionTimeout, Runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from azure.storage.queue import QueueMessage, QueueServiceClient

_log = logging.getLogger("host")
_MIN_POLLING_INTERVAL = 0.1
_POISON = "-poison"


class QueueListener:
    """Listens for one function. `visibility` is how many seconds a message stays hidden without renewal.

    `tasks` holds the messages under way.
    """

    def __init__(
        self,
        runtime: Runtime,
        function: Function,
        service: "QueueServiceClient",
        options: QueueOptions,
        visibility: int = 600,
    ) -> None:
        name = str(function.trigger["queueName"]).lower()
        self._runtime = runtime
        self._function = function
        self._options = options
        self._visibility = visibility
        self._name = name
        self._queue = service.get_queue_client(name)
        # A poison queue has none of its own: what fails there stays hidden until its time is up, and comes again.
        self._poison = None if name.endswith(_POISON) else service.get_queue_client(name + _POISON)
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listens until cancelled; messages under way go on."""
        delay = _MIN_POLLING_INTERVAL
        while True:
            while len(self.tasks) > self._options.new_batch_threshold:
                await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
            messages = await self._receive()
            for message in messages:
                task = asyncio.create_task(self._process(message))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
            if messages:
                delay = _MIN_POLLING_INTERVAL
            else:
                await asyncio.sleep(delay)
                delay = min(delay * 2, self._options.max_polling_interval)

    async def run_now(self, text: str) -> None:
        """Runs the function on a text that is on no queue, for the admin endpoint."""
        await self._runtime.invoke(self._function, _string(text), {"DequeueCount": 1, "Id": "", "PopReceipt": ""})

    async def _receive(self) -> "list[QueueMessage]":
        def receive() -> "list[QueueMessage]":
            size = self._options.batch_size
            return list(self._queue.receive_messages(max_messages=size, visibility_timeout=self._visibility))

        try:
            return await asyncio.to_thread(receive)
        except ResourceNotFoundError:
            _log.warning("queue %s does not exist", self._name)
        except AzureError as error:
            _log.warning("queue %s cannot be read: %s", self._name, _first_line(error))
        return []

    async def _process(self, message: "QueueMessage") -> None:
        lease = _Invisibility(self._queue, message, self._visibility)
        text = self._decode(message.content)
        attempts = message.dequeue_count or 1
        try:
            if text is None or (self._poison and attempts > self._options.max_dequeue_count):
                await self._move_to_poison(message, lease)
                return
            async with lease.renewed():
                outcome = await self._runtime.invoke(self._function, _string(text), _metadata(message))
            if outcome.ok:
                await lease.delete()
            elif self._poison and attempts >= self._options.max_dequeue_count:
                await self._move_to_poison(message, lease)
            elif self._poison:
                await lease.release(int(self._options.visibility_timeout))
        except FunctionTimeout:
            return
        except AzureError as error:
            _log.warning("queue %s, message %s: %s", self._name, message.id, _first_line(error))

    def _decode(self, content: str) -> str | None:
        if not self._options.base64:
            return content
        try:
            return base64.b64decode(content, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return None

    async def _move_to_poison(self, message: "QueueMessage", lease: "_Invisibility") -> None:
        poison = self._poison
        if poison is None:
            _log.error("queue %s, message %s cannot be decoded", self._name, message.id)
            return
        _log.error("message %s moved to queue %s", message.id, poison.queue_name)
        try:
            await asyncio.to_thread(poison.send_message, message.content)
        except ResourceNotFoundError:
            await asyncio.to_thread(poison.create_queue)
            await asyncio.to_thread(poison.send_message, message.content)
        await lease.delete()


class _Invisibility:
    """Hides one message while it is worked on. Each renewal gives a new pop receipt, so all calls pass here."""

    def __init__(self, queue: Any, message: "QueueMessage", seconds: int) -> None:
        self._queue = queue
        self._id = message.id
        self._receipt = message.pop_receipt
        self._seconds = seconds

    @contextlib.asynccontextmanager
    async def renewed(self) -> "AsyncIterator[None]":
        """Renews at half time for as long as the context lasts."""
        over = asyncio.Event()
        task = asyncio.create_task(self._renew(over))
        try:
            yield
        finally:
            over.set()
            await task  # not cancelled: a renewal on its way changes the receipt that the next call needs

    async def _renew(self, over: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), self._seconds / 2)
                return
            try:
                await self.release(self._seconds)
            except AzureError as error:
                _log.warning("message %s: its invisibility could not be renewed: %s", self._id, _first_line(error))

    async def release(self, seconds: int) -> None:
        """Makes the message visible after `seconds`."""
        answer = await asyncio.to_thread(
            self._queue.update_message, self._id, self._receipt, visibility_timeout=seconds
        )
        self._receipt = answer.pop_receipt

    async def delete(self) -> None:
        """Deletes the message."""
        await asyncio.to_thread(self._queue.delete_message, self._id, self._receipt)


def _string(text: str) -> Any:
    from azure_functions_runtime.bindings.datumdef import Datum

    return Datum(text, "string")


def _metadata(message: "QueueMessage") -> dict[str, object]:
    times = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    return {
        "DequeueCount": message.dequeue_count,
        "Id": message.id,
        "PopReceipt": message.pop_receipt,
        **{name: moment.isoformat() for name, moment in times.items() if moment},
    }


def _first_line(error: AzureError) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
