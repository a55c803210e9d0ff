"""What becomes of a line that a function logs: the way to Application Insights, with its losses."""

import json

import pytest

from sandbox.host.config import HostError, load_options
from sandbox.host.telemetry import LogLevels


def rows(host, table: str) -> list[dict]:
    lines = (host.home / "logs/telemetry.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["table"] == table]


@pytest.fixture
def told(host, work):
    """The rows of `traces` after everything was said once."""
    host.start()
    with host.client() as client:
        assert client.get("/talk").status_code == 200
        assert client.get("/talk-async").status_code == 200
        assert client.get("/broken").status_code == 500
    assert host.stop() == 0
    return rows(host, "traces")


def test_lines_reach_application_insights_as_the_real_host_lets_them(told, host):
    assert [row["message"] for row in told if row["operation_Name"] == "talk"] == [
        "in the function",
        "in a thread with its context",
    ]
    assert [row["message"] for row in told if row["operation_Name"] == "talk_async"] == ["in a coroutine"]
    assert {row["severityLevel"] for row in told} == {1}
    # What is lost is lost on the console too: no invocation, an invocation that has ended, below its level.
    for lost in ("in a bare thread", "after the end", "for debugging"):
        assert lost not in host.output
    assert "in the function" in host.output


def test_each_invocation_is_a_request_and_a_failure_an_exception(told, host):
    requests = {row["name"]: row["success"] for row in rows(host, "requests")}
    assert requests["talk"] is True
    assert requests["broken"] is False
    (exception,) = rows(host, "exceptions")
    assert exception["operation_Name"] == "broken"
    assert "broken on purpose" in exception["outerMessage"]


def test_of_the_levels_the_longest_that_fits_decides():
    levels = LogLevels({"default": "Warning", "Function.a": "Error", "Function.a.User": "Information"})
    assert levels.let_through("Function.a.User", "Information")
    assert not levels.let_through("Function.a", "Warning")
    assert not levels.let_through("Host.Startup", "Information")
    assert LogLevels({}).let_through("Host.Startup", "Information")
    assert not LogLevels({"Host.Results": "None"}).let_through("Host.Results", "Critical")


def test_a_level_that_is_none_is_refused(tmp_path):
    (tmp_path / "host.json").write_text('{"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}')
    with pytest.raises(HostError, match="'Loud'"):
        load_options(tmp_path)
