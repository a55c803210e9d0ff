"""One sandbox for the session, with the app in Microsoft's runtime, on a directory and ports of its own."""

import contextlib
import os
from pathlib import Path

import pytest

from sandbox.up import Sandbox
from tests.e2e.product import Product


@pytest.fixture(scope="session")
def _environment(tmp_path_factory):
    return {
        "SANDBOX_HOME": str(tmp_path_factory.mktemp("sandbox")),
        "POLL_INTERVAL_SECONDS": "1",
        "SANDBOX_QUEUE_VISIBILITY_SECONDS": "2",  # how soon the hint of a killed worker comes again
    }


@pytest.fixture(scope="session")
def _running(_environment):
    with _set(_environment):
        sandbox = Sandbox(restart_host=True).__enter__()
    try:
        with _set({**_environment, "REQUESTS_CA_BUNDLE": sandbox.state.ca_file}):
            product = Product(sandbox.state)
        yield sandbox, product
        product.close()
    finally:
        sandbox.child("host").process.kill()  # what it is doing needs no end, and might wait for one
        with _set(_environment):
            sandbox.__exit__()


@contextlib.contextmanager
def _set(environment):
    """The environment for as long as it is needed: other suites of the session have another."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def sandbox(_environment, _running, monkeypatch):
    """The `Sandbox`, with this test's environment as its commands have it."""
    running, _ = _running
    for name, value in {**_environment, "REQUESTS_CA_BUNDLE": running.state.ca_file}.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def product(sandbox, _running):
    """The product; no fault outlives its test."""
    yield _running[1]
    _running[1].clear_faults()


@pytest.fixture
def home(sandbox):
    """The sandbox's directory, with the logs."""
    return Path(os.environ["SANDBOX_HOME"])
