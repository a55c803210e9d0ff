"""What the gallery of azd templates asks of a repository, and that its documents lead where they say.

https://github.com/microsoft/template-validation-action, src/rules.json; headings of the README are in our own words.
"""

import re

import pytest
import yaml

from tests.infra.kept import ROOT

ASKED = (
    "README.md",
    "LICENSE",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    ".github/ISSUE_TEMPLATE",
    ".github/workflows/azure-dev.yml",
    "azure.yaml",
    "infra",
    ".devcontainer",
)
DOCUMENTS = [path for pattern in ("*.md", "docs/*.md", ".github/**/*.md") for path in sorted(ROOT.glob(pattern))]


@pytest.mark.parametrize("name", ASKED)
def test_is_there(name):
    assert (ROOT / name).exists()


def test_issue_templates_are_such_as_github_offers():
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"):
        _, head, body = path.read_text().split("---\n", 2)
        assert set(yaml.safe_load(head)) == {"name", "about"}
        assert body.strip()


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text()):
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text()), target
