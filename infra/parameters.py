"""Fills `main.parameters.json` from the environment, as azd does, and prints it: for `az`, which does not.

A place `${NAME}` or `${NAME=default}` is filled with the variable, or where that is missing or empty with the default.
The values get the types that the template's parameters have.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INFRA = Path(__file__).parent

_PLACE = re.compile(r"\$\{(\w+)(?:=([^}]*))?\}")


class ParameterError(ValueError):
    """A variable is missing, or is no value of its parameter's type."""


def filled(environ: Mapping[str, str]) -> dict[str, Any]:
    """The document with its places filled. Raises ParameterError, which names the variable."""
    document: dict[str, Any] = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))
    template = json.loads((INFRA / "main.json").read_text(encoding="utf-8"))["parameters"]
    for name, parameter in document["parameters"].items():
        match = _PLACE.fullmatch(parameter["value"])
        if not match:
            raise ParameterError(f"{name}: {parameter['value']!r} is not of the form ${{NAME}} or ${{NAME=default}}")
        variable, default = match[1], match[2] or ""
        text = environ.get(variable) or default
        if not text and "defaultValue" not in template[name]:
            raise ParameterError(f"{variable} is not set: {name} needs it")
        # A type that the template names for itself is one of a few strings.
        parameter["value"] = _typed(variable, text, template[name].get("type", "string"))
    return document


def _typed(variable: str, text: str, kind: str) -> str | int | bool:
    try:
        match kind:
            case "int":
                return int(text)
            case "bool":
                return {"true": True, "false": False}[text]
    except (KeyError, ValueError) as error:
        raise ParameterError(f"{variable} is {text!r}, which is no {kind}") from error
    return text


if __name__ == "__main__":
    try:
        print(json.dumps(filled(os.environ), indent=2))
    except ParameterError as error:
        sys.exit(str(error))
