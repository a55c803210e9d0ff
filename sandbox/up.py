"""`python -m sandbox up`: storage, the stand-in for Microsoft 365 and the Functions host, wired together."""

import json
import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Self

from sandbox import constants
from sandbox.azurite import Azurite, AzuriteError
from sandbox.certificates import Certificates, write_certificates
from sandbox.processes import Child, spawn, wait_for
from sandbox.state import SandboxError, State, home, load_state, state_path

TABLES = ("messages", "mailboxes", "accounts", "signins")
QUEUES = ("mailbox-sync", "mailbox-sync-poison")
CONTAINER = "message-bodies"
"""What `infra/` creates in Azure."""

PREFERRED_PORT = 7071
_START_TIMEOUT = 60


class Sandbox:
    """Everything, running: `with Sandbox() as sandbox:` ends it all at the end.

    `port` is the app's; None takes 7071, or a free one where that is taken. With `restart_host` a host that
    dies is started again, as Azure would; else its death ends the sandbox.
    """

    def __init__(self, port: int | None = None, *, restart_host: bool = False) -> None:
        self._restart_host = restart_host
        self._port = port or (PREFERRED_PORT if _is_free(PREFERRED_PORT) else _free_port())
        self._home = home()
        self._children: dict[str, Child] = {}
        self._azurite: Azurite | None = None
        self.ready_file: Path | None = None
        self.state: State

    def __enter__(self) -> Self:
        _refuse_second()
        if not _is_free(self._port):
            raise SandboxError(f"port {self._port} is in use; choose another with --port")
        self._home.mkdir(parents=True, exist_ok=True)
        (self._home / "timers.json").unlink(missing_ok=True)
        for log in (self._home / "logs").glob("*.log"):
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

    def watch(self) -> None:
        """Returns never. Raises SandboxError when a process dies."""
        while True:
            time.sleep(0.2)
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
            print(f"the host has ended and runs again, process {self.state.pids['host']}", flush=True)

    def _start(self) -> None:
        try:
            self._azurite = Azurite(self._certificates)
        except AzuriteError as error:
            raise SandboxError(str(error)) from error
        create_storage(self._azurite.connection_string, self._certificates.ca)
        services = self._start_microsoft365()
        environment = _settings(self._port, services, self._azurite, self._certificates)
        self.state = State(
            app=f"https://localhost:{self._port}",
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
        command += ["--ready-file", str(ready), "--redirect-uri", f"https://localhost:{self._port}/auth/callback"]
        child = spawn("microsoft365", command, {}, self._home / "logs/microsoft365.log")
        self._children["microsoft365"] = child
        wait_for(child, ready.exists, _START_TIMEOUT)
        services: dict[str, str] = json.loads(ready.read_text(encoding="utf-8"))
        return services

    def _start_host(self, environment: dict[str, str]) -> None:
        files = self._certificates
        command = ["sandbox", "host", "--port", str(self._port)]
        command += ["--certificate", str(files.server), "--key", str(files.key)]
        child = spawn("host", command, environment, self._home / "logs/host.log")
        self._children["host"] = child
        wait_for(child, lambda: not _is_free(self._port), _START_TIMEOUT)

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
            print(describe(sandbox.state), flush=True)
            sandbox.watch()
    except KeyboardInterrupt:
        return 0
    finally:
        if ready_file:
            ready_file.unlink(missing_ok=True)
    return 1


def stop_on_signals() -> None:
    """Makes SIGTERM what SIGINT is, and SIGINT itself again where a shell made it ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


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


def create_storage(connection_string: str, ca: Path) -> None:
    """Creates the tables, queues and the container that the app expects; those that exist stay."""
    from azure.core.exceptions import ResourceExistsError
    from azure.data.tables import TableServiceClient
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

    with TableServiceClient.from_connection_string(connection_string, connection_verify=str(ca)) as tables:
        for name in TABLES:
            tables.create_table_if_not_exists(name)
    with QueueServiceClient.from_connection_string(connection_string, connection_verify=str(ca)) as queues:
        for name in QUEUES:
            try:
                queues.create_queue(name)
            except ResourceExistsError:
                continue
    with BlobServiceClient.from_connection_string(connection_string, connection_verify=str(ca)) as blobs:
        container = blobs.get_container_client(CONTAINER)
        if not container.exists():
            container.create_container()


def _settings(port: int, services: dict[str, str], azurite: Azurite, certificates: Certificates) -> dict[str, str]:
    """The app's settings, as `infra/` sets them in Azure, with the sandbox's addresses. None is a secret."""
    return {
        "PUBLIC_BASE_URL": f"https://localhost:{port}",
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
        "POLL_INTERVAL_SECONDS": os.environ.get("POLL_INTERVAL_SECONDS", "5"),
    }


def _refuse_second() -> None:
    try:
        state = load_state()
    except SandboxError:
        return
    raise SandboxError(f"a sandbox is running already, at {state.app}; set SANDBOX_HOME to run another beside it")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
