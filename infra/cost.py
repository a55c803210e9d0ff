"""What the deployment costs a month: `python infra/cost.py`, or with `--write` puts its tables into docs/.

Prices are those of `prices.json`; operations those of `usage.json`, which `make bench ARGS=usage` counts on the
sandbox; what is deployed is read from the snapshots, and what is logged from `host.json`. Nothing else is assumed
but what the constants below say.
"""

import argparse
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

INFRA = Path(__file__).parent
DOCS = INFRA.parent / "docs"
DAYS = 365 / 12
HOURS = 24 * DAYS
SECONDS = 3600 * HOURS
MAILBOXES = (0, 100, 300, 1_000)
MEMORY = (512, 2_048, 4_096)

CALL_SECONDS = {"graph": 0.15, "entra": 0.15, "keyVault": 0.05}
"""What a remote call takes; any other 0.02. Few executions reach the second that is billed at the least."""
LEAST_SECONDS = 1.0
"""https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan#billing."""
CORES = {512: 0.25, 2_048: 1.0, 4_096: 2.0}
HOST_SHARE = 2.0
"""The host's part of an execution's processor time, as a multiple of the worker's: a guess, to be measured in Azure."""
BUSY = 0.6
"""The share of its processor at which an instance is joined by another."""

TRACE_BYTES = 650
REQUEST_BYTES = 900
AUDIT_BYTES = 1_200
"""Of a row in the workspace, besides our own line: times, ids, names, the invocation's properties."""
LEASES_A_MINUTE = 8
"""The host renews the lease that says which instance is first, and that of its timers, every 15 seconds."""

type Sums = dict[str, float]


class Deployed(NamedTuple):
    """What a snapshot deploys, as far as it costs."""

    memory: int
    always_ready: dict[str, int]
    redundancy: str
    log_alerts: list[int]
    metric_alerts: int
    audited: bool
    endpoints: int
    zones: int


@dataclass(frozen=True)
class Line:
    """One item of the bill: which part it belongs to, which price, how much of it."""

    part: str
    price: str
    quantity: float


def deployed(snapshot: str, memory: int | None = None) -> Deployed:
    """What the snapshot of that name deploys."""
    resources = _read(INFRA / "snapshots" / f"{snapshot}.snapshot.json")["predictedResources"]
    kinds: dict[str, list[dict[str, Any]]] = {}
    for resource in resources:
        kinds.setdefault(resource["type"], []).append(resource)
    scale = kinds["Microsoft.Web/sites"][0]["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    [mail] = [one for one in kinds["Microsoft.Storage/storageAccounts"] if one["name"].startswith("stmail")]
    rules = kinds.get("Microsoft.Insights/scheduledQueryRules", [])
    audits = kinds.get("Microsoft.Insights/diagnosticSettings", [])
    return Deployed(
        memory=memory or scale["instanceMemoryMB"],
        always_ready={one["name"].removeprefix("function:"): one["instanceCount"] for one in scale["alwaysReady"]},
        redundancy=mail["sku"]["name"],
        log_alerts=[frequency(rule["properties"]["evaluationFrequency"]) for rule in rules],
        metric_alerts=len(kinds.get("Microsoft.Insights/metricAlerts", [])),
        audited=any("workspaceId" in audit["properties"] for audit in audits),
        endpoints=len(kinds.get("Microsoft.Network/privateEndpoints", [])),
        zones=len(kinds.get("Microsoft.Network/privateDnsZones", [])),
    )


def bill(what: Deployed, mailboxes: int, how: str = "pushed") -> Sums:
    """Dollars a month by part, in order."""
    prices = _read(INFRA / "prices.json")["prices"]
    amounts: dict[tuple[str, str], float] = {}
    for line in _lines(what, mailboxes, _read(INFRA / "usage.json")[how]):
        key = line.part, line.price
        amounts[key] = amounts.get(key, 0.0) + line.quantity
    sums: Sums = {}
    for (part, name), quantity in amounts.items():
        price = prices[name]
        paid = max(0.0, quantity - price.get("free", 0)) / price["per"] * price["dollars"]
        sums[part] = sums.get(part, 0.0) + paid
    return sums


def _lines(what: Deployed, mailboxes: int, usage: dict[str, Any]) -> Iterable[Line]:
    a_month = mailboxes * DAYS / usage["days"]
    runs = {name: count * a_month for name, count in usage["executions"].items()}
    runs["poll_due_mailboxes"] = HOURS * 60  # a tick wakes many mailboxes, and comes whether or not one is due
    runs["sweep_sign_ins"] = HOURS
    yield from _executions(what, runs, _seconds(usage), cpu_seconds(usage))
    calls = {name: count * a_month for name, count in usage["calls"].items()}
    for name, count in usage["callsOfEmptyTick"].items():
        calls[name] = calls.get(name, 0.0) + count * HOURS * 60
    yield Line("tables", "tables.operations", _of(calls, "tables"))
    stored = usage["messages"] * a_month * usage["rowBytes"] / 1e9
    yield Line("tables, for each month of mail that is kept", f"tables.stored.{what.redundancy}", stored)
    polls = _listeners(what) * SECONDS / _host_polls_every()
    yield Line("queues, the host's own polling", "queues.operations", polls)
    yield Line("queues", "queues.operations", _of(calls, "queues"))
    yield Line("blobs of the host", "blobs.writes", runs["poll_due_mailboxes"] + runs["sweep_sign_ins"])
    yield Line("blobs of the host", "blobs.others", LEASES_A_MINUTE * HOURS * 60)
    yield Line("blobs of the host", "blobs.writes", _of(calls, "blobs"))
    yield Line("Key Vault", "keyVault.operations", _of(calls, "keyVault"))
    yield Line("telemetry", "logs.ingested", logged(what, runs, usage, a_month, _of(calls, "keyVault")) / 1e9)
    for minutes in what.log_alerts:
        yield Line("alert rules", f"alerts.log.{minutes}", 1)
    yield Line("alert rules", "alerts.metric", what.metric_alerts)
    yield Line("private network", "network.endpointHours", what.endpoints * HOURS)
    yield Line("private network", "network.zones", what.zones)


def _executions(what: Deployed, runs: Sums, seconds: Sums, processor: float) -> Iterable[Line]:
    """Instances that are kept, and what is active of them and of others: by group, as each scales by itself."""
    gigabytes = what.memory / 1024
    for group, count in what.always_ready.items():
        part = f"always ready: {count} for {group}"
        yield Line(part, "functions.alwaysReady.baseline", count * gigabytes * SECONDS)
    groups: dict[str, list[str]] = {}
    for name in runs:
        groups.setdefault("http" if name.startswith("graph_") else name, []).append(name)
    for group, names in groups.items():
        rate = sum(runs[name] for name in names) / SECONDS
        taken = sum(runs[name] / SECONDS * seconds.get(name, LEAST_SECONDS) for name in names)
        instances = max(1, math.ceil(rate * processor / (BUSY * CORES[what.memory])))
        # Executions that overlap on an instance are paid for once: the share of time in which at least one is there.
        active = instances * SECONDS * -math.expm1(-taken / instances)
        ready = min(1.0, what.always_ready.get(group, 0) / instances)
        part = "executions: " + ("webhook" if group == "http" else "sync" if group == "sync_mailbox" else "timers")
        for kind, share in (("alwaysReady", ready), ("onDemand", 1 - ready)):
            yield Line(part, f"functions.{kind}.execution", share * active * gigabytes)
            yield Line(part, f"functions.{kind}.executions", share * rate * SECONDS)


def cpu_seconds(usage: dict[str, Any]) -> float:
    """Processor time of an execution, on a core of the machine that counted."""
    worker: float = usage["cpuSecondsOfARun"]
    return worker * (1 + HOST_SHARE)


def _seconds(usage: dict[str, Any]) -> Sums:
    """What an execution of each function is billed: its remote calls, a second at the least."""
    taken = sum(count * CALL_SECONDS.get(name.split()[0], 0.02) for name, count in usage["calls"].items())
    return {"sync_mailbox": max(LEAST_SECONDS, taken / usage["executions"]["sync_mailbox"])}


def logged(what: Deployed, runs: Sums, usage: dict[str, Any], a_month: float, vault_calls: float) -> float:
    """Bytes in the workspace: our lines, the host's two of an execution where they are on, a request, the audit."""
    ticks = runs["poll_due_mailboxes"]
    characters = usage["logCharacters"] | {"poll_due_mailboxes": 0}
    lines = usage["logLines"] | {"poll_due_mailboxes": 0}
    ours: float = (sum(characters.values()) + sum(lines.values()) * TRACE_BYTES) * a_month
    ours += ticks * (
        TRACE_BYTES + usage["logCharacters"]["poll_due_mailboxes"] / usage["logLines"]["poll_due_mailboxes"]
    )
    logging = _host()["logging"]
    levels, sampling = logging["logLevel"], logging["applicationInsights"]["samplingSettings"]
    default = levels.get("default", "Information")
    told = sum(count for name, count in runs.items() if _tells(levels.get(f"Function.{name}", default)))
    most: float = sampling.get("maxTelemetryItemsPerSecond", 20) * SECONDS
    requests = sum(min(count, most) for count in runs.values()) if _tells(levels.get("Host.Results", default)) else 0.0
    audit = vault_calls * AUDIT_BYTES if what.audited else 0.0
    return ours + told * 2 * TRACE_BYTES + requests * REQUEST_BYTES + audit


def _tells(level: str) -> bool:
    return level in {"Trace", "Debug", "Information"}


def _listeners(what: Deployed) -> int:
    """Always-ready instances that listen to the queue; what the platform's scaler asks is not published."""
    return what.always_ready.get("sync_mailbox", 0)


def _host_polls_every() -> float:
    """Seconds between the questions of an idle queue listener."""
    hours, minutes, seconds = _host()["extensions"]["queues"]["maxPollingInterval"].split(":")
    return float(hours) * 3600 + float(minutes) * 60 + float(seconds)


def _of(calls: Sums, service: str) -> float:
    return sum(count for name, count in calls.items() if name.split()[0] == service)


def frequency(duration: str) -> int:
    """Minutes of an ISO 8601 duration, as alert rules are priced: 15 stands for anything longer."""
    match = re.fullmatch(r"PT(\d+)M", duration)
    return next((step for step in (1, 5, 10) if match and int(match[1]) <= step), 15)


def _host() -> Any:
    return _read(INFRA.parent / "host.json")


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def deployment_table() -> str:
    """The table of docs/deploy.md: the default deployment by number of mailboxes."""
    columns = [bill(deployed("default"), mailboxes) for mailboxes in MAILBOXES]
    rows = [
        [part, *(_dollars(column[part]) for column in columns)] for part in columns[-1] if columns[-1][part] >= 0.005
    ]
    rows.append(["**together**", *(f"**{_dollars(sum(column.values()))}**" for column in columns)])
    polled = [_dollars(sum(bill(deployed("default"), mailboxes, "polled").values())) for mailboxes in MAILBOXES]
    rows.append(["together, without push", *polled])
    hardened = [_dollars(bill(deployed("hardened"), mailboxes)["private network"]) for mailboxes in MAILBOXES]
    rows.append(["`networkHardening` adds", *hardened])
    for memory in MEMORY:
        sums = [_dollars(sum(bill(deployed("default", memory), mailboxes).values())) for mailboxes in MAILBOXES]
        rows.append([f"together, with `instanceMemoryMB={memory}`", *sums])
    return _table(["dollars a month, mailboxes:", *(f"{mailboxes:,}" for mailboxes in MAILBOXES)], rows)


def variable_table() -> str:
    """The table of docs/performance.md: what 1,000 mailboxes add to none, the biggest item first."""
    none, most = 0, MAILBOXES[-1]
    added = {}
    for how in ("pushed", "polled"):
        empty, full = (bill(deployed("default"), mailboxes, how) for mailboxes in (none, most))
        added[how] = Counter({part: full[part] - empty[part] for part in full})
    parts = sorted(added["pushed"] | added["polled"], key=lambda part: -added["pushed"][part])
    kept = [part for part in parts if max(added[how][part] for how in added) >= 0.005]
    rows = [[part, *(_dollars(added[how][part]) for how in added)] for part in kept]
    rows.append(["**together**", *(f"**{_dollars(sum(added[how].values()))}**" for how in added)])
    return _table(["1,000 mailboxes, dollars a month", "healthy push", "without push"], rows)


def _dollars(amount: float) -> str:
    return f"{amount:,.2f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def documents() -> dict[Path, str]:
    """Each document that holds a table, as it should be."""
    tables = {"deploy.md": deployment_table(), "performance.md": variable_table()}
    return {DOCS / name: filled(DOCS / name, table) for name, table in tables.items()}


def filled(path: Path, table: str, what: str = "cost", command: str = "python infra/cost.py --write") -> str:
    """The document with the table between its two marks, which name the command that makes it."""
    begin, end = f"<!-- {what}: made by `{command}` -->", f"<!-- {what}: end -->"
    head, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, mark, tail = rest.partition(end)
    if not mark:
        raise SystemExit(f"{path.name} has no place for the table: {begin} … {end}")
    return f"{head}{begin}\n\n{table}\n\n{end}{tail}"


def main() -> int:
    """The command. 1 where a document is stale."""
    parser = argparse.ArgumentParser(description="Computes what the deployment costs.")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/")
    write = parser.parse_args().write
    stale = [path for path, text in documents().items() if path.read_text(encoding="utf-8") != text]
    if write:
        for path, text in documents().items():
            path.write_text(text, encoding="utf-8")
        return 0
    print(deployment_table(), variable_table(), sep="\n\n")
    for path in stale:
        print(f"{path.name} is stale: run `python infra/cost.py --write`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
