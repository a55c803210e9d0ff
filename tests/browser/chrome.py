"""Debian's Chromium, driven by Playwright's Python package, which brings none of its own."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tests.browser.site import HOSTS, Site

FLAGS = [
    "--no-sandbox",  # CI runs as root, where Chromium's own sandbox does not
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """The browser's executable: the one that CHROMIUM names, or one on PATH."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def launched(site: Site) -> Iterator:
    """The browser, which knows no other hosts than the site's."""
    from playwright.sync_api import sync_playwright

    names = ", ".join(f"MAP {host} 127.0.0.1:{site.port}" for host in HOSTS)
    rules = f"--host-resolver-rules={names}, MAP * ~NOTFOUND"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, rules])
        yield browser
        browser.close()
