"""Alerts and workbook ask only for what the code says: events, their fields, and functions by name."""

import ast
import json
import re
from functools import cache

import pytest

from infra.queries import of_alerts, of_workbook
from mailsync.telemetry import Event
from tests.infra import served
from tests.infra.kept import ROOT, SNAPSHOTS, resources

PACKAGES = ("mailsync", "auth_callback", "health", "management", "webhook_receiver", "poll_timer", "sync_worker")


def alerts(snapshot: str = "default") -> dict[str, dict]:
    rules = resources(snapshot, "Microsoft.Insights/scheduledQueryRules")
    return {rule["name"].removeprefix("inbox-connector-"): rule["properties"] for rule in rules}


def query(alert: dict) -> str:
    (criterion,) = alert["criteria"]["allOf"]
    return criterion["query"]


def queries() -> dict[str, str]:
    """Every query of the alerts and of the workbook, by where it stands."""
    return of_alerts() | of_workbook()


def events(text: str) -> set[str]:
    """Events that a query names."""
    lists = re.findall(r'event (?:==|in) \(?((?:"\w+"(?:, )?)+)', text)
    return {name for names in lists for name in re.findall(r"\w+", names)}


def fields(text: str) -> set[str]:
    """Fields that a query reads from an event's line."""
    return set(re.findall(r'extract\(@" (\w+)=', text))


@cache
def emitted() -> dict[Event, set[str]]:
    """Events that the code emits, with the fields it gives them.

    Where the event is chosen beforehand, every event that its function names may be meant.
    """
    found: dict[Event, set[str]] = {}
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and (counted := emits(call)) is not None:
                        for event in named(call.args[0]) or named(function):
                            found.setdefault(event, set()).update(counted, (each.arg for each in call.keywords))
    return found


def emits(call: ast.Call) -> set[str] | None:
    """For a call of `emit` the fields that come of themselves: a tally's count; None for any other call."""
    match call.func:
        case ast.Name(id="emit"):
            return set()
        case ast.Attribute(attr="emit"):
            return {"count"}
    return None


def named(tree: ast.AST) -> set[Event]:
    return {
        Event[node.attr]
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Event"
    }


@pytest.mark.parametrize("where", queries())
class TestQueries:
    def test_reads_events_or_what_azure_writes(self, where):
        text = queries()[where]
        assert text.split()[0] in {"requests", "exceptions", "Usage", "_LogOperation"} or events(text)

    def test_names_events_that_exist(self, where):
        assert events(queries()[where]) <= set(Event)

    def test_reads_fields_that_some_event_of_it_has(self, where):
        text = queries()[where]
        known = [emitted()[Event(event)] for event in events(text) if Event(event) in emitted()]
        if known:
            assert fields(text) - {"mailbox", "reason"} <= set().union(*known)


def test_every_queried_event_is_emitted():
    queried = {event for text in queries().values() for event in events(text)}
    assert queried <= emitted().keys()


UNWATCHED: dict[Event, str] = {
    Event.SIGNING_KEY_ROTATED: "it is routine; what it may cost, push_degraded tells",
}
"""Events that neither an alert nor a panel reads, each with the reason."""


def test_every_event_is_watched_or_is_none_for_a_reason():
    seen = {event for text in queries().values() for event in events(text)}
    assert set(Event) - seen == UNWATCHED.keys()
    assert all(UNWATCHED.values())


def test_functions_named_by_queries_exist():
    names = {
        name
        for text in queries().values()
        for part in re.findall(r"name in \(([^)]*)\)", text)
        for name in re.findall(r'"(\w+)"', part)
    }
    assert names == {"graph_notifications", "graph_lifecycle"}
    assert names <= served.functions().keys()


def test_alerts_cover_what_an_operator_must_know():
    assert set(alerts()) == {
        "poison-messages",
        "misconfigured",
        "functions-fail",
        "log-cap-reached",
        "log-cap-near",
        "audit-log-grows",
        "mailbox-silent",
        "pages-fail",
        "needs-reconnect",
        "polling-stopped",
        "sync-failures",
        "reconnects-rising",
        "slow-acknowledgement",
        "forged-notifications",
        "push-degraded",
        "no-mail",
        "key-vault-throttled",
    }


# https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule
FREQUENCIES = {"PT5M", "PT15M", "PT1H"}
WINDOWS = {"PT5M", "PT10M", "PT15M", "PT1H", "P1D", "P2D"}
HAPPENINGS = {"poison-messages", "needs-reconnect", "log-cap-reached", "pages-fail"}


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_each_alert_fires_on_a_row(snapshot):
    """A state clears itself; what happens is told each time, and once, as the windows follow one another."""
    for name, alert in alerts(snapshot).items():
        (criterion,) = alert["criteria"]["allOf"]
        assert (criterion["timeAggregation"], criterion["operator"], criterion["threshold"]) == (
            "Count",
            "GreaterThan",
            0,
        )
        assert alert["enabled"], name
        assert alert["autoMitigate"] is (name not in HAPPENINGS)
        if name in HAPPENINGS:
            assert alert["windowSize"] == alert["evaluationFrequency"]
        assert alert["evaluationFrequency"] in FREQUENCIES
        assert alert["windowSize"] in WINDOWS


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_each_alert_asks_where_its_table_is(snapshot):
    component = resources(snapshot, "Microsoft.Insights/components")[0]
    log = component["properties"]["WorkspaceResourceId"]
    places = {"log-cap-reached": log, "log-cap-near": log, "audit-log-grows": audit_workspace(snapshot)["id"]}
    for name, alert in alerts(snapshot).items():
        assert alert["scopes"] == [places.get(name, component["id"])]


def audit_workspace(snapshot: str) -> dict:
    (setting,) = resources(snapshot, "Microsoft.Insights/diagnosticSettings")
    workspaces = resources(snapshot, "Microsoft.OperationalInsights/workspaces")
    (found,) = [each for each in workspaces if each["id"] == setting["properties"]["workspaceId"]]
    return found


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
class TestNobodyCanBlindTheOperator:
    """Whoever asks for pages or posts to the webhook can fill the log of the day. These do not depend on it."""

    def test_the_vaults_audit_is_where_no_request_of_a_page_is_written(self, snapshot):
        component = resources(snapshot, "Microsoft.Insights/components")[0]
        audit = audit_workspace(snapshot)
        assert component["properties"]["WorkspaceResourceId"] != audit["id"]
        assert "workspaceCapping" not in audit["properties"]

    def test_that_the_app_is_refused_is_seen_in_what_azure_counts(self, snapshot):
        rules = resources(snapshot, "Microsoft.Insights/metricAlerts")
        counted = {}
        for rule in rules:
            (criterion,) = rule["properties"]["criteria"]["allOf"]
            dimensions = {each["name"]: each["values"] for each in criterion["dimensions"]}
            counted[criterion["metricName"]] = dimensions
            assert rule["properties"]["severity"] == 1
            assert (criterion["operator"], criterion["threshold"]) == ("GreaterThan", 0)
        assert counted == {
            "ServiceApiResult": {"StatusCode": ["403"]},
            "Transactions": {"Authentication": ["OAuth"], "ResponseType": ["AuthorizationError"]},
        }

    def test_the_cap_is_told_before_and_when_it_is_reached(self, snapshot):
        near, reached = alerts(snapshot)["log-cap-near"], alerts(snapshot)["log-cap-reached"]
        # Tables that cost nothing go on being written at the cap.
        assert query(near).startswith("Usage ")
        assert query(near).endswith("> 0.8 * 1")
        assert query(reached).startswith("_LogOperation ")
        assert reached["severity"] == 1


def test_forged_and_slow_are_judged_as_promised():
    assert "p95 > 2000" in query(alerts()["slow-acknowledgement"])
    assert alerts()["slow-acknowledgement"]["windowSize"] == "PT10M"


def test_the_host_does_not_sample_events_away():
    sampling = json.loads((ROOT / "host.json").read_text())["logging"]["applicationInsights"]["samplingSettings"]
    assert set(sampling["excludedTypes"].split(";")) == {"Trace", "Exception"}


def test_every_function_keeps_its_own_lines_and_not_the_hosts():
    """The host writes two lines an invocation, at `Function.<name>`; the program's own are at `Function.<name>.User`."""
    levels = json.loads((ROOT / "host.json").read_text())["logging"]["logLevel"]
    of_functions = {name: level for name, level in levels.items() if name.startswith("Function.")}
    expected = {}
    for name in served.functions():
        expected |= {f"Function.{name}": "Warning", f"Function.{name}.User": "Information"}
    assert of_functions == expected


def test_the_host_says_little_of_itself():
    """What it counts and measures by itself would be most of a quiet app's telemetry, and nothing here reads it."""
    logging = json.loads((ROOT / "host.json").read_text())["logging"]
    levels = logging["logLevel"]
    assert (levels["default"], levels["Host.Results"], levels["Host.Aggregator"]) == ("Warning", "Information", "None")
    assert logging["applicationInsights"]["enablePerformanceCountersCollection"] is False
    assert logging["applicationInsights"]["enableDependencyTracking"] is False


def test_a_flood_at_an_open_route_does_not_use_up_the_days_telemetry():
    """Requests are sampled: one a second and instance, some 100 MB a day of the gigabyte that may come."""
    sampling = json.loads((ROOT / "host.json").read_text())["logging"]["applicationInsights"]["samplingSettings"]
    assert sampling["isEnabled"]
    assert sampling["maxTelemetryItemsPerSecond"] == 1
