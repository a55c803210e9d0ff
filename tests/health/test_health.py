import asyncio
import json
import logging

import azure.functions as func
import pytest

from health import blueprint
from mailsync.errors import Misconfigured
from mailsync.telemetry import Tally


def ask():
    call = blueprint.health.build().get_user_function()
    response = asyncio.run(call(func.HttpRequest("GET", "https://connect.example/health", body=b"")))
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, json.loads(response.get_body())


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(blueprint, "_failures", Tally())


def test_settings_that_load(monkeypatch, caplog):
    monkeypatch.setattr(blueprint, "app", object)
    assert ask() == (200, {"status": "ok"})
    assert caplog.messages == []


def test_settings_that_do_not_load_are_told_in_the_log_alone(monkeypatch, caplog):
    def misconfigured():
        raise Misconfigured("bad_settings", "KEY_VAULT_URL is missing")

    monkeypatch.setattr(blueprint, "app", misconfigured)
    with caplog.at_level(logging.ERROR, logger="mailsync"):
        assert [ask() for _ in range(20)] == [(503, {"status": "misconfigured"})] * 20
    assert caplog.messages == ["misconfigured reason=bad_settings detail=KEY_VAULT_URL_is_missing"]
