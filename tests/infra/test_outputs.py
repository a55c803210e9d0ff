"""A deployment's outputs as the shell takes them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.kept import ROOT


def test_names_come_in_the_case_of_the_template_and_values_whole():
    answer = {
        "azurE_FUNCTION_APP_NAME": {"type": "String", "value": "func-1"},
        "maiL_STORAGE__tableServiceUri": {"type": "String", "value": "https://it's.example"},
        "functioN_APP_HOST_AS_EXPECTED": {"type": "Bool", "value": True},
    }
    lines = subprocess.run(
        [sys.executable, "infra/outputs.py"],
        cwd=ROOT,
        input=json.dumps(answer),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    shown = subprocess.run(
        ["bash", "-c", f"{lines}env"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {
        "AZURE_FUNCTION_APP_NAME=func-1",
        "MAIL_STORAGE__tableServiceUri=https://it's.example",
        "FUNCTION_APP_HOST_AS_EXPECTED=true",
    } <= set(shown)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Nothing came in"),
        (" \n", "Nothing came in"),
        ("null", "has no outputs"),
        ("{}", "has no outputs"),
        ("[]", "has no outputs"),
        ("AZURE_LOCATION\n", "not JSON"),
        ('{"somethingElse": {"value": ""}}', "somethingElse"),
    ],
)
def test_what_is_no_outputs_is_said_and_the_documented_line_fails(text, said, tmp_path):
    """The line as docs/deploy.md has it, with an az that prints just that."""
    (tmp_path / "az").write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n" if text else "#!/bin/sh\nexit 3\n")
    (tmp_path / "az").chmod(0o755)
    line = re.search(r"OUTPUTS=.*?eval \"\$OUTPUTS\"", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)[0]
    result = subprocess.run(
        ["bash", "-c", line],
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stdout
