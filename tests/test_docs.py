"""The documents say what the code does: its settings, its reason codes, its columns."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auth_callback.refusals import REFUSALS
from mailsync.adapters.storage import message_columns
from mailsync.adapters.storage.messages import TableMessageStore
from mailsync.adapters.storage.services import blob_service, table_service
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.records import Mailbox
from mailsync.mailboxes.status import mailbox_json
from mailsync.reasons import Reason
from mailsync.settings import NAMES
from mailsync.sync.records import Content, StoredMessage
from mailsync.sync.row_keys import row_key
from tests.fakes.graph_mailbox import default_content

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")


def told_reasons() -> dict[str, set[str]]:
    """The reason codes that the handbook explains, by the heading that they stand under."""
    text = (DOCS / "operations.md").read_text().partition("## Reason codes\n")[2].partition("\n## ")[0]
    sections = re.split(r"^\*\*(.+?)\*\*.*$", text, flags=re.MULTILINE)
    return {
        head: {code for cell in codes_of(body) for code in re.findall(r"`([a-z_]+)`", cell)}
        for head, body in zip(sections[1::2], sections[2::2], strict=True)
    }


def codes_of(body: str) -> list[str]:
    """Where a section of reason codes names its codes: in the first column, or in a paragraph that is no table."""
    lines = body.strip().splitlines()
    return [line.split("|")[1] for line in lines[2:]] if lines[0].startswith("|") else lines


def test_every_reason_is_explained_and_no_other():
    assert set().union(*told_reasons().values()) == set(Reason)


def test_every_reason_of_the_connect_pages_has_a_page():
    assert told_reasons()["At the connect pages"] - {Reason.UNEXPECTED_ERROR} <= set(REFUSALS)


def test_every_reason_is_given_somewhere():
    code = [
        path.read_text()
        for room in ("mailsync", "auth_callback", "management", "webhook_receiver", "web")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "reasons.py"
    ]
    given = set(re.findall(r"\bReason\.([A-Z_]+)\b", "\n".join(code) + (ROOT / "mailsync/errors.py").read_text()))
    assert given == set(Reason.__members__)


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
