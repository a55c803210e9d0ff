"""The package, unpacked in an empty folder with a fresh environment from `requirements.txt` alone, does its work."""

import json
import os
import re
import ssl
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from infra import package
from sandbox.processes import Child, wait_for
from sandbox.up import Sandbox
from tests.infra import served
from tests.infra.kept import ROOT

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


@dataclass(frozen=True)
class Unpacked:
    """The package in a folder of its own, and an environment that holds its requirements alone."""

    app: Path
    environment: Path

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Unpacked:
    """Made once; the one thing in the suite that needs the package index."""
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(package.build(folder / "app.zip")).extractall(folder / "app")
    venv.create(folder / "environment", with_pip=True)
    there = Unpacked(folder / "app", folder / "environment")
    # What Azure's remote build runs, which takes hashes from the file itself; here they are also insisted on.
    # https://github.com/microsoft/Oryx, src/BuildScriptGenerator/Python/PythonBashBuildSnippet.sh.tpl
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--prefer-binary")
    run(there, *pip, "-r", "requirements.txt")
    return there


def run(there: Unpacked, *arguments: str) -> str:
    plain = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    result = subprocess.run(
        [there.python, *arguments], cwd=there.app, env=plain, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_everything_that_any_line_imports_is_there(unpacked):
    run(unpacked, "-m", "pip", "check")
    assert json.loads(run(unpacked, "-W", "error", "-c", _IMPORT_ALL)) == served.functions()


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The package with its requirements, unpacked."""
    folder = tmp_path_factory.mktemp("built")
    zipfile.ZipFile(package.build_with_requirements(folder / "app.zip", folder / "made")).extractall(folder / "app")
    return folder / "app"


class TestBuiltBeforehand:
    def test_holds_the_app_and_its_requirements_and_nothing_else(self, built):
        files = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
        requirements = {name for name in files if name.startswith(".python_packages/lib/site-packages/")}
        assert files - requirements == set(package.contents())
        installed = {path.name.split("-")[0] for path in (built / package.SITE_PACKAGES).glob("*.dist-info")}
        pinned = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
        assert installed == {name.replace("-", "_") for name in pinned}

    def test_every_wheel_is_for_azures_python_and_processor(self, built):
        def fits(tag: str) -> bool:
            _, abi, platform = tag.split("-")
            return tag == "py3-none-any" or (abi in {"cp313", "abi3"} and platform in package.PLATFORMS)

        for wheel in (built / package.SITE_PACKAGES).glob("*.dist-info/WHEEL"):
            assert any(map(fits, re.findall(r"^Tag: (.*)$", wheel.read_text(), re.MULTILINE))), wheel

    @pytest.mark.skipif((sys.platform, os.uname().machine) != ("linux", "x86_64"), reason="not what Azure runs on")
    def test_runs_without_anything_being_installed(self, built, unpacked, tmp_path):
        venv.create(tmp_path / "empty", with_pip=False)
        result = subprocess.run(
            [tmp_path / "empty" / "bin" / "python", "-W", "error", "-c", _IMPORT_ALL],
            cwd=unpacked.app,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(built / package.SITE_PACKAGES)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout) == served.functions()


class PackageSandbox(Sandbox):
    """The sandbox, whose Functions host runs the package in its own environment."""

    unpacked: Unpacked

    def _start_host(self, environment: dict[str, str]) -> None:
        # What Azure's host is made of here comes last on the path, and this folder's own packages not at all; what it
        # uses of the program is the package's.
        tools = self.unpacked.environment / "tools"
        tools.mkdir()
        (tools / "sandbox").symlink_to(ROOT / "sandbox")
        (site,) = self.unpacked.environment.glob("lib/python*/site-packages")
        (site / "host.pth").write_text(f"{self.unpacked.app}\n{tools}\n{sysconfig.get_path('purelib')}\n")
        files = self._certificates
        descriptor = self._listener.fileno()
        command = [self.unpacked.python, "-m", "sandbox", "host", "--descriptor", str(descriptor)]
        command += ["--certificate", files.server, "--key", files.key, "--app-directory", self.unpacked.app]
        log = self._home / "logs" / "host.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=tools,
                start_new_session=True,
                pass_fds=[descriptor],
            )
        self._children["host"] = Child("host", process, log)
        wait_for(self._children["host"], lambda: answers(self.state.app, self.state.ca_file), 60)


def answers(app: str, ca_file: str) -> bool:
    try:
        return httpx.get(f"{app}/connect", verify=ssl.create_default_context(cafile=ca_file), timeout=5).is_success
    except httpx.TransportError:
        return False


def sandbox_command(*arguments: str) -> str:
    """What `python -m sandbox …` prints."""
    result = subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_connects_and_pulls_on_the_sandbox(unpacked, tmp_path, monkeypatch):
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path / "sandbox"))
    samples = [str(path) for path in (ROOT / "sandbox" / "samples").glob("*.eml")]
    address = "hello@contoso.com"
    PackageSandbox.unpacked = unpacked
    with PackageSandbox():
        sandbox_command("deliver", address, *samples)
        sandbox_command("connect", address)
        rows = json.loads(sandbox_command("messages", address, "--wait", str(len(samples)), "--json"))
        there = json.loads(sandbox_command("mailbox", address, "--json"))
    assert len(rows) == len({row["messageId"] for row in rows}) == len(samples)
    assert {row["internetMessageId"] for row in rows} == set(
        re.findall(r'"internetMessageId": "([^"]+)"', json.dumps(there, ensure_ascii=False))
    )
