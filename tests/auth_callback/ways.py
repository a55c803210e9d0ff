"""The ways of an owner and of an administrator through the pages."""

import re

from tests.auth_callback.browser import Answer, Browser
from tests.mailsync.connect.sign_in import TENANT, answer

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


def begin(browser: Browser) -> str:
    location = browser.post("/connect").headers["Location"]
    return location.partition("state=")[2]


def connect(browser: Browser) -> Answer:
    return browser.post("/auth/callback", answer(begin(browser)))


def approve(browser: Browser, **answer: str) -> Answer:
    """Presses the button of the administrators' page, and comes back with Microsoft's answer."""
    location = browser.post("/connect/approval").headers["Location"]
    state = re.search(r"state=([^&]+)", location)[1]
    return browser.get("/auth/callback", **{"admin_consent": "True", "tenant": TENANT, "state": state, **answer})
