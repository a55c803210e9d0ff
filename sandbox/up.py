"""`python -m sandbox up`: storage, the stand-in for Microsoft 365 and the Functions host, wired together."""

import json
import os
import signal
import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Self

import httpx

from mailsync.terminal import say
from sandbox import constants
from sandbox.azurite import Azurite, AzuriteError
from sandbox.certificates import Certificates, write_certificates
from sandbox.processes import Child, spawn, wait_for
from sandbox.state import SandboxError, State, home, load_state, state_path
from sandbox.storage import create_storage

PREFERRED_PORT = 7071
_START_TIMEOUT = 60
_signals: list[int] = []
"""What the process was sent, to end."""


class Sandbox:
    """Everything, running: `with Sandbox() as sandbox:` ends it all at the end.

    `port` is the app's; None takes 7071, or a free one where that is taken. With `restart_host` a host that
    dies is started again, as Azure would, and requests made meanwhile wait; else its death ends the sandbox.
    With `log_storage` each request to storage leaves a line in azurite.log beside the other logs.
    """

    def __init__(self, port: int | None = None, *, restart_host: bool = False, log_storage: bool = False) -> None:
        self._restart_host = restart_host
        self._log_storage = log_storage
        self._wanted_port = port
        self._home = home()
        self._children: dict[str, Child] = {}
        self._azurite: Azurite | None = None
        self.ready_file: Path | None = None
        self.state: State

    def __enter__(self) -> Self:
        _refuse_second()
        self._listener = _listen(self._wanted_port)
        self._app = f"https://localhost:{self._listener.getsockname()[1]}"
        self._home.mkdir(parents=True, exist_ok=True)
        (self._home / "timers.json").unlink(missing_ok=True)
        for log in (self._home / "logs").glob("*.*"):
            log.unlink()
        self._certificates = write_certificates(self._home / "certificates")
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        state_path().unlink(missing_ok=True)
        for child in reversed(self._children.values()):
            child.stop()
        if self._azurite:
            self._azurite.stop()
        self._listener.close()

    def child(self, name: str) -> Child:
        """A process of the sandbox: `microsoft365`, `host`."""
        return self._children[name]

    def watch(self) -> None:
        """Returns never. Raises SandboxError when a process dies."""
        while True:
            time.sleep(0.2)
            if _signals:  # Python loses what a signal raises in a destructor
                raise KeyboardInterrupt
            self.check()

    def check(self) -> None:
        """Raises SandboxError where a process has died, or starts the host again where that is wanted."""
        if self._azurite and self._azurite.process.poll() is not None:
            raise SandboxError("azurite has ended; the sandbox stops")
        for name, child in list(self._children.items()):
            if child.process.poll() is None:
                continue
            if name != "host" or not self._restart_host:
                raise SandboxError(f"{name} has ended; the sandbox stops. Its last words:\n{child.tail()}")
            self._start_host(self.state.environment)
            self._publish()
            say(f"the host has ended and runs again, process {self.state.pids['host']}")

    def _start(self) -> None:
        try:
            (self._home / "logs").mkdir(exist_ok=True)
            log = self._home / "logs/azurite.log" if self._log_storage else None
            self._azurite = Azurite(self._certificates, access_log=log)
        except AzuriteError as error:
            raise SandboxError(str(error)) from error
        create_storage(self._azurite.connection_string, self._certificates.ca)
        services = self._start_microsoft365()
        environment = _settings(self._app, services, self._azurite, self._certificates)
        self.state = State(
            app=self._app,
            entra=services["entra"],
            graph=services["graph"],
            key_vault=services["keyVault"],
            control=services["control"],
            tables=self._azurite.tables,
            queues=self._azurite.queues,
            blobs=self._azurite.blobs,
            ca_file=str(self._certificates.ca),
            environment=environment,
            pids={},
        )
        self._start_host(environment)
        self._publish()

    def _start_microsoft365(self) -> dict[str, str]:
        ready = self._home / "microsoft365.json"
        ready.unlink(missing_ok=True)
        files = self._certificates
        command = ["sandbox.microsoft365", "--certificate", str(files.server), "--key", str(files.key)]
        command += ["--ca", str(files.ca), "--ready-file", str(ready), "--redirect-uri", f"{self._app}/auth/callback"]
        child = spawn("microsoft365", command, {}, self._home / "logs/microsoft365.log")
        self._children["microsoft365"] = child
        wait_for(child, ready.exists, _START_TIMEOUT)
        services: dict[str, str] = json.loads(ready.read_text(encoding="utf-8"))
        return services

    def _start_host(self, environment: dict[str, str]) -> None:
        files = self._certificates
        descriptor = self._listener.fileno()
        command = ["sandbox", "host", "--descriptor", str(descriptor)]
        command += ["--certificate", str(files.server), "--key", str(files.key)]
        child = spawn("host", command, environment, self._home / "logs/host.log", [descriptor])
        self._children["host"] = child
        wait_for(child, lambda: _answers(self._app, str(files.ca)), _START_TIMEOUT)

    def _publish(self) -> None:
        pids = {name: child.process.pid for name, child in self._children.items()}
        if self._azurite:
            pids["azurite"] = self._azurite.pid
        self.state = replace(self.state, pids=pids)
        self.state.save(state_path())
        if self.ready_file:
            self.state.save(self.ready_file)


def run_up(port: int | None, ready_file: Path | None, *, restart_host: bool) -> int:
    """The command: runs until SIGINT or SIGTERM."""
    stop_on_signals()
    sandbox = Sandbox(port, restart_host=restart_host)
    sandbox.ready_file = ready_file
    try:
        with sandbox:
            say(*describe(sandbox.state).split("\n"))
            sandbox.watch()
    except KeyboardInterrupt:
        return 0
    finally:
        if ready_file:
            ready_file.unlink(missing_ok=True)
    return 1


def stop_on_signals() -> None:
    """Makes SIGTERM what SIGINT is, and SIGINT itself again where a shell made it ignored."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        _signals.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def describe(state: State) -> str:
    """The addresses, one a line."""
    rows = {
        "app": f"{state.app}/connect",
        "Entra": state.entra,
        "Graph": state.graph,
        "Key Vault": state.key_vault,
        "tables": state.tables,
        "queues": state.queues,
        "blobs": state.blobs,
        "CA": state.ca_file,
        "logs": str(home() / "logs"),
    }
    return "\n".join(f"  {name:<10}{value}" for name, value in rows.items())


def _settings(app: str, services: dict[str, str], azurite: Azurite, certificates: Certificates) -> dict[str, str]:
    """The app's settings, as `infra/` sets them in Azure, with the sandbox's addresses. None is a secret."""
    return {
        "PUBLIC_BASE_URL": app,
        "ENTRA_CLIENT_ID": constants.APP_CLIENT_ID,
        "ENTRA_AUTHORITY_HOST": services["entra"],
        "AZURE_CLIENT_ID": constants.MANAGED_IDENTITY_CLIENT_ID,
        "GRAPH_ENDPOINT": services["graph"],
        "KEY_VAULT_URL": services["keyVault"],
        "MAIL_STORAGE__tableServiceUri": azurite.tables,
        "MAIL_STORAGE__queueServiceUri": azurite.queues,
        "MAIL_STORAGE__blobServiceUri": azurite.blobs,
        "MAIL_STORAGE__credential": "managedidentity",
        "MAIL_STORAGE__clientId": constants.MANAGED_IDENTITY_CLIENT_ID,
        "IDENTITY_ENDPOINT": f"{services['entra']}/msi/token",
        "IDENTITY_HEADER": constants.IDENTITY_HEADER,
        "REQUESTS_CA_BUNDLE": str(certificates.ca),
        "SSL_CERT_FILE": str(certificates.ca),
        "AzureWebJobsDisableHomepage": "true",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1048576",
        "POLL_INTERVAL_SECONDS": os.environ.get("POLL_INTERVAL_SECONDS", "5"),
    }


def _refuse_second() -> None:
    try:
        state = load_state()
    except SandboxError:
        return
    processes = ", ".join(map(str, state.pids.values()))
    raise SandboxError(
        f"a sandbox is running already, at {state.app} (processes {processes});"
        " end it, or set SANDBOX_HOME to run another beside it"
    )


def _listen(port: int | None) -> socket.socket:
    """Takes the app's port at once and for as long as the sandbox runs, so that nobody else gets it between."""
    for candidate in (port,) if port else (PREFERRED_PORT, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(1024)
        except OSError:
            listener.close()
        else:
            return listener
    raise SandboxError(f"port {port} is in use; choose another with --port")


def _answers(url: str, ca_file: str) -> bool:
    """Whether anything, an error page included, comes from an HTTPS address."""
    try:
        httpx.get(url, verify=ssl.create_default_context(cafile=ca_file), timeout=1, trust_env=False)
    except httpx.TransportError:
        return False
    return True
