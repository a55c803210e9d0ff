"""The Kusto queries of the alerts and the workbook, and a check of them: `python -m infra.queries`.

Microsoft's own parser reads each against the tables that it names, whose columns `infra/kusto/tables.json` declares:
https://learn.microsoft.com/azure/azure-monitor/reference/tables-category.
A deployment would say no more, and much later.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox.node import NodeError, find_node, install_packages

INFRA = Path(__file__).parent
FOLDER = INFRA / "kusto"


def of_alerts(snapshot: str = "default") -> dict[str, str]:
    """The queries of the alerts as they are deployed, by the last part of the rule's name."""
    resources = json.loads((INFRA / "snapshots" / f"{snapshot}.snapshot.json").read_text())["predictedResources"]
    rules = [each for each in resources if each["type"] == "Microsoft.Insights/scheduledQueryRules"]
    return {
        rule["name"].removeprefix("inbox-connector-"): criterion["query"]
        for rule in rules
        for criterion in rule["properties"]["criteria"]["allOf"]
    }


def of_workbook() -> dict[str, str]:
    """The queries of the workbook, by the name of the panel."""
    items = json.loads((INFRA / "app" / "workbook.json").read_text())["items"]
    return {f"workbook: {item['name']}": item["content"]["query"] for item in items if item["type"] == 3}


def tables() -> dict[str, str]:
    """The schemas of the tables, as `(column: type, …)`, by name."""
    declared: dict[str, str] = json.loads((FOLDER / "tables.json").read_text())
    return declared


def faults(queries: Mapping[str, str]) -> list[str]:
    """What the parser objects to, one line each. Raises NodeError where it cannot be run."""
    node = find_node()
    install_packages(node, FOLDER, "the Kusto parser")
    answer = subprocess.run(
        [node.executable, FOLDER / "parse.cjs"],
        input=json.dumps({"tables": tables(), "queries": dict(queries)}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if answer.returncode:
        raise NodeError(f"the Kusto parser failed: {answer.stderr.strip()[-2000:]}")
    return [f"{each['query']}: {each['message']} (at {each['at']})" for each in json.loads(answer.stdout)]


def main() -> int:
    """Returns 1 where a query is wrong, having said which."""
    found = faults(of_alerts() | of_workbook())
    print(*found, sep="\n" if found else "", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
