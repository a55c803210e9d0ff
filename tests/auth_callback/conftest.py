from types import SimpleNamespace

import pytest

from mailsync.telemetry import Tallies
from tests.auth_callback.browser import Browser
from tests.mailsync.connect.sign_in import SignIn


@pytest.fixture
def world(monkeypatch) -> SignIn:
    world = SignIn()
    parts = SimpleNamespace(settings=world.settings, connector=world.connector)
    monkeypatch.setattr("auth_callback.blueprint.app", lambda: parts)
    monkeypatch.setattr("auth_callback.answers.app", lambda: parts)
    monkeypatch.setattr("auth_callback.answers._told", Tallies())
    return world


@pytest.fixture
def browser() -> Browser:
    return Browser()
