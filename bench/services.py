"""What the measured programs talk to, each in a process of its own: Azurite and the server of ready-made pages."""

import json
import os
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from sandbox.azurite import Azurite
from sandbox.certificates import Certificates, write_certificates
from sandbox.constants import APP_CLIENT_ID
from sandbox.processes import Child, spawn, wait_for
from sandbox.storage import create_storage

PROJECT = Path(__file__).resolve().parent.parent
_TIMEOUT = 300


class Services:
    """`with Services() as services:` ends at its end whatever was started meanwhile."""

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="bench-")
        self.home = Path(self._folder.name)
        self._azurites: list[Azurite] = []
        self._children: list[Child] = []
        self._origins: dict[tuple[str, ...], str] = {}
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.stop()
        for azurite in self._azurites:
            azurite.stop()
        self._folder.cleanup()

    @cached_property
    def certificates(self) -> Certificates:
        """One authority for all."""
        return write_certificates(self.home / "certificates")

    @cached_property
    def azurite(self) -> Azurite:
        """The storage that most rows use."""
        return self.new_azurite()

    def new_azurite(self) -> Azurite:
        """Another storage account, empty, in memory."""
        azurite = Azurite(self.certificates)
        self._azurites.append(azurite)
        create_storage(azurite.connection_string, self.certificates.ca)
        return azurite

    def graph(self, *kinds: str) -> list[str]:
        """Graph's roots for mailboxes of these kinds, in one process of their own; started at the first call."""
        origin = self._page_server(kinds)
        return [f"{origin}/{kind}/v1.0" for kind in kinds]

    def _page_server(self, kinds: tuple[str, ...]) -> str:
        if kinds in self._origins:
            return self._origins[kinds]
        ready = self.home / "page-server.ready"
        ready.unlink(missing_ok=True)
        files = self.certificates
        command = ["bench.page_server", "--certificate", str(files.server), "--key", str(files.key)]
        command += ["--ready-file", str(ready), "--kinds", *kinds]
        child = spawn("page-server", command, {}, self.home / "page-server.log")
        self._children.append(child)
        wait_for(child, ready.exists, _TIMEOUT)
        self._origins[kinds] = ready.read_text(encoding="utf-8")
        return self._origins[kinds]

    def settings(self, graph: str, azurite: Azurite | None = None) -> dict[str, str]:
        """The program's settings on these services; storage by Azurite's documented key."""
        return {
            "PUBLIC_BASE_URL": "https://localhost",
            "ENTRA_CLIENT_ID": APP_CLIENT_ID,
            "ENTRA_AUTHORITY_HOST": "https://localhost",
            "GRAPH_ENDPOINT": graph,
            "KEY_VAULT_URL": "https://localhost",
            "MAIL_STORAGE": (azurite or self.azurite).connection_string,
            "REQUESTS_CA_BUNDLE": str(self.certificates.ca),
            "SSL_CERT_FILE": str(self.certificates.ca),
        }


def measured(module: str, *arguments: str, environment: dict[str, str] | None = None) -> Any:
    """Runs `python -m module` in a fresh process and returns the JSON that its last line holds."""
    run = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **(environment or {})},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed:\n{run.stderr[-3000:]}")
    return json.loads(run.stdout.splitlines()[-1])
