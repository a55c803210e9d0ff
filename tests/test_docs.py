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
