"""Owners at a browser, and the operator at a shell."""

import html
import os
import re
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

from sandbox.browser import Browser
from sandbox.state import PROJECT


class Owner(Browser):
    """A browser that goes one page at a time and remembers the secrets that passed through it."""

    def __init__(self, state):
        super().__init__(state.ca_file)
        self.app = state.app
        self.secrets = set()
        self.cookies = {}
        self._client.event_hooks = {"request": [self._sent], "response": [self._received]}

    def begin(self):
        """Presses the button of the consent page; returns Microsoft's first page and the sign-in's state."""
        page = self.open(f"{self.app}/connect")
        return self.submit(page, page.forms[0])

    def sign_in(self, page, address):
        """Names the account; returns the page after it."""
        form = next(form for form in page.forms if "address" in form.asks_for)
        return self.submit(page, form, address=address)

    def decide(self, page, decision):
        """Presses a button of the consent page; returns the page that carries the answer to the app."""
        return self.submit(page, page.forms[0], decision=decision)

    def answer(self, page):
        """Brings Microsoft's answer to the app; returns the app's page."""
        return self.submit(page, page.forms[0])

    def connect(self, address):
        """All of it; returns the app's last page."""
        page = self.sign_in(self.begin(), address)
        if any("decision" in form.buttons for form in page.forms):
            page = self.decide(page, "accept")
        return self.answer(page)

    @staticmethod
    def handed_on(page):
        """The address that a page shows to be copied for somebody else."""
        return html.unescape(re.search(r"<textarea[^>]*>([^<]+)</textarea>", page.html)[1])

    def approve(self, link, address):
        """As the administrator of that address: opens the page, approves at Microsoft; returns the app's last page."""
        page = self.open(link)
        consent = self.sign_in(self.submit(page, page.forms[0]), address)
        return self.decide(consent, "accept")

    @property
    def state(self):
        """The state of the latest sign-in."""
        return self._state

    def _sent(self, request):
        fields = parse_qs(request.read().decode()) | parse_qs(urlsplit(str(request.url)).query)
        fields |= parse_qs(fields.get("request", [""])[0])
        for name in ("code", "state", "nonce"):
            self.secrets.update(fields.get(name, ()))
        if "state" in fields:
            self._state = fields["state"][0]

    def _received(self, response):
        for name, value in response.cookies.items():
            self.cookies[name] = value
            self.secrets.add(value)


def operator(state, *arguments):
    """Runs `python -m mailsync.admin …` on the sandbox's settings; returns what it prints."""
    command = [sys.executable, "-m", "mailsync.admin", *arguments]
    environment = {**os.environ, **state.environment}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
