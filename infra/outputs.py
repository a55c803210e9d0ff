"""Turns the outputs of a deployment into lines for the shell: `export NAME='value'`, one an output.

Reads what `az deployment sub show … --query properties.outputs --output json` prints from standard input. Names come
in the template's own case, which Azure Resource Manager does not keep (https://github.com/Azure/azure-dev/issues/512).
Where there are none it says why, prints no line, and ends with 1.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).parent / "main.json"


class OutputsError(ValueError):
    """The input is not what a deployment of this template puts out; the message says what it is instead."""


def read(text: str) -> dict[str, Any]:
    """The outputs, as az prints them. Raises OutputsError."""
    if not text.strip():
        raise OutputsError("Nothing came in: az has said above why, or there is no deployment of that name.")
    try:
        outputs = json.loads(text)
    except ValueError as error:
        raise OutputsError(f"This is not JSON: {text.strip()[:60]!a}. Ask az with --output json.") from error
    if not isinstance(outputs, dict) or not outputs:
        raise OutputsError(f"The deployment has no outputs ({text.strip()[:60]!a}): it has failed, or not ended yet.")
    return outputs


def exports(outputs: Mapping[str, Any]) -> list[str]:
    """The lines, sorted. Raises OutputsError for an output that the template does not have."""
    names = {name.lower(): name for name in json.loads(TEMPLATE.read_text(encoding="utf-8"))["outputs"]}
    if foreign := [name for name in outputs if name.lower() not in names]:
        raise OutputsError(
            f"{', '.join(map(ascii, foreign))}: this template has no such output; the deployment is another one's."
        )
    values = {names[name.lower()]: output["value"] for name, output in outputs.items()}
    return [f"export {name}={shlex.quote(_text(name, value))}" for name, value in sorted(values.items())]


def _text(name: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if not text.isprintable():  # neither a shell nor a terminal should come to obey it
        raise OutputsError(f"{name} holds a character that is not to be shown: {ascii(text)[:60]}.")
    return text


if __name__ == "__main__":
    try:
        lines = exports(read(sys.stdin.read()))
    except OutputsError as error:
        sys.exit(str(error))
    print("\n".join(lines))
