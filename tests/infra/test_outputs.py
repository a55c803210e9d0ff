"""A deployment's outputs as the shell takes them."""

import json
import os
import subprocess
import sys

import pytest

from infra import outputs
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


def test_the_outputs_of_another_deployment_are_refused():
    with pytest.raises(KeyError):
        outputs.exports({"somethingElse": {"value": ""}})
