"""The workflows: a pull request never meets the identity that deploys, and nobody's mistake widens that."""

import json
import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.infra.commands import documented
from tests.infra.kept import INFRA, ROOT

FILES = {path.name: path for path in (ROOT / ".github" / "workflows").iterdir()}
WORKFLOWS = {name: yaml.safe_load(path.read_text()) for name, path in FILES.items()}
JOBS = [(name, job, made) for name, workflow in WORKFLOWS.items() for job, made in workflow["jobs"].items()]
DEPLOY = WORKFLOWS["azure-dev.yml"]["jobs"]

every_job = pytest.mark.parametrize(("name", "job", "made"), JOBS, ids=[f"{name}:{job}" for name, job, _ in JOBS])
every_file = pytest.mark.parametrize("name", FILES)

ON = True  # how YAML 1.1 reads the key `on`
BY_HAND_ON_MAIN = "github.event_name == 'workflow_dispatch' && github.ref == 'refs/heads/main'"


def text(made: object) -> str:
    return json.dumps(made)


class TestIdentities:
    @every_job
    def test_identity_that_deploys_is_met_in_its_environment_alone(self, name, job, made):
        deploys = "vars.AZURE_CLIENT_ID" in text(made)
        assert deploys == (made.get("environment") == "production")
        if deploys:
            assert made["if"] == BY_HAND_ON_MAIN

    @every_job
    def test_token_is_asked_for_only_by_jobs_that_sign_in(self, name, job, made):
        signs_in = "CLIENT_ID }}" in text(made)
        assert made["permissions"] == {"contents": "read"} | ({"id-token": "write"} if signs_in else {})

    @every_file
    def test_no_permission_but_a_jobs_own(self, name):
        assert WORKFLOWS[name]["permissions"] == {}
        assert "CLIENT_ID" not in text({k: v for k, v in WORKFLOWS[name].get("env", {}).items() if "EXISTING" not in k})

    @every_file
    def test_no_event_that_runs_a_pull_request_with_more_rights(self, name):
        assert set(WORKFLOWS[name][ON]) <= {"push", "pull_request", "workflow_dispatch"}
        assert "secrets." not in FILES[name].read_text()

    def test_pull_request_reads_and_writes_nothing_in_entra(self):
        what_if = DEPLOY["what-if"]
        assert what_if["if"].startswith("github.event_name == 'pull_request' && ")
        assert "vars.AZURE_WHAT_IF_CLIENT_ID" in text(what_if)
        (asks,) = (step for step in what_if["steps"] if "what-if" in step.get("run", ""))
        assert asks["env"]["CREATE_APP_REGISTRATION"] == "false"
        assert "--validation-level ProviderNoRbac" in asks["run"]

    def test_documented_roles(self):
        """docs/deploy.md gives each identity these roles and no other, and binds each to one subject."""
        roles: dict[str, set[str]] = {}
        subjects = {}
        for command in documented():
            words = command.words
            options = dict(pairwise(words))
            if words[:4] == ("az", "role", "assignment", "create"):
                roles.setdefault(options["--assignee-object-id"], set()).add(options["--role"])
            elif words[:4] == ("az", "role", "definition", "create"):
                asks = json.loads(options["--role-definition"])
            elif words[:4] == ("az", "identity", "federated-credential", "create"):
                subjects[options["--identity-name"]] = options["--subject"]
            elif words[:2] == ("az", "rest"):
                assert "$DEPLOY" in options["--url"]
        assert roles == {
            "$WHAT_IF": {"Reader", asks["Name"]},
            "$DEPLOY": {"Contributor", "Role Based Access Control Administrator"},
        }
        assert asks["Actions"] == [
            "Microsoft.Resources/deployments/whatIf/action",
            "Microsoft.Resources/deployments/validate/action",
        ]
        assert subjects == {
            "id-inbox-connector-what-if": "repo:$REPOSITORY:pull_request",
            "id-inbox-connector-deploy": "repo:$REPOSITORY:environment:production",
        }


class TestForm:
    @every_file
    def test_actions_are_pinned_by_digest_with_their_version(self, name):
        uses = re.findall(r"uses: *(.*)", FILES[name].read_text())
        assert uses
        for each in uses:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each

    @every_job
    def test_nothing_from_outside_becomes_part_of_a_script(self, name, job, made):
        assert made["timeout-minutes"] <= 60
        for step in made["steps"]:
            assert "${{" not in step.get("run", "")
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False

    def test_every_parameter_of_azd_is_passed_on(self):
        parameters = (INFRA / "main.parameters.json").read_text()
        for name, default in re.findall(r"\$\{(\w+)(?:=(\w+))?\}", parameters):
            passed = f"vars.{name} || '{default}'" if default else f"vars.{name}"
            assert WORKFLOWS["azure-dev.yml"]["env"][name] == f"${{{{ {passed} }}}}"


class TestPublish:
    """The step's own script, with an azd that answers as told and a sleep that takes no time."""

    def run(self, folder: Path, answers: list[str]) -> tuple[int, int, list[str]]:
        """How it ends, how often it published, and the pauses; the last answer is repeated."""
        (step,) = (step for step in DEPLOY["deploy"]["steps"] if step.get("name") == "publish")
        for number, answer in enumerate(answers):
            (folder / f"answer-{number}").write_text(answer)
        last = len(answers) - 1
        tools = {
            "azd": f'n=$(wc -l < calls 2>/dev/null || echo 0); echo "$*" >> calls; [ $n -lt {last} ] || n={last}\n'
            'cat answer-$n; ! grep -q "^ERROR" answer-$n',
            "sleep": 'echo "$1" >> pauses',
        }
        for name, script in tools.items():
            (folder / name).write_text(f"#!/bin/bash\n{script}\n")
            (folder / name).chmod(0o755)
        result = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=folder,
            env={"PATH": f"{folder}:{os.environ['PATH']}", "RUNNER_TEMP": str(folder)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        calls = (folder / "calls").read_text().splitlines()
        assert set(calls) == {"deploy --no-prompt"}
        pauses = folder / "pauses"
        return result.returncode, len(calls), pauses.read_text().split() if pauses.exists() else []

    def test_once_where_all_is_well(self, tmp_path):
        assert self.run(tmp_path, ["SUCCESS"]) == (0, 1, [])

    @pytest.mark.parametrize("answer", ["ERROR: status code 403", "ERROR: 503 Service Unavailable", "ERROR: Forbidden"])
    def test_again_while_roles_and_site_are_on_their_way(self, answer, tmp_path):
        assert self.run(tmp_path, [answer, answer, "SUCCESS"]) == (0, 3, ["30", "60"])

    def test_not_for_ever(self, tmp_path):
        assert self.run(tmp_path, ["ERROR: 403"]) == (1, 5, ["30", "60", "120", "240"])

    def test_what_does_not_pass_by_itself_is_told_at_once(self, tmp_path):
        assert self.run(tmp_path, ["ERROR: the remote build failed in line 4031"]) == (1, 1, [])
