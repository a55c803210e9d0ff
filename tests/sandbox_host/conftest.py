"""A host process on the small app beside, with Azurite's queues behind it."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from sandbox.azurite import Azurite
from sandbox.certificates import write_certificates

APP = Path(__file__).parent / "app"
PROJECT = APP.parents[2]


class Host:
    """`python -m sandbox host` on a copy of the app; what its functions record arrives through a pipe."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.app = Path(shutil.copytree(APP, folder / "app", ignore=shutil.ignore_patterns("__pycache__")))
        self.home = folder / "home"
        self.log = folder / "host.log"
        self.pipe = folder / "pipe"
        os.mkfifo(self.pipe)
        # Open for writing as well, so that the pipe never ends while no function holds it.
        self._reader = os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK)
        self._buffer = b""
        self._settings = {**settings, "RECORD_PIPE": str(self.pipe), "SANDBOX_HOME": str(self.home)}
        self.process: subprocess.Popen | None = None

    def start(self, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "sandbox", "host", "--port", str(port), "--app-directory", str(self.app)]
        environment = {**os.environ, **self._settings, **settings}
        self.process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if "host listening" in line:
                return
        raise AssertionError("".join(self.lines))

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, timeout=20)

    def keys(self) -> dict[str, str]:
        return json.loads((self.home / "keys.json").read_text())

    def record(self, seconds: float = 20) -> dict:
        """The next thing a function recorded."""
        while b"\n" not in self._buffer:
            assert select.select([self._reader], [], [], seconds)[0], "nothing was recorded"
            self._buffer += os.read(self._reader, 65536)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal, waits for the end, keeps the log; returns the exit code."""
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=30)
        self.lines.append(rest)
        return self.process.returncode

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def close(self) -> None:
        if self.process and not self.process.stderr.closed:
            self.stop(signal.SIGKILL)
        os.close(self._reader)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return write_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def queues(certificates):
    """Azurite's queue service, with base64 as the trigger expects it."""
    with Azurite(certificates) as azurite:
        client = QueueServiceClient.from_connection_string(
            azurite.connection_string,
            connection_verify=str(certificates.ca),
            message_encode_policy=TextBase64EncodePolicy(),
        )
        client.test_connection_string = azurite.connection_string
        with client:
            yield client


@pytest.fixture
def work(queues):
    """The queue `work`, new and empty, as is its poison queue."""
    for name in ("work", "work-poison"):
        queues.create_queue(name)
    with queues.get_queue_client("work", message_encode_policy=TextBase64EncodePolicy()) as client:
        yield client
    for name in ("work", "work-poison"):
        queues.delete_queue(name)


@pytest.fixture
def host(tmp_path, certificates, queues):
    settings = {
        "TEST_STORAGE": queues.test_connection_string,
        "REQUESTS_CA_BUNDLE": str(certificates.ca),
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1000",
    }
    with contextlib.closing(Host(tmp_path, settings)) as host:
        yield host
