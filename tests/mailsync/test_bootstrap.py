"""The program's parts hold what they have learnt, such as tokens and keys, so that there must be one of each."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from mailsync import bootstrap
from mailsync.bootstrap import App
from mailsync.settings import Settings

_ENVIRON = {
    "PUBLIC_BASE_URL": "https://connect.example",
    "ENTRA_CLIENT_ID": "22222222-2222-4222-8222-222222222222",
    "KEY_VAULT_URL": "https://vault.example",
    "MAIL_STORAGE": "UseDevelopmentStorage=true",
    "AZURE_CLIENT_ID": "33333333-3333-4333-8333-333333333333",
}
_THREADS = 8


@pytest.fixture
def eager_threads():
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(ask):
    """What threads get that ask at the same moment."""
    start = threading.Barrier(_THREADS)

    def answer(_):
        start.wait()
        return ask()

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(answer, range(_THREADS)))


@pytest.mark.parametrize("part", ["synchronizer", "signing_keys", "tokens", "notifications"])
def test_threads_get_the_same_part(part, eager_threads):
    for _ in range(20):
        app = App(Settings.load(_ENVIRON))
        assert len({id(found) for found in together(partial(getattr, app, part))}) == 1
        assert any(part is app.signing_keys for part in vars(app.keeper).values())


def test_a_part_that_stands_in_is_what_all_others_are_built_on():
    queue, messages = object(), object()
    app = App(Settings.load(_ENVIRON), queue=queue, messages=messages, clock=lambda: "now")
    assert (app.queue, app.messages, app.clock()) == (queue, messages, "now")


@pytest.mark.parametrize("name", ["que", "_lock", "__class__"])
def test_what_is_no_part_cannot_stand_in(name):
    with pytest.raises(TypeError, match=f"no part {name}"):
        App(Settings.load(_ENVIRON), **{name: object()})


def test_threads_get_the_same_program(monkeypatch, eager_threads):
    for name, value in _ENVIRON.items():
        monkeypatch.setenv(name, value)
    bootstrap._app.cache_clear()  # noqa: SLF001 - a process has one, and this one has had it
    assert len({id(found) for found in together(bootstrap.app)}) == 1
    bootstrap._app.cache_clear()  # noqa: SLF001 - a process has one, and this one has had it
