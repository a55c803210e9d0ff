"""Runs a command that takes long, and says every few seconds that it still does, so that nobody takes it for hung.

`python -m sandbox.waiting COMMAND …` for what is run before anything is installed: it needs Python alone.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

EVERY = 5.0
"""Seconds between two lines."""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    timeout: float,
    capture: bool = False,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    every: float = EVERY,
    say: Callable[[str], None] = _say,
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end; with `capture` the answer holds its output. Raises subprocess.TimeoutExpired."""
    pipe = subprocess.PIPE if capture else None
    started = time.monotonic()
    with subprocess.Popen(command, cwd=cwd, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=every)
            except subprocess.TimeoutExpired:
                waited = time.monotonic() - started
                if waited >= timeout:
                    process.kill()
                    raise
                say(f"  … still at it after {waited:.0f} s")
            except BaseException:  # the user's Ctrl-C among them
                process.kill()
                raise
            else:
                return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], timeout=3600).returncode)
