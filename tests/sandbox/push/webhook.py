"""An app that is notified, over TLS, and answers as a test tells it to."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


class Webhook:
    """Takes notifications at /notifications and lifecycle events at /lifecycle.

    `answers` are the statuses of the next POSTs (then 202); "never" does not answer until the test is over.
    `echo` makes the answer to a handshake out of its token.
    """

    def __init__(self, url):
        self.answers = []
        self.echo = PlainTextResponse
        self.handshakes = []
        self.posts = []
        self.url = url
        self._arrived = threading.Condition()
        self._over = asyncio.Event()
        self._loop = None

    async def __call__(self, scope, receive, send):
        self._loop = asyncio.get_running_loop()
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        response = await self._answer(scope, body)
        await response(scope, receive, send)

    async def _answer(self, scope, body):
        request = Request(scope)
        if token := request.query_params.get("validationToken"):
            self.handshakes.append((scope["path"], dict(request.query_params), request.headers["content-type"]))
            response = self.echo(token)
            return await self.never() if response is None else response
        with self._arrived:
            status = self.answers.pop(0) if self.answers else 202
            self.posts.append((scope["path"], json.loads(body)["value"]))
            self._arrived.notify_all()
        return await self.never() if status == "never" else Response(status_code=status)

    async def never(self):
        """An answer that comes when the test is over."""
        await self._over.wait()
        return Response(status_code=500)

    def end(self):
        if self._loop:
            self._loop.call_soon_threadsafe(self._over.set)

    def items(self, path="/notifications"):
        """Every item received there so far."""
        return [item for where, items in self.posts if where == path for item in items]

    def wait(self, count=1, path="/notifications", timeout=20):
        """The items received there, once there are so many."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.items(path)) >= count, timeout), self.posts
        return self.items(path)

    def wait_posts(self, count, timeout=20):
        """The POSTs, once there are so many."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.posts) >= count, timeout), self.posts
        return self.posts


class _Server(uvicorn.Server):
    async def shutdown(self, sockets=None):
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # a polite end would wait for whoever keeps the connection
        await super().shutdown(sockets)


@contextmanager
def serving(files):
    """Listens from a thread while the context lasts; yields what makes a webhook, which takes over from the last."""
    listener = socket.create_server(("127.0.0.1", 0))
    current = []

    async def app(scope, receive, send):
        await current[-1](scope, receive, send)

    def webhook():
        current.append(Webhook(f"https://localhost:{listener.getsockname()[1]}"))
        return current[-1]

    config = uvicorn.Config(
        app,
        ssl_certfile=files / "chain.pem",
        ssl_keyfile=files / "key.pem",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="webhook")
    thread.start()
    try:
        yield webhook
    finally:
        server.should_exit = True
        thread.join(timeout=30)


@contextmanager
def listening(files):
    """One webhook, which listens while the context lasts."""
    with serving(files) as new:
        webhook = new()
        yield webhook
        webhook.end()
