"""The log that tests look at, and a cap that few messages reach."""

import pytest

from mailsync.sync import delta_reader


@pytest.fixture
def log(caplog):
    caplog.set_level("INFO", "mailsync")
    return caplog


@pytest.fixture
def small_cap(monkeypatch):
    monkeypatch.setattr(delta_reader, "FILTERED_CAP", 20)
