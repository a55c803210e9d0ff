"""The package that is published: what is in it, and that it runs on `requirements.txt` alone."""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from infra import package
from tests.infra import served
from tests.infra.kept import ROOT

ALLOWED = re.compile(
    r"(function_app\.py|host\.json|requirements\.txt"
    r"|(auth_callback|poll_timer|sync_worker|webhook_receiver|mailsync)/([\w-]+/)*[\w.-]+\.(py|html|css|js|svg|png|ico|txt))"
)

_IMPORT_ALL = """
import ast, importlib, json, pathlib, sys
sys.path.insert(0, "")
import function_app
app = function_app.app
functions = {f.get_function_name(): json.loads(f.get_function_json())["bindings"] for f in app.get_functions()}
for path in pathlib.Path().rglob("*.py"):
    importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    for node in ast.walk(ast.parse(path.read_text())):  # heavy SDKs are imported inside functions
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom):
            importlib.import_module(node.module)
print(json.dumps(functions))
"""


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
    templates = ROOT / "auth_callback" / "templates"
    assert {path.relative_to(ROOT).as_posix() for path in templates.iterdir()} <= names


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


def test_requirements_are_pinned_and_name_no_index():
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    for line in filter(None, lines):
        assert re.fullmatch(r"[a-z0-9._-]+==[0-9][\w.]*", line), line


def test_runs_on_its_requirements_alone(built, tmp_path):
    """Unpacked into an empty folder, with a fresh environment: everything that any line imports is there,
    and every function is indexed.

    The one test that needs the package index; it takes about half a minute.
    """
    app = tmp_path / "app"
    zipfile.ZipFile(built).extractall(app)
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / "bin" / "python"
    plain = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}

    def run(*arguments: str) -> str:
        result = subprocess.run(
            [python, *arguments], cwd=app, env=plain, capture_output=True, text=True, timeout=300, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt")
    run("-m", "pip", "check")
    assert json.loads(run("-W", "error", "-c", _IMPORT_ALL)) == served.functions()
    assert sys.version_info[:2] == (3, 13)
