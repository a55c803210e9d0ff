"""Azurite, Microsoft's storage emulator, as a child process: tables, queues and blobs over HTTPS.

https://learn.microsoft.com/azure/storage/common/storage-use-azurite
"""

import re
import subprocess
import threading
from collections import deque
from contextlib import nullcontext
from pathlib import Path
from typing import Self

from sandbox.certificates import Certificates
from sandbox.node import find_node, install_packages
from sandbox.processes import STOP_TIMEOUT, end

ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's built-in account and its key, the same for everybody and documented by Microsoft."""

START_TIMEOUT = 60
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at https://[\d.]+:(\d+)")


class AzuriteError(RuntimeError):
    """Azurite did not start."""


class Azurite:
    """A running Azurite; `with Azurite(certificates) as azurite:` stops it at the end.

    It also ends when the process that started it does, however that ended.
    `location` None keeps everything in memory; then it may answer nothing for a minute where thousands of queue
    messages have been deleted in the minute before, because it looks for the content of each among that of all.
    A port of 0 is a free one. OAuth tokens are accepted besides the account's key; Azurite checks their audience,
    issuer and times but no signature. `access_log`: the file that gets a line for each request.
    `tables`, `queues`, `blobs` are the service addresses, such as https://127.0.0.1:10002/devstoreaccount1.
    """

    def __init__(
        self,
        certificates: Certificates,
        location: Path | None = None,
        *,
        blob_port: int = 0,
        queue_port: int = 0,
        table_port: int = 0,
        access_log: Path | None = None,
    ) -> None:
        """Installs Azurite where it is missing, starts it, and waits until all three services listen."""
        self._access_log = access_log
        self._output: deque[str] = deque(maxlen=40)
        self._ports: dict[str, int] = {}
        self._changed = threading.Event()
        ports = {"blob": blob_port, "queue": queue_port, "table": table_port}
        self.process = subprocess.Popen(
            _command(certificates, location, ports, silent=access_log is None),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # an interrupt at the terminal must not end storage before its users
        )
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read, name="azurite-output", daemon=True)
        self._reader.start()
        self._wait()
        self.blobs, self.queues, self.tables = (
            f"https://127.0.0.1:{self._ports[kind]}/{ACCOUNT}" for kind in ("Blob", "Queue", "Table")
        )

    @property
    def connection_string(self) -> str:
        """The connection string with the documented key."""
        return connection_string(self.blobs, self.queues, self.tables)

    def stop(self) -> None:
        """Ends the process; does nothing where it has ended."""
        end(self.process)
        self._reader.join(STOP_TIMEOUT)
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self) -> None:
        """Drains the output to its end; notes the ports as they are announced."""
        with self._access_log.open("w", encoding="utf-8") if self._access_log else nullcontext() as log:
            for line in self.process.stdout or ():
                self._output.append(line.rstrip())
                if log:
                    log.write(line)
                    log.flush()
                if match := _LISTENING.search(line):
                    self._ports[match[1]] = int(match[2])
                    if len(self._ports) == 3:
                        self._changed.set()
        self._changed.set()

    def _wait(self) -> None:
        in_time = self._changed.wait(START_TIMEOUT)
        if len(self._ports) == 3:
            return
        self.stop()
        problem = "ended" if in_time else f"was not ready within {START_TIMEOUT} s"
        raise AzuriteError(f"Azurite {problem}. Its last words:\n" + "\n".join(self._output))


def connection_string(blobs: str, queues: str, tables: str) -> str:
    """The connection string of an Azurite at these addresses, with the documented key."""
    return (
        f"DefaultEndpointsProtocol=https;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint={blobs};QueueEndpoint={queues};TableEndpoint={tables};"
    )


def _command(certificates: Certificates, location: Path | None, ports: dict[str, int], *, silent: bool) -> list[str]:
    node = find_node()
    script = install_packages(node) / "azurite/dist/src/azurite.js"
    command = [str(node.executable), "--require", str(Path(__file__).with_name("end_with_parent.cjs")), str(script)]
    command += [*(["--silent"] if silent else []), "--skipApiVersionCheck", "--disableTelemetry"]
    command += ["--oauth", "basic", "--cert", str(certificates.server), "--key", str(certificates.key)]
    for kind, port in ports.items():
        # Idle connections outlive the SDK's own pauses, as they do in Azure.
        command += [f"--{kind}Port", str(port), f"--{kind}KeepAliveTimeout", "60"]
    if location is None:
        return [*command, "--inMemoryPersistence"]
    location.mkdir(parents=True, exist_ok=True)
    return [*command, "--location", str(location)]
