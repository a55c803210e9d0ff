"""Checks the infrastructure: `python infra/check.py`, or with `--write` makes the compiled files anew.

With the Bicep compiler (the variable BICEP, or `bicep` on PATH): every file compiles without a warning, is formatted,
and `main.json` and the snapshots are what the compiler makes of them now. Without it, and always: checkov on the
resources that the snapshots hold, with every finding either mended or accepted below with its reason; and that the
documents hold what `cost.py` makes of the snapshots.

checkov reads the snapshots and not the Bicep files, as its parser knows neither imports nor types of Bicep; and
a snapshot holds the values that are deployed, where a file holds the expressions they come from.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

INFRA = Path(__file__).parent
SNAPSHOTS = INFRA / "snapshots"

TENANT = "11111111-1111-4111-8111-111111111111"
SUBSCRIPTION = "77777777-7777-4777-8777-777777777777"
PLACE = (
    *("--tenant-id", TENANT),
    *("--subscription-id", SUBSCRIPTION),
    *("--location", "westeurope"),
    *("--deployment-name", "example"),
)
"""Where the snapshots pretend to be deployed, so that they are the same on every machine."""

_OPEN = "open to the internet by design unless networkHardening is on: access takes an Entra token and a role"
_NOT_ITS_CONFIG = "checkov takes the application settings for the site's configuration"
ACCEPTED = {
    ("CKV_AZURE_35", "default"): _OPEN,
    ("CKV_AZURE_35", "existing-registration"): _OPEN,
    ("CKV_AZURE_59", "default"): _OPEN,
    ("CKV_AZURE_59", "existing-registration"): _OPEN,
    ("CKV_AZURE_109", "default"): _OPEN,
    ("CKV_AZURE_109", "existing-registration"): _OPEN,
    (
        "CKV_AZURE_13",
        "*",
    ): "the app signs owners in itself; Graph's notifications could not pass built-in authentication",
    ("CKV_AZURE_17", "*"): "browsers of owners and Graph have no client certificate",
    (
        "CKV_AZURE_63",
        "*",
    ): "App Service's HTTP log does not exist on Flex Consumption; requests go to Application Insights",
    ("CKV_AZURE_65", "*"): "detailed error pages belong to App Service on Windows",
    ("CKV_AZURE_66", "*"): "failed request tracing belongs to App Service on Windows",
    ("CKV_AZURE_80", "*"): f"no .NET runs here; {_NOT_ITS_CONFIG}",
    ("CKV_AZURE_88", "*"): f"Flex Consumption takes its package from a blob container; {_NOT_ITS_CONFIG}",
}
"""Findings of checkov that stay, by check and snapshot (`*`: all of them), each with its reason."""


def compiler() -> str | None:
    """The Bicep compiler, where there is one."""
    return os.environ.get("BICEP") or shutil.which("bicep")


def bicep(*arguments: str | Path) -> None:
    """Runs the compiler; everything that it says, warnings included, is a fault."""
    command = [str(compiler()), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if result.returncode or result.stderr.strip():
        raise SystemExit(f"bicep {arguments[0]} {arguments[-1]}\n{result.stderr.strip()}")


def made(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file as the compiler would have it, and its path in the tree; a file it faults ends everything.

    The compiler works on a copy of the tree in `folder`, as it formats in place and writes beside its sources.
    """
    copy = folder / "infra"
    shutil.copytree(INFRA, copy, ignore=shutil.ignore_patterns("*.json", "__pycache__", "kusto"))
    for data in (INFRA / "bicepconfig.json", INFRA / "abbreviations.json", INFRA / "app" / "workbook.json"):
        shutil.copy(data, copy / data.relative_to(INFRA))
    for pattern in ("**/*.bicep", "snapshots/*.bicepparam"):
        bicep("lint", "--pattern", copy / pattern)
        bicep("format", "--pattern", copy / pattern)
    bicep("build", copy / "main.bicep")
    for parameters in sorted(copy.glob("snapshots/*.bicepparam")):
        bicep("snapshot", parameters, *PLACE, "--mode", "overwrite")
    for path in sorted([*copy.rglob("*.bicep*"), copy / "main.json", *copy.rglob("*.snapshot.json")]):
        if path.name == "bicepconfig.json":
            continue
        text = path.read_text()
        if path.name.endswith(".snapshot.json"):  # the compiler gives its keys in no fixed order
            text = json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
        yield INFRA / path.relative_to(copy), text


def check_made(*, write: bool) -> Iterator[str]:
    """Files that are not as the compiler would have them; with `write` they are made so instead."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in made(Path(folder)):
            if path.exists() and path.read_text() == text:
                continue
            if write:
                path.write_text(text)
            else:
                yield f"{path.relative_to(INFRA)} is not formatted, or stale: run `python infra/check.py --write`"


def findings() -> set[tuple[str, str, str]]:
    """What checkov finds, as check, snapshot and resource. It is kept from downloading anything."""
    with tempfile.TemporaryDirectory() as folder:
        for snapshot in SNAPSHOTS.glob("*.snapshot.json"):
            resources = json.loads(snapshot.read_text())["predictedResources"]
            # Resources of the Graph extension have no name of their own, and checkov knows none of them.
            template = {
                "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
                "contentVersion": "1.0.0.0",
                "resources": [resource for resource in resources if "name" in resource],
            }
            (Path(folder) / f"{snapshot.name.split('.')[0]}.json").write_text(json.dumps(template))
        command = [sys.executable, "-m", "checkov.main", "-d", folder, "--framework", "arm", "--output", "json"]
        result = subprocess.run(
            [*command, "--skip-download", "--quiet"], capture_output=True, text=True, timeout=300, check=False
        )
        report = json.loads(result.stdout)
    if report["summary"]["parsing_errors"] or not report["summary"]["resource_count"]:
        raise SystemExit("checkov could not read the snapshots")
    return {
        (check["check_id"], Path(check["file_path"]).stem, check["resource"])
        for check in report["results"]["failed_checks"]
    }


def check_findings() -> Iterator[str]:
    """Findings that are not accepted, and acceptances that nothing needs."""
    used = set()
    for check, snapshot, resource in sorted(findings()):
        keys = {(check, snapshot), (check, "*")} & ACCEPTED.keys()
        used |= keys
        if not keys:
            yield f"checkov {check} on {resource} in {snapshot}"
    yield from (f"{check} is accepted for {snapshot} but not found" for check, snapshot in ACCEPTED.keys() - used)


def check_costs(*, write: bool) -> Iterator[str]:
    """Whether the documents hold what the deployment costs now; with `write` they are made to."""
    command = [sys.executable, str(INFRA / "cost.py"), *(["--write"] if write else [])]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    yield from result.stderr.splitlines()


def main() -> int:
    """Returns 1 where something is wrong, having said what."""
    parser = argparse.ArgumentParser(description="Checks the infrastructure.")
    parser.add_argument("--write", action="store_true", help="make main.json and the snapshots anew")
    write = parser.parse_args().write
    faults: list[str] = []
    if compiler():
        faults += check_made(write=write)
    elif write:
        faults.append("the Bicep compiler is needed for that: put `bicep` on PATH or its path in BICEP")
    else:
        print("infra: no Bicep compiler (`bicep` on PATH or BICEP); only checkov and the tests look at what is kept.")
    faults += check_findings()
    faults += check_costs(write=write)
    print(*faults, sep="\n" if faults else "", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
