"""Where a running sandbox is noted, so that every command finds it by itself."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
"""The function app's directory."""


class SandboxError(Exception):
    """A command cannot do what it says; the message says why, and what to do."""


def home() -> Path:
    """The directory of this sandbox's files: `SANDBOX_HOME`, or `.sandbox` in the project."""
    return Path(os.environ.get("SANDBOX_HOME") or PROJECT / ".sandbox").resolve()


@dataclass(frozen=True, slots=True)
class State:
    """A running sandbox: base addresses, the authority to trust, the app's settings, process ids by name."""

    app: str
    entra: str
    graph: str
    key_vault: str
    control: str
    tables: str
    queues: str
    blobs: str
    ca_file: str
    environment: dict[str, str]
    pids: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """The content of the state file and of the ready file."""
        return {
            "app": self.app,
            "entra": self.entra,
            "graph": self.graph,
            "keyVault": self.key_vault,
            "control": self.control,
            "tables": self.tables,
            "queues": self.queues,
            "blobs": self.blobs,
            "caFile": self.ca_file,
            "environment": self.environment,
            "pids": self.pids,
        }

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.part")
        draft.write_text(json.dumps(self.to_json(), indent=2), encoding="utf-8")
        draft.replace(path)


def state_path() -> Path:
    """The state file of this sandbox."""
    return home() / "state.json"


def load_state() -> State:
    """The sandbox that is running. Raises SandboxError where none is."""
    missing = SandboxError("no sandbox is running here; start one with `python -m sandbox up` (or `make run`)")
    try:
        content = json.loads(state_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing from None
    if not all(map(_is_alive, content["pids"].values())):
        raise missing
    return State(
        app=content["app"],
        entra=content["entra"],
        graph=content["graph"],
        key_vault=content["keyVault"],
        control=content["control"],
        tables=content["tables"],
        queues=content["queues"],
        blobs=content["blobs"],
        ca_file=content["caFile"],
        environment=content["environment"],
        pids=content["pids"],
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
