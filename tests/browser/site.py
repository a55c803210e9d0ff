"""The app's pages on fakes, as a real browser meets them over HTTPS."""

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from html import escape
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import trustme

from mailsync.connect.approval import Approvals
from mailsync.errors import Misconfigured, Rejected
from mailsync.mailboxes.records import LastError, MailboxState
from mailsync.reasons import Reason
from mailsync.telemetry import Tallies
from tests.auth_callback.browser import ORIGIN, Answer, Browser
from tests.mailsync.connect.sign_in import MAILBOX, NOW, TENANT, SignIn, answer

MICROSOFT = "https://login.microsoftonline.com"
HOSTS = [urlsplit(origin).hostname for origin in (ORIGIN, MICROSOFT)]


class Site:
    """A web server that is the app at its own name, by its routes on fakes, and a bare page at Microsoft's.

    `world`: the fakes, anew for each test.
    """

    world: SignIn

    def __init__(self, certificate: Path, key: Path) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def begin_anew(self, patch: pytest.MonkeyPatch) -> None:
        """The routes work on a world of their own from now on, as long as `patch` lasts."""
        self.world = world = SignIn()
        approvals = Approvals(world.settings, world.directory, lambda: world.now)
        parts = SimpleNamespace(settings=world.settings, connector=world.connector, approvals=approvals)
        for module in ("blueprint", "pages"):
            patch.setattr(f"auth_callback.{module}.app", lambda: parts)
        patch.setattr("auth_callback.answers._told", Tallies())

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """The web server, with its certificate in `folder`."""
    leaf = trustme.CA().issue_cert(*HOSTS)
    leaf.cert_chain_pems[0].write_to_path(folder / "chain.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    site = Site(folder / "chain.pem", folder / "key.pem")
    try:
        yield site
    finally:
        site.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Site, *arguments: object) -> None:
        self._site = site
        super().__init__(*arguments)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if f"https://{self.headers['Host']}" != ORIGIN:
            self._send(
                200, {"Content-Type": "text/html"}, f"<!doctype html><h1>Microsoft</h1><p>{escape(url.path)}</p>"
            )
            return
        done = self._browser().get(url.path, **dict(parse_qsl(url.query, keep_blank_values=True)))
        self._answer(done)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self._browser().post(self.path, headers=dict(self.headers), body=body))

    def _browser(self) -> Browser:
        browser = Browser()
        sent = SimpleCookie(self.headers.get("Cookie", ""))
        browser.cookies = {name: morsel.value for name, morsel in sent.items()}
        return browser

    def _answer(self, done: Answer) -> None:
        self._send(done.status, done.headers, done.text, *(each.OutputString() for each in done.cookies.values()))

    def _send(self, status: int, headers: dict[str, str], text: str, *cookies: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            if name != "Set-Cookie":
                self.send_header(name, value)
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _open(page, path: str) -> None:
    page.goto(f"{ORIGIN}{path}")


def _state(page) -> str:
    """The state with which the browser is at Microsoft's."""
    return parse_qs(urlsplit(page.url).query)["state"][0]


def _microsofts_answer(page, **fields: str) -> None:
    """Microsoft's page posts its answer to the app, as its own does."""
    inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
    form = f'<form method="post" action="{ORIGIN}/auth/callback">{inputs}<button>Go on</button></form>'
    page.set_content(form)
    with page.expect_navigation():
        page.get_by_role("button").click()


def begin(page) -> str:
    """From the first page to Microsoft's; returns the state."""
    _open(page, "/connect")
    page.get_by_role("button", name="Continue with Microsoft").click()
    page.wait_for_url(f"{MICROSOFT}/**")
    return _state(page)


def connect(page, world: SignIn) -> None:
    _microsofts_answer(page, **answer(begin(page)))


def _declined(page, world: SignIn) -> None:
    world.directory.failure = Rejected(Reason.CONSENT_DECLINED, "Entra answered access_denied (AADSTS65004).")
    _microsofts_answer(page, error="access_denied", state=begin(page))


def _ours(page, world: SignIn) -> None:
    world.directory.failure = Misconfigured(Reason.INVALID_CLIENT, "Ours.")
    connect(page, world)


def begin_approval(page) -> str:
    """From the administrators' page to Microsoft's; returns the state."""
    _open(page, "/connect/approval")
    page.get_by_role("button", name="Review and approve").click()
    page.wait_for_url(f"{MICROSOFT}/**")
    return _state(page)


def approval_answered(page, state: str, *, declined: bool = False) -> None:
    more = "&error=access_denied" if declined else ""
    _open(page, f"/auth/callback?admin_consent=True&tenant={TENANT}&state={state}{more}")


def _wrong_inbox(page, world: SignIn) -> None:
    world.accounts.rows.clear()
    connect(page, world)


def _to_reconnect(page, world: SignIn) -> None:
    connect(page, world)
    mailbox = world.mailboxes.rows[MAILBOX]
    lost = replace(
        mailbox, state=MailboxState.NEEDS_RECONNECT, last_error=LastError(NOW, Reason.GRANT_REVOKED, "Gone.")
    )
    world.mailboxes.save(lost)
    page.reload()


type Way = Callable[[object, SignIn], None]

PAGES: dict[str, Way] = {
    "connect": lambda page, world: _open(page, "/connect"),
    "approval": lambda page, world: _open(page, "/connect/approval"),
    "approved": lambda page, world: approval_answered(page, begin_approval(page)),
    "approved-not-checked": lambda page, world: approval_answered(page, "made-up"),
    "approval-declined": lambda page, world: approval_answered(page, begin_approval(page), declined=True),
    "approval-declined-not-checked": lambda page, world: approval_answered(page, "made-up", declined=True),
    "connected": connect,
    "to-reconnect": _to_reconnect,
    "nothing-to-show": lambda page, world: _open(page, "/connect/done"),
    "refused-no-account": _wrong_inbox,
    "refused-needs-approval": _declined,
    "refused-ours": _ours,
}
"""Every page, and the way there in a browser."""


def heading(page) -> str:
    return re.sub(r"\s+", " ", page.locator("h1").inner_text())
