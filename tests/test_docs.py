"""The documents say what the code does: its settings, its reason codes, its columns."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailsync import errors
from mailsync.settings import NAMES
from tests.fakes.graph_mailbox import default_columns

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CLASSES = {name for name, value in vars(errors).items() if isinstance(value, type)}
AT_THE_COMMAND_LINE = {
    "already_claimed",
    "ambiguous_mailbox",
    "bad_account_id",
    "bad_address",
    "bad_domain",
    "too_many_claims",
    "unknown_account",
    "unknown_mailbox",
}
"""Said to whoever typed the command, with the remedy; never stored or shown to anybody else."""


def reasons() -> set[str]:
    """The reason of every error that the program raises by a literal."""
    found = set()
    for path in (ROOT / "mailsync").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and re.fullmatch(r"[a-z]+(_[a-z]+)+", str(first.value)):
                    found.add(first.value)
    return found


def test_every_reason_code_is_explained():
    told = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs/operations.md").read_text()))
    assert len(reasons()) > 30
    assert reasons() - told - AT_THE_COMMAND_LINE == set()


def test_every_alert_is_explained_under_its_title():
    bicep = (ROOT / "infra/app/alerts.bicep").read_text()
    titles = [title.replace("\\'", "'") for title in re.findall(r"^ +title: '(.*)'$", bicep, re.MULTILINE)]
    told = re.findall(r"^\| ([A-Z][^|]+) \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert len(titles) == 10
    assert titles == told


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in DOCS.glob("*.md"))])
def test_every_link_within_the_project_leads_somewhere(document):
    path = ROOT / document
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_readme_lists_every_setting_and_no_other():
    table = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `")]
    named = {
        name for line in table for name in re.findall(r"`((?:__)?[A-Z][A-Z_]{4,}(?:__\w+)?|__\w+)`", line.split("|")[1])
    }
    named = {f"MAIL_STORAGE{name}" if name.startswith("__") else name for name in named}
    assert named == set(NAMES)


@pytest.mark.parametrize(
    "column",
    [*default_columns("id", datetime.now(UTC)), "messageId", "parentFolderId", "removedDateTime", "syncedDateTime"],
)
def test_the_schema_explains_every_column(column):
    assert f"`{column}`" in (ROOT / "docs/storage-schema.md").read_text()
