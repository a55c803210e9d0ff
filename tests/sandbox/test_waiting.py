"""What takes long says so."""

import os
import subprocess
import sys

import pytest

from sandbox import waiting


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


@pytest.fixture
def gate(tmp_path):
    """A pipe with a name: who opens it to read waits until it is opened to write."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def test_says_so_until_the_end_and_loses_no_output(gate):
    said = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            gate.write_text("go on")

    script = f"import sys; print('before'); text = open({str(gate)!r}).read(); print(text); sys.exit(3)"
    answer = waiting.run(python(script), timeout=60, capture=True, every=0.01, say=say)
    assert (answer.returncode, answer.stdout) == (3, "before\ngo on\n")
    assert len(said) >= 2
    assert all("still at it" in line for line in said)


def test_says_nothing_of_what_is_quick():
    said = []
    assert waiting.run(python("pass"), timeout=60, every=30, say=said.append).returncode == 0
    assert not said


def test_what_takes_too_long_is_ended(gate):
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.run(python(f"open({str(gate)!r})"), timeout=0.05, every=0.01, say=lambda line: None)


def test_command_line_passes_on_output_and_outcome():
    script = "import sys; print('done'); sys.exit(4)"
    command = [sys.executable, "-m", "sandbox.waiting"]
    answer = subprocess.run([*command, *python(script)], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (4, "done\n")
