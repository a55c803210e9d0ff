"""A second deployment, in another month: it changes nothing that nobody has changed.

Azure refuses a change of what it holds fixed (a budget's start date: "Start date of budgets cannot be updated"), so a
template in which something changes by itself deploys once and fails ever after.
"""

import json
import re
import uuid
from pathlib import Path

import pytest

from infra import check
from tests.infra.kept import INFRA, only, template

MONTHS = ("2026-11", "2027-02")

# The parameters with everything switched on that can be.
ALL_OF_IT = (INFRA / "snapshots" / "hardened.bicepparam").read_text().replace("../main.bicep", "main.json")

needs_compiler = pytest.mark.skipif(not check.compiler(), reason="no Bicep compiler")


def in_month(compiled: dict, month: str) -> str:
    """The compiled template with what its clock and its dice say in that month, in the place of the calls."""
    text = re.sub(r"utcNow\((?:'[^']*')?\)", f"'{month}-01'", json.dumps(compiled), flags=re.IGNORECASE)
    return re.sub(r"newGuid\(\)", f"'{uuid.uuid5(uuid.NAMESPACE_OID, month)}'", text, flags=re.IGNORECASE)


def predicted(folder: Path, month: str, parameters: str = ALL_OF_IT) -> dict:
    """What the real compiler predicts of a deployment in that month, under a name that only that deployment has."""
    (folder / "main.json").write_text(in_month(template(), month))
    (folder / "evaluated.bicepparam").write_text(parameters)
    place = [part if part != "example" else f"example-{month}" for part in check.PLACE]
    check.bicep("snapshot", *place, "--mode", "overwrite", folder / "evaluated.bicepparam")
    return json.loads((folder / "evaluated.snapshot.json").read_text())


def test_nothing_in_the_template_changes_by_itself():
    assert in_month(template(), MONTHS[0]) == in_month(template(), MONTHS[1])


@needs_compiler
def test_two_months_give_the_same_resources(tmp_path):
    first, second = (predicted(tmp_path, month) for month in MONTHS)
    assert len(first["predictedResources"]) > 50
    assert first == second


def test_a_budget_starts_on_the_day_that_is_given():
    budget = only("hardened", "Microsoft.Consumption/budgets")
    assert budget["properties"]["timePeriod"] == {"startDate": "2026-01-01"}


@needs_compiler
def test_a_budget_without_a_day_is_refused_before_anything_is_deployed(tmp_path):
    with pytest.raises(SystemExit, match="budgetStartDate is needed"):
        predicted(tmp_path, MONTHS[0], re.sub("param budgetStartDate.*\n", "", ALL_OF_IT))
