"""What the documents say of costs is what the script makes of prices, counts and template; and its arithmetic."""

import json
from datetime import date

import pytest

from infra import cost

NOTHING_KEPT = {"always_ready": {}, "log_alerts": [], "metric_alerts": 0, "endpoints": 0, "zones": 0}


@pytest.fixture
def plain():
    """A deployment that costs nothing by itself."""
    return cost.deployed("default")._replace(**NOTHING_KEPT, memory=512)


def prices():
    return json.loads((cost.INFRA / "prices.json").read_text())["prices"]


@pytest.mark.parametrize(("path", "text"), cost.documents().items(), ids=lambda value: getattr(value, "name", ""))
def test_the_documents_hold_what_the_script_computes(path, text):
    assert path.read_text() == text, "run `python infra/cost.py --write`"


def test_every_price_has_a_source_and_a_day():
    for name, price in prices().items():
        assert price["dollars"] > 0, name
        assert price["source"], name
        assert price["unit"], name
        assert date.fromisoformat(price["seen"]), name


def test_the_counts_are_of_days_that_say_how_much_mail_came():
    for how, usage in json.loads((cost.INFRA / "usage.json").read_text()).items():
        assert usage["messages"] == 20 * usage["days"], how
        assert usage["executions"]["sync_mailbox"] >= 20 * usage["days"], how


def test_a_deployment_is_read_from_its_snapshot():
    hardened = cost.deployed("hardened")
    assert (hardened.endpoints, hardened.zones) == (6, 4)
    assert cost.deployed("default")._replace(endpoints=6, zones=4) == hardened
    assert set(hardened.always_ready) == {"http", "sync_mailbox"}
    assert hardened.redundancy == "Standard_ZRS"


def test_timers_alone_stay_within_the_free_grant_of_a_small_instance(plain):
    assert cost.bill(plain, 0)["executions: timers"] == 0
    dear = cost.bill(plain._replace(memory=4_096), 0)["executions: timers"]
    paid = (cost.HOURS * 61 * 4 - 100_000) * 0.000026
    assert dear == pytest.approx(paid, rel=0.03)  # as if ticks could overlap


def test_what_is_always_ready_has_no_free_grant(plain):
    kept = plain._replace(always_ready={"poll_due_mailboxes": 1})
    sums = cost.bill(kept, 0)
    assert sums["always ready: 1 for poll_due_mailboxes"] == pytest.approx(0.5 * cost.SECONDS * 0.000004)
    assert sums["executions: timers"] > 0.3


def test_an_execution_is_billed_a_second_at_the_least_and_an_overlap_once(plain):
    kept = plain._replace(always_ready={"sync_mailbox": 1})
    usage = json.loads((cost.INFRA / "usage.json").read_text())["pushed"]
    runs = usage["executions"]["sync_mailbox"] / usage["days"] * cost.DAYS
    one = cost.bill(kept, 1)["executions: sync"]
    assert one == pytest.approx(runs * (0.5 * 0.000016 + 0.4e-6), rel=0.01)
    assert 500 * one < cost.bill(kept, 1_000)["executions: sync"] < 1_000 * one


def test_an_idle_listener_asks_as_often_as_the_host_is_told(plain):
    kept = plain._replace(always_ready={"sync_mailbox": 2})
    assert cost.bill(kept, 0)["queues, the host's own polling"] == pytest.approx(2 * cost.SECONDS / 1e4 * 0.004)
    assert cost.bill(plain, 0)["queues, the host's own polling"] == 0


def test_the_audit_log_is_paid_where_the_workspace_holds_it(plain):
    told = cost.bill(plain._replace(audited=True), 10_000, "polled")["telemetry"]
    assert told > cost.bill(plain._replace(audited=False), 10_000, "polled")["telemetry"]


@pytest.mark.parametrize(
    ("duration", "minutes"), [("PT1M", 1), ("PT5M", 5), ("PT10M", 10), ("PT15M", 15), ("PT1H", 15)]
)
def test_an_alert_rule_is_priced_by_how_often_it_looks(plain, duration, minutes):
    assert cost.frequency(duration) == minutes
    [dollars] = [price["dollars"] for name, price in prices().items() if name == f"alerts.log.{minutes}"]
    assert cost.bill(plain._replace(log_alerts=[minutes]), 0)["alert rules"] == dollars


def test_a_document_without_a_place_for_the_table_is_named(tmp_path):
    (tmp_path / "x.md").write_text("nothing")
    with pytest.raises(SystemExit, match=r"x\.md has no place"):
        cost.filled(tmp_path / "x.md", "table")
