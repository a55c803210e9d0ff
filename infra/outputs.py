"""Turns the outputs of a deployment into lines for the shell: `export NAME='value'`, one an output.

Reads what `az deployment sub show … --query properties.outputs --output json` prints from standard input. Names come
in the template's own case, which Azure Resource Manager does not keep (https://github.com/Azure/azure-dev/issues/512).
"""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).parent / "main.json"


def exports(outputs: Mapping[str, Any]) -> list[str]:
    """The lines, sorted. Raises KeyError for an output that the template does not have."""
    names = {name.lower(): name for name in json.loads(TEMPLATE.read_text(encoding="utf-8"))["outputs"]}
    values = {names[name.lower()]: output["value"] for name, output in outputs.items()}
    return [f"export {name}={shlex.quote(_text(value))}" for name, value in sorted(values.items())]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    print("\n".join(exports(json.load(sys.stdin))))
