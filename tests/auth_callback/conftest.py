from types import SimpleNamespace

import pytest

from mailsync.connect.approval import Approvals
from mailsync.telemetry import Tallies
from tests.auth_callback.browser import Browser
from tests.mailsync.connect.sign_in import SignIn


@pytest.fixture
def world(monkeypatch) -> SignIn:
    world = SignIn()
    approvals = Approvals(world.settings, world.directory, lambda: world.now)
    parts = SimpleNamespace(settings=world.settings, connector=world.connector, approvals=approvals)
    monkeypatch.setattr("auth_callback.blueprint.app", lambda: parts)
    monkeypatch.setattr("auth_callback.pages.app", lambda: parts)
    monkeypatch.setattr("auth_callback.answers._told", Tallies())
    return world


@pytest.fixture
def browser() -> Browser:
    return Browser()
