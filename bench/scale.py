"""A million mailboxes against every limit: `python -m bench.scale`, or with `--write` puts the table into docs/.

A working day is gone through minute by minute: how many mailboxes get mail, how many have had no run for an hour and
so are polled. What a run takes of each service is what `infra/usage.json` counted; the rest are the constants below.
"""

import argparse
import json
import math
import sys
from collections import deque
from typing import NamedTuple

from bench.services import PROJECT
from infra import cost

MAILBOXES = 1_000_000
DOCUMENT = PROJECT / "docs" / "performance.md"
HOURS = (1, 1, 1, 1, 1, 2, 3, 5, 8, 10, 9, 8, 7, 8, 8, 7, 6, 4, 3, 2, 2, 1, 1, 1)
"""How mail is spread over the hours of a day: an office's, all in one time zone, which is the worst."""
POLL_MINUTES = 60
DUE_A_MINUTE = 16 * 2 * 1_000
"""What is handed out between two ticks: of each shard of the schedule two pages of a thousand."""
CORES_A_SUBSCRIPTION = 250
ENTITIES_A_CALL = 1.4
"""A finished run writes the record and its place in the schedule, three entities in one call; most calls have one."""


class Minute(NamedTuple):
    """What happens in one minute: mailboxes that get mail, and mailboxes that are polled."""

    mail: float
    polls: float

    @property
    def runs(self) -> float:
        """Of the sync."""
        return self.mail + self.polls


class Limit(NamedTuple):
    """A limit: what it allows in a minute, or at once; what is asked of it; what the design does where it binds."""

    name: str
    allows: float
    asked: float
    then: str


def day(mailboxes: int, messages: float = 20) -> list[Minute]:
    """The second day of two, so that polls have found their rhythm."""
    idle = deque([mailboxes / POLL_MINUTES] * POLL_MINUTES)  # mailboxes by minutes since their last run
    minutes = []
    for number in range(2 * 24 * 60):
        rate = messages * HOURS[number // 60 % 24] / sum(HOURS) / 60
        told = -math.expm1(-rate)
        mail = sum(idle) * told
        polls = idle.pop() * (1 - told)
        idle = deque(count * (1 - told) for count in idle)
        idle.appendleft(mail + polls)
        minutes.append(Minute(mail, polls))
    return minutes[24 * 60 :]


def limits(mailboxes: int = MAILBOXES) -> list[Limit]:
    """Every limit at the day's busiest minute, the one that is exceeded most first."""
    usage = json.loads((PROJECT / "infra" / "usage.json").read_text(encoding="utf-8"))["pushed"]
    runs = usage["executions"]["sync_mailbox"]

    def a_run(*names: str) -> float:
        """Calls of a service for each run of the sync."""
        calls: dict[str, int] = usage["calls"]
        return sum(count for name, count in calls.items() if name in names or name.split()[0] in names) / float(runs)

    minutes = day(mailboxes)
    busiest = max(minutes, key=lambda minute: minute.runs)
    polled = max(minute.polls for minute in minutes)
    cores = (
        busiest.runs
        * (1 + usage["executions"]["graph_notifications"] / runs)
        / 60
        * cost.cpu_seconds(usage)
        / cost.BUSY
    )
    what = cost.deployed("default")
    entities = busiest.runs * a_run("tables") * ENTITIES_A_CALL
    of_a_day = {name: count / usage["days"] * mailboxes for name, count in usage["executions"].items()}
    vault = a_run("keyVault") * runs / usage["days"] * mailboxes
    logged = cost.logged(what, of_a_day | {"poll_due_mailboxes": 1_440}, usage, mailboxes / usage["days"], vault) / 1e9
    found = [
        Limit(
            "Key Vault: writes, 300 in 10 s a vault",
            1_800,
            busiest.runs * a_run("keyVault PUT"),
            "runs wait and are tried again, so mail comes late; vaults by hash of the mailbox id are not there yet",
        ),
        Limit("Key Vault: reads, 4,000 in 10 s a vault", 24_000, busiest.runs * a_run("keyVault GET"), "as for writes"),
        Limit("tables: 20,000 entities/s an account", 1_200_000, entities, "503 is retried; a second account, by hash"),
        Limit(
            "tables: 2,000 entities/s a partition, of 16",
            16 * 120_000,
            entities,
            "503 is retried; more partitions of `mailboxes`; those of `messages` are one a mailbox",
        ),
        Limit("queue: 2,000 messages/s", 120_000, busiest.runs, "hints wait; a second queue, by hash"),
        Limit(
            "Graph: 4 at once and 10,000 in 10 min, a mailbox",
            1_000,
            a_run("graph"),
            "a lease a mailbox; Retry-After is obeyed",
        ),
        Limit("Graph: 130,000 in 10 s, an app", 780_000, busiest.runs * a_run("graph"), "Retry-After is obeyed"),
        Limit(
            "schedule: mailboxes due in a minute",
            DUE_A_MINUTE,
            polled,
            "the rest waits for the next tick: polls come late, mail by push does not; more shards",
        ),
        Limit(
            f"cores: {CORES_A_SUBSCRIPTION} a region and subscription",
            CORES_A_SUBSCRIPTION,
            cores,
            "hints wait on the queue; Azure raises the quota when asked, else a second subscription",
        ),
        Limit(
            "instances: `maximumInstanceCount` of each group",
            _most_instances(),
            cores / cost.CORES[what.memory],
            "hints wait on the queue; the parameter goes up to 1,000",
        ),
        Limit(
            "logs: `logDailyCapGb`, GB a day",
            1,
            logged,
            "the day's other lines are lost, and alerts on them: raise it, at the price of the ingestion",
        ),
    ]
    return sorted(found, key=lambda limit: -limit.asked / limit.allows)


def binds_at(limit: Limit, mailboxes: int = MAILBOXES) -> float:
    """The number of mailboxes at which the limit is reached: everything asked grows with them."""
    return mailboxes * limit.allows / limit.asked


def table() -> str:
    """The table of docs/performance.md."""
    rows = [
        f"| {limit.name} | {limit.asked / limit.allows:.0%} | {_reached(limit)} | {limit.then} |" for limit in limits()
    ]
    head = ["| limit | asked of it | reached with | what happens then |", "| --- | ---: | ---: | --- |"]
    return "\n".join(head + rows)


def _reached(limit: Limit) -> str:
    if limit.name.endswith("a mailbox"):
        return "never by number"
    digits = float(f"{binds_at(limit):.2g}")
    return f"{digits:,.0f} mailboxes"


def _most_instances() -> int:
    snapshot = json.loads((PROJECT / "infra" / "snapshots" / "default.snapshot.json").read_text(encoding="utf-8"))
    [site] = [one for one in snapshot["predictedResources"] if one["type"] == "Microsoft.Web/sites"]
    most: int = site["properties"]["functionAppConfig"]["scaleAndConcurrency"]["maximumInstanceCount"]
    return most


def document() -> str:
    """docs/performance.md with the table in its place."""
    return cost.filled(DOCUMENT, table(), "scale", "python -m bench.scale --write")


def main() -> int:
    """The command. 1 where the document is stale."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="A million mailboxes and every limit.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    if parser.parse_args().write:
        DOCUMENT.write_text(document(), encoding="utf-8")
        return 0
    print(table())
    return 0 if document() == DOCUMENT.read_text(encoding="utf-8") else 1


if __name__ == "__main__":
    sys.exit(main())
