"""Row `imports`: what a cold start imports, against an app that does nothing."""

import json
import subprocess
import sys

from bench.measure import Bound, Figure, Say, rounds
from bench.services import PROJECT, Services

_OURS = "import function_app"
_BARE = """
import azure.functions as func

app = func.FunctionApp()


@app.route("hello", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
def hello(request: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=202)
"""
HEAVY = (
    "aiohttp",
    "azure.core",
    "azure.data.tables",
    "azure.identity",
    "azure.keyvault",
    "azure.storage",
    "cryptography",
    "jinja2",
    "msal",
    "requests",
)
"""What nobody waits for at a cold start."""


def imports(_services: Services, number: int, say: Say) -> list[Figure]:
    """Seconds of the import in a fresh interpreter, ours divided by the bare app's."""
    _seconds(_OURS), _seconds(_BARE)  # compiled once before
    both = rounds(max(number, 9), say, lambda: _seconds(_OURS), lambda: _seconds(_BARE))
    ratios = tuple(ours / bare for ours, bare in both)
    loaded = heavy_imports()
    return [
        Figure("import of function_app / of a bare app", ratios, Bound(most=1.5)),
        Figure("heavy packages that the import loads", (float(len(loaded)),), Bound(most=0), {"loaded": loaded}),
    ]


def heavy_imports() -> list[str]:
    """Which of `HEAVY` the import of function_app loads."""
    return [
        str(name)
        for name in json.loads(_run(f"{_OURS}\nprint(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"))
    ]


def _seconds(code: str) -> float:
    return round(float(_run(f"started = time.perf_counter()\n{code}\nprint(time.perf_counter() - started)")), 4)


def _run(code: str) -> str:
    command = [sys.executable, "-c", f"import json, sys, time\n{code}"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True).stdout
