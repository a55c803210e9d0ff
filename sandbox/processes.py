"""The sandbox's processes: started in order, watched together, ended in reverse order."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.state import SandboxError

STOP_TIMEOUT = 20
"""Seconds that a process gets to end by itself."""

_TAIL = 15


@dataclass(slots=True)
class Child:
    """A child process with its log file."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL:])

    def stop(self) -> None:
        """Ends the process; does nothing where it has ended."""
        end(self.process)


def end(process: "subprocess.Popen[Any]") -> None:
    """Asks a process to end, then makes it; does nothing where it has ended."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT)


def spawn(
    name: str, module: Sequence[str], environment: Mapping[str, str], log: Path, descriptors: Sequence[int] = ()
) -> Child:
    """Starts `python -m …` with its output in a log file; it inherits `descriptors`.

    It gets a session of its own: an interrupt at the terminal reaches the parent alone, which ends its
    children in order.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=Path(__file__).resolve().parent.parent,
            start_new_session=True,
            pass_fds=descriptors,
        )
    return Child(name, process, log)


def wait_for(child: Child, ready: Callable[[], bool], seconds: float) -> None:
    """Waits until `ready()` is true. Raises SandboxError when the child ends before or time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        if child.process.poll() is not None:
            raise SandboxError(f"{child.name} ended at its start. Its last words:\n{child.tail()}")
        if time.monotonic() > deadline:
            raise SandboxError(f"{child.name} was not ready within {seconds:.0f} s; see {child.log}")
        time.sleep(0.05)
