"""Row `rivals`: a first reading, against what others would write; in an environment of its own, made when missing.

`make bench ARGS=rivals`; it is not among the rows that run without being named.
"""

import hashlib
import json
import os
import subprocess
import venv
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import AccountSasPermissions, ResourceTypes, TableClient, generate_account_sas

from bench.backfill import empty, ratios, taken
from bench.measure import Bound, Figure, Say, rounds
from bench.services import PROJECT, Services
from sandbox.azurite import ACCOUNT, ACCOUNT_KEY

SCRIPTS = PROJECT / "bench" / "rivals"
_HOME = PROJECT / "dist" / "rivals"
_MESSAGES = 4_000
_FEW = 1_000
_TIMEOUT = 600
_WHOLE, _BARE = "headers in delta", "none in delta, 100 ms a call"
SIDES = {
    "the hand-tuned script": ("by_hand.py", "whole", _WHOLE, Bound(least=0.8)),
    "python-o365, single upserts": ("with_o365.py", "single", _WHOLE, Bound(least=10)),
    "python-o365, transactions": ("with_o365.py", "transactions", _WHOLE, Bound(least=6)),
    "msgraph-sdk, transactions": ("with_msgraph.py", "transactions", _WHOLE, Bound(least=12)),
    "the hand-tuned script that knows": ("by_hand.py", "bare", _BARE, Bound(least=0.8)),
}
"""By name: the script and its way; what Graph is like; the ratio of time that is aimed at."""


def rivals(services: Services, number: int, say: Say) -> list[Figure]:
    """How often our time goes into each rival's, and our processor time into theirs."""
    python = _environment(say)
    graphs = dict(zip((_WHOLE, _BARE), services.graph(str(_MESSAGES), f"{_FEW}-bare-100ms"), strict=True))
    say("  the hand-tuned script writes the program's rows: " + _compared(services, python, graphs[_WHOLE]))
    figures = []
    for like, graph in graphs.items():
        names = [name for name, side in SIDES.items() if side[2] == like]
        say(f"  {like}: the program; {'; '.join(names)}")
        ours = partial(taken, services, services.settings(graph), "first")
        every = rounds(
            number, say, ours, *(partial(_taken, services, python, graph, *SIDES[name][:2]) for name in names)
        )
        for place, name in enumerate(names, start=1):
            both = [(each[0], each[place]) for each in every]
            title, bound = f"{like}: time of {name} / ours", SIDES[name][3]
            figures.append(Figure(title, ratios(both, "seconds"), bound))
            figures.append(Figure(title.replace("time", "processor"), ratios(both, "cpu_seconds"), Bound()))
    return figures


def _environment(say: Say) -> str:
    """The interpreter of the rivals' environment, made anew when their requirements have changed."""
    requirements = SCRIPTS / "requirements.txt"
    stamp, wanted = _HOME / "requirements.sha256", hashlib.sha256(requirements.read_bytes()).hexdigest()
    python = _HOME / "bin" / "python"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        say(f"  installing the rivals into {_HOME.relative_to(PROJECT)} (a minute or two) …")
        venv.create(_HOME, clear=True, with_pip=True)
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            str(requirements),
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        if result.returncode:
            raise RuntimeError(f"the rivals cannot be installed:\n{result.stderr[-2000:]}")
        stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def _taken(services: Services, python: str, graph: str, script: str, way: str) -> dict[str, Any]:
    """What a rival takes, into tables that are empty."""
    empty(services)
    expiry = datetime.now(UTC) + timedelta(hours=2)
    signature = generate_account_sas(
        AzureNamedKeyCredential(ACCOUNT, ACCOUNT_KEY),
        ResourceTypes(object=True, service=True, container=True),
        AccountSasPermissions(read=True, write=True, add=True, update=True, delete=True, create=True, list=True),
        expiry,
    )
    azurite = services.azurite
    settings = services.settings(graph) | {"TABLES": f"{azurite.tables}/messages", "SIGNATURE": signature}
    command = [python, str(SCRIPTS / script), way]
    result = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    if result.returncode:
        raise RuntimeError(f"{script} failed:\n{result.stderr[-3000:]}")
    read: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    expected = int(Path(graph).parent.name.partition("-")[0])
    if read["messages"] != expected:
        raise RuntimeError(f"{script} read {read['messages']} of {expected} messages")
    return read | {name: round(read[name], 2) for name in ("seconds", "cpu_seconds")}


def _compared(services: Services, python: str, graph: str) -> str:
    """Whether its rows are the program's, but for when they were written. Raises RuntimeError."""
    taken(services, services.settings(graph), "first")
    ours = _rows(services)
    _taken(services, python, graph, "by_hand.py", "whole")
    theirs = _rows(services)
    different = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    if different:
        key = min(different)
        raise RuntimeError(f"{len(different)} rows differ; {key}:\n{ours.get(key)}\n{theirs.get(key)}")
    return f"{len(ours)} rows"


def _rows(services: Services) -> dict[str, dict[str, Any]]:
    with TableClient.from_connection_string(services.azurite.connection_string, "messages") as table:
        return {
            row["RowKey"]: {name: value for name, value in row.items() if name != "syncedDateTime"}
            for row in table.list_entities()
        }
