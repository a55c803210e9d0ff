"""What the app serves and listens to, as its own functions say."""

import json
import subprocess
import sys
from functools import cache

from tests.infra.kept import ROOT

# In a process of its own: `get_functions` can be asked once only in the life of an app.
_INDEX = """
import json, function_app
print(json.dumps({f.get_function_name(): json.loads(f.get_function_json())["bindings"] for f in function_app.app.get_functions()}))
"""


@cache
def functions() -> dict[str, list[dict]]:
    """Bindings by function name."""
    result = subprocess.run(
        [sys.executable, "-c", _INDEX], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(result.stdout)


def bindings(kind: str) -> list[dict]:
    """Bindings of one type."""
    return [binding for function in functions().values() for binding in function if binding["type"] == kind]


def routes() -> dict[str, set[str]]:
    """HTTP routes and their methods."""
    found: dict[str, set[str]] = {}
    for binding in bindings("httpTrigger"):
        found.setdefault(f"/{binding['route']}", set()).update(binding["methods"])
    return found


def queues() -> set[str]:
    """Queues that functions listen to."""
    return {binding["queueName"] for binding in bindings("queueTrigger")}
