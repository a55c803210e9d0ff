"""The package that is published: what is in it."""

import re
import zipfile
from pathlib import Path

import pytest

from infra import package
from tests.infra.kept import ROOT

ALLOWED = re.compile(
    r"(function_app\.py|host\.json|requirements\.txt"
    r"|(auth_callback|health|management|poll_timer|sync_worker|web|webhook_receiver|mailsync)/([\w-]+/)*[\w.-]+\.(py|html|css|js|svg|png|ico|txt))"
)


def core_tools_contents(ignore: str) -> list[str]:
    """What func would publish: its own reading of .funcignore, where a pattern matches from the top, as a prefix.

    https://github.com/Azure/azure-functions-core-tools, src/Azure.Functions.Cli/Common/GitIgnoreParser.cs
    """
    lines = [line.strip() for line in ignore.splitlines()]
    patterns = [line.removeprefix("/") for line in lines if line and not line.startswith("#")]
    assert not [pattern for pattern in patterns if pattern.startswith("!")]
    parts = [re.escape(each).replace(r"\*\*", "(.+)").replace(r"\*", "([^/]+)") for each in patterns]
    denied = re.compile("|".join(f"({part})" for part in parts))
    kept = []
    for folder, folders, files in ROOT.walk():
        here = folder.relative_to(ROOT)
        folders[:] = [name for name in folders if not denied.match(f"{(here / name).as_posix()}/")]
        kept += [(here / name).as_posix() for name in files]
    return sorted(path for path in kept if not denied.match(path))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return package.build(tmp_path_factory.mktemp("package") / "app.zip")


def test_holds_what_runs_and_nothing_else(built):
    names = zipfile.ZipFile(built).namelist()
    assert [name for name in names if not ALLOWED.fullmatch(name)] == []
    assert {"function_app.py", "host.json", "requirements.txt", "mailsync/bootstrap.py"} <= set(names)
    assert {name.split("/")[0] for name in names if name.endswith("blueprint.py")} >= {
        "auth_callback",
        "poll_timer",
        "sync_worker",
    }


def test_every_page_is_in_it(built):
    names = set(zipfile.ZipFile(built).namelist())
    templates = [*(ROOT / "web" / "templates").iterdir(), *(ROOT / "auth_callback" / "templates").iterdir()]
    assert {path.relative_to(ROOT).as_posix() for path in templates} <= names


def test_func_would_send_the_same():
    assert core_tools_contents((ROOT / ".funcignore").read_text()) == package.contents()


def test_local_settings_stay_at_home(tmp_path):
    for name in ("local.settings.json", ".env", "id_rsa.pub", "function_app.py"):
        (tmp_path / name).touch()
    (tmp_path / ".funcignore").write_text((ROOT / ".funcignore").read_text())
    assert "local.settings.json" not in package.contents(tmp_path)
    assert ".env" not in package.contents(tmp_path)


def test_same_tree_same_bytes(built, tmp_path):
    assert package.build(tmp_path / "again.zip").read_bytes() == built.read_bytes()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_with_their_hashes_and_name_no_index(name):
    text = re.sub(r"^ *#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    requirements = [line.split() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    assert requirements
    for pin, *hashes in requirements:
        assert re.fullmatch(r"[a-z0-9._-]+==[0-9][\w.]*", pin), pin
        assert hashes, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), pin


def test_development_has_the_versions_that_azure_has():
    pins = [
        set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    ]
    assert pins[0] <= pins[1]
