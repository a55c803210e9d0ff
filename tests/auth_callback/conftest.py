import pytest

from mailsync.telemetry import Tallies
from tests.auth_callback.browser import Browser
from tests.mailsync.connect.sign_in import SignIn


@pytest.fixture
def world(monkeypatch) -> SignIn:
    world = SignIn()
    monkeypatch.setattr("auth_callback.blueprint.app", lambda: world.app)
    monkeypatch.setattr("auth_callback.pages.app", lambda: world.app)
    monkeypatch.setattr("auth_callback.answers._told", Tallies())
    return world


@pytest.fixture
def browser() -> Browser:
    return Browser()
