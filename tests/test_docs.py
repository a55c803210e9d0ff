"""The documents say what the code does: its settings, its reason codes, its columns."""

import ast
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailsync import errors
from mailsync.adapters.storage import message_columns
from mailsync.adapters.storage.messages import TableMessageStore
from mailsync.adapters.storage.services import blob_service, table_service
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.records import Mailbox
from mailsync.mailboxes.status import mailbox_json
from mailsync.settings import NAMES
from mailsync.sync.records import Content, StoredMessage
from mailsync.sync.row_keys import row_key
from tests.fakes.graph_mailbox import default_content

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")
CLASSES = {name for name, value in vars(errors).items() if isinstance(value, type)}
AT_THE_COMMAND_LINE = {
    "already_claimed",
    "ambiguous_mailbox",
    "bad_account_id",
    "bad_address",
    "bad_domain",
    "not_pinned",
    "too_many_claims",
    "unknown_account",
    "unknown_claim",
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
    assert len(titles) > 10
    assert sorted(titles) == sorted(told)


def test_the_schema_explains_every_key_of_a_mailbox():
    shown = mailbox_json(Mailbox(id=BOX, account_id="account", address="a@b.example", connected_at=NOW))
    told = (ROOT / "docs/storage-schema.md").read_text()
    assert [key for key in [*shown, *shown["push"]] if f"`{key}`" not in told] == []


def test_the_schemas_example_reads_a_mailbox(storage):
    texts = ["short", "x" * 100_000, "ü" * 600_000]
    stored = [
        StoredMessage(f"id{n}", row_key(NOW - timedelta(days=n), f"id{n}"), "folder", 1, content=Content(body=text))
        for n, text in enumerate(texts)
    ]
    TableMessageStore(storage).write(BOX, stored)
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/storage-schema.md").read_text(), re.DOTALL)
    example: dict = {}
    exec(code, example)  # noqa: S102 - our own document, and it is to work as it stands there
    found = list(example["messages"](table_service(storage), blob_service(storage), BOX))
    assert [row["body"] for row in found] == texts
    assert [row["headers"] for row in found] == [None] * 3


def test_the_sample_of_local_settings_names_settings_only():
    names = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"].keys()
    host = {
        "FUNCTIONS_WORKER_RUNTIME",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
        "AzureWebJobsStorage",
        "AzureWebJobsDisableHomepage",
    }
    assert names - host <= set(NAMES)


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
    message_columns.write(
        StoredMessage(
            "id",
            "m",
            "folder",
            generation=1,
            content=default_content("id", NOW, parent_folder_id="folder"),
            synced_at=NOW,
            removed_at=NOW,
        )
    ),
)
def test_the_schema_explains_every_column(column):
    assert f"`{column}`" in (ROOT / "docs/storage-schema.md").read_text()
