"""The pages' web server and a real browser on it."""

import os

import pytest

from tests.browser.chrome import chromium, launched
from tests.browser.site import Site, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The web server."""
    with serving(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def chrome(served):
    """The browser. It is ended with each module: Playwright's event loop lets no other run in its thread."""
    if chromium() is None:
        missing = "no Chromium: `apt-get install chromium` on Debian, or name one by the variable CHROMIUM"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with launched(served) as browser:
        yield browser


@pytest.fixture
def site(served, monkeypatch) -> Site:
    """The web server with a world of this test's own."""
    served.begin_anew(monkeypatch)
    return served


@pytest.fixture
def tab(chrome, site):
    """Opens a tab: `tab(width=390, …)`, with the options of a browser context. No page may say anything in its console."""
    contexts, complaints = [], []

    def open_tab(width: int = 1280, height: int = 800, **options):
        size = {"width": width, "height": height}
        context = chrome.new_context(viewport=size, ignore_https_errors=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.set_default_timeout(10_000)
        return page

    yield open_tab
    for context in contexts:
        context.close()
    assert [text for text in complaints if "status of" not in text] == []  # a refusal's status is no complaint
