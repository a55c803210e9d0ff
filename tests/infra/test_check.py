"""The checks of `make lint` themselves: that they find what they look for."""

import re

import pytest

from infra import check

FINDINGS = {(check_id, "default" if snapshot == "*" else snapshot, "a") for check_id, snapshot in check.ACCEPTED}


def fake_compiler(folder, script: str) -> str:
    path = folder / "bicep"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def only_findings(monkeypatch):
    """No compiler; the findings of checkov are those given."""
    monkeypatch.delenv("BICEP", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", ["check.py"])
    return lambda found: monkeypatch.setattr(check, "findings", lambda: found)


def test_says_that_there_is_no_compiler(only_findings, capsys):
    only_findings(FINDINGS)
    assert check.main() == 0
    assert "no Bicep compiler" in capsys.readouterr().out


def test_cannot_write_without_a_compiler(only_findings, monkeypatch, capsys):
    only_findings(FINDINGS)
    monkeypatch.setattr("sys.argv", ["check.py", "--write"])
    assert check.main() == 1
    assert "compiler is needed" in capsys.readouterr().out


def test_new_finding_is_a_fault(only_findings, capsys):
    only_findings(FINDINGS | {("CKV_AZURE_999", "hardened", "Microsoft.Storage/storageAccounts.x")})
    assert check.main() == 1
    assert "CKV_AZURE_999" in capsys.readouterr().out


def test_accepted_finding_of_another_snapshot_is_a_fault(only_findings):
    only_findings(FINDINGS | {("CKV_AZURE_59", "hardened", "Microsoft.Storage/storageAccounts.x")})
    assert check.main() == 1


def test_acceptance_that_nothing_needs_is_a_fault(only_findings, capsys):
    only_findings({finding for finding in FINDINGS if finding[0] != "CKV_AZURE_17"})
    assert check.main() == 1
    assert re.search("CKV_AZURE_17 is accepted .* but not found", capsys.readouterr().out)


def test_warning_of_the_compiler_is_a_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("BICEP", fake_compiler(tmp_path, "echo 'Warning no-unused-vars' >&2"))
    with pytest.raises(SystemExit, match="no-unused-vars"):
        check.bicep("lint", "main.bicep")


def test_what_the_compiler_would_change_is_a_fault(monkeypatch, tmp_path):
    """This compiler formats every file by adding a line, and makes a template of its own."""
    script = """
case "$1" in
  format) folder=$(dirname "$(dirname "$3")"); find "$folder" -name '*.bicep' -exec sh -c 'echo >> "$1"' _ {} \\; ;;
  build) echo '{}' > "$(dirname "$2")/main.json" ;;
  snapshot) echo '{}' > "${2%.bicepparam}.snapshot.json" ;;
esac"""
    monkeypatch.setenv("BICEP", fake_compiler(tmp_path, script))
    faults = {fault.split(" ")[0] for fault in check.check_made(write=False)}
    assert {"main.json", "snapshots/default.snapshot.json"} <= faults
    assert {"main.bicep", "app/roles.bicep"} & faults
