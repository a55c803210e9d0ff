"""Row `usage`: what a day of one mailbox takes of each service. Its counts are what `infra/cost.py` prices."""

import json

from bench.connected import connected
from bench.measure import Bound, Figure, Say
from bench.services import PROJECT, Services, measured

COUNTS = PROJECT / "infra" / "usage.json"
DAYS = {"pushed": 7, "polled": 1}
"""A week holds the renewal of the subscription; polls are the same every day."""
_INTERVALS = {"POLL_INTERVAL_SECONDS": "300", "POLL_INTERVAL_WITH_PUSH_SECONDS": "3600"}


def usage(services: Services, _number: int, say: Say) -> list[Figure]:
    """Runs of the sync a day. Writes the counts."""
    counts = {}
    figures = []
    for how, days in DAYS.items():
        with connected(services) as (state, identity):
            environment = {**state.environment, **_INTERVALS}
            counts[how] = measured("bench.usage_child", how, str(days), identity, environment=environment)
        say(f"  {how}: {counts[how]['executions']}, {counts[how]['calls']} in {days} days")
        runs = counts[how]["executions"]["sync_mailbox"] / days
        figures.append(Figure(f"a day of a mailbox, {how}: runs of the sync", (runs,), Bound(), counts[how]))
    COUNTS.write_text(json.dumps(counts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return figures
