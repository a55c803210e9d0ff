"""Alerts and panels, run over what the Functions host keeps of every event.

The events go through Microsoft's runtime and the sandbox's host, under the levels of the real host.json.
"""

import re
import shutil
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from infra.queries import of_workbook
from mailsync.telemetry import Event
from tests.infra.engine import Logs, read_rows, window
from tests.infra.kept import ROOT
from tests.infra.test_telemetry import alerts, emitted, events, query

MAILBOX = "11111111-1111-4111-8111-111111111111-22222222-2222-4222-8222-222222222222"
VALUES = {
    "mailbox": MAILBOX,
    "count": 4,
    "added": 2,
    "failures": 3,
    "seconds": 0.5,
    "delay": 30.0,
    "reconnected": False,
}
HOUR = timedelta(hours=1)


def sample(event: Event) -> dict[str, object]:
    """An event's fields as the code gives them, the last one empty."""
    fields = {name: VALUES.get(name, f"some_{name}") for name in sorted(emitted()[event]) if name}
    return {**fields, "detail": ""} if "detail" in fields else fields


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> dict[str, list[dict]]:
    """The rows of a run in which each event happens once, and one function fails."""
    folder = tmp_path_factory.mktemp("teller")
    app = Path(shutil.copytree(Path(__file__).parent / "teller", folder / "app"))
    shutil.copy(ROOT / "host.json", app)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sandbox", "host", "--port", str(port), "--app-directory", str(app)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "host listening" in line:
                break
        else:
            raise AssertionError("".join(lines))
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                client.post("/tell", json={event.value: sample(event) for event in Event}).raise_for_status()
                assert client.post("/fail").status_code == 500
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
    return read_rows((app / ".sandbox/logs/telemetry.jsonl").read_text().splitlines())


@pytest.fixture(scope="module")
def lines(kept) -> dict[str, dict]:
    """The row of `traces` that each event left."""
    return {row["message"].split()[0]: row for row in kept["traces"]}


def copies(row: dict, number: int) -> list[dict]:
    """The row that often, each of a mailbox of its own."""
    return [row | {"message": row["message"].replace(MAILBOX, f"{MAILBOX[:-4]}{n:04}")} for n in range(number)]


def logs(rows, age: timedelta = timedelta(0), table: str = "traces") -> Logs:
    made = Logs()
    made.add(table, rows, age)
    return made


def fires(name: str, on: Logs) -> bool:
    alert = alerts()[name]
    return bool(on.ask(query(alert), window(alert["windowSize"])))


def test_every_event_arrives_and_none_ends_in_a_blank(kept, lines):
    assert len(kept["traces"]) == len(Event)
    assert lines.keys() == set(Event)
    assert all(re.fullmatch(r"\w+( \w+=\S+)*", row["message"]) for row in kept["traces"])


OFTEN = {
    "sync-failures": 21,
    "reconnects-rising": 3,
    "push-degraded": 3,
    "forged-notifications": 26,
    "key-vault-throttled": 11,
}
"""How often an event has to happen; else once."""
STATES = {"polling-stopped", "mailbox-silent", "no-mail"}
"""Alerts on events that stay away."""
ON_EVENTS = sorted(name for name, alert in alerts().items() if events(query(alert)) and name not in STATES)


@pytest.mark.parametrize("name", ON_EVENTS)
def test_an_alert_fires_on_each_of_its_events_and_on_nothing_else(name, lines):
    of_alert = events(query(alerts()[name]))
    for event in of_alert:
        often = OFTEN.get(name, 1)
        assert fires(name, logs(copies(lines[event], often))), event
        assert not fires(name, logs(copies(lines[event], often - 1))), event
        assert not fires(name, logs(copies(lines[event], often), window(alerts()[name]["windowSize"]) + HOUR))
    others = [row for event, row in lines.items() if event not in of_alert]
    assert not fires(name, logs([copy for row in others for copy in copies(row, 30)]))


@pytest.mark.parametrize("name", sorted(of_workbook()))
def test_a_panel_shows_each_of_its_events_and_nothing_else(name, kept, lines):
    text = of_workbook()[name]
    for event in events(text):
        assert logs([lines[event]]).ask(text), event
    assert logs([row for event, row in lines.items() if event not in events(text)]).ask(text) == []
    if not events(text):
        row = kept["requests"][0] | {"name": "graph_lifecycle"}
        assert logs([row], table="requests").ask(text)


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_app_that_was_just_deployed_is_no_alarm(name, lines):
    assert not fires(name, Logs())
    first = [lines[event] for event in ("poll_tick", "mailbox_connected", "sync_completed", "notifications_accepted")]
    assert not fires(name, logs(first, timedelta(minutes=10)))


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_app_in_good_order_is_no_alarm(name, lines):
    well = Logs()
    for minutes in (*range(0, 60, 5), *range(60, 2 * 24 * 60, 60)):
        well.add("traces", [lines["poll_tick"], lines["sync_completed"]], timedelta(minutes=minutes))
    assert not fires(name, well)


def test_polling_that_stops_is_told_for_a_day(lines):
    for minutes, told in ((10, False), (20, True), (23 * 60, True), (25 * 60, False)):
        assert fires("polling-stopped", logs([lines["poll_tick"]], timedelta(minutes=minutes))) is told


def test_a_function_that_fails_again_and_again(kept):
    (failure,) = kept["exceptions"]
    assert failure["operation_Name"] == "poll_due_mailboxes"
    for times, told in ((4, False), (5, True)):
        assert fires("functions-fail", logs([failure] * times, table="exceptions")) is told
    several = [failure | {"operation_Name": f"f{n}"} for n in range(4)]
    assert not fires("functions-fail", logs(several * 2, table="exceptions"))


def test_notifications_that_are_acknowledged_slowly(kept):
    request = kept["requests"][0] | {"name": "graph_notifications", "duration": 100.0}
    slow = request | {"duration": 2600.0}
    assert not fires("slow-acknowledgement", logs([request] * 97 + [slow] * 3, table="requests"))
    assert fires("slow-acknowledgement", logs([request] * 90 + [slow] * 10, table="requests"))
    assert not fires("slow-acknowledgement", logs([slow | {"name": "connect_page"}], table="requests"))


class TestSilence:
    def history(self, lines, *happened: tuple[str, float]) -> Logs:
        """Events of one mailbox, so many hours ago."""
        made = Logs()
        for event, hours in happened:
            made.add("traces", [lines[event]], hours * HOUR)
        return made

    @pytest.mark.parametrize(
        "happened",
        [
            [("sync_completed", 30)],
            [("sync_completed", 30), ("sync_failed", 20), ("sync_failed", 1)],
            [("mailbox_connected", 40), ("sync_failed", 39), ("sync_deferred", 1)],
            [("sync_failed", 40), ("sync_failed", 1)],
            [("misconfigured", 40), ("misconfigured", 1)],
            [("needs_reconnect", 40), ("mailbox_connected", 30), ("sync_failed", 1)],
        ],
    )
    def test_a_mailbox_without_success_for_a_day_is_told(self, lines, happened):
        (row,) = self.history(lines, *happened).ask(query(alerts()["mailbox-silent"]), 48 * HOUR)
        assert MAILBOX in row

    @pytest.mark.parametrize(
        "happened",
        [
            [("sync_completed", 23)],
            [("sync_completed", 47), ("sync_completed", 1)],
            [("mailbox_connected", 3), ("sync_failed", 1)],
            [("sync_failed", 3)],
            [("sync_completed", 40), ("needs_reconnect", 39)],
            [("sync_completed", 40), ("mailbox_disconnected", 30)],
            [("mailbox_connected", 47), ("poll_tick", 30), ("sync_completed", 2)],
        ],
    )
    def test_one_that_is_well_or_has_ended_is_not(self, lines, happened):
        assert not fires("mailbox-silent", self.history(lines, *happened))

    def test_only_the_mailbox_concerned_is_named(self, lines):
        good, bad = copies(lines["sync_completed"], 2)
        made = logs([good], HOUR)
        made.add("traces", [bad], 30 * HOUR)
        (row,) = made.ask(query(alerts()["mailbox-silent"]), 48 * HOUR)
        assert f"{MAILBOX[:-4]}0001" in row

    @pytest.mark.parametrize(
        ("added", "hours", "told"),
        [(0, (23.5, 10, 1), True), (0, (5, 1), False), (2, (23.5, 1), False), (0, (), False)],
    )
    def test_no_mail_is_told_once_a_whole_window_was_seen(self, lines, added, hours, told):
        row = lines["sync_completed"]
        row = row | {"message": re.sub(r"added=\d+", f"added={added}", row["message"])}
        made = Logs()
        for each in hours:
            made.add("traces", [row], each * HOUR)
        assert fires("no-mail", made) is told


class TestCap:
    @pytest.mark.parametrize(("megabytes", "told"), [(780, False), (820, True)])
    def test_near(self, megabytes, told):
        usage = {"DataType": "AppRequests", "IsBillable": True, "Quantity": megabytes / 2}
        free = {"DataType": "Operation", "IsBillable": False, "Quantity": 5000.0}
        assert fires("log-cap-near", logs([usage, usage, free], HOUR, "Usage")) is told

    @pytest.mark.parametrize(("megabytes", "told"), [(900, False), (1100, True)])
    def test_the_audit_log_grows(self, megabytes, told):
        usage = {"DataType": "AZKVAuditLogs", "IsBillable": True, "Quantity": float(megabytes)}
        assert fires("audit-log-grows", logs([usage], HOUR, "Usage")) is told

    def test_reached(self):
        detail = "The data collection has been stopped because it reached the daily limit. Ingestion status = OverQuota"
        row = {"Category": "Ingestion", "Level": "Warning", "Detail": detail}
        assert fires("log-cap-reached", logs([row], table="_LogOperation"))
        assert not fires("log-cap-reached", logs([row | {"Detail": "RespectQuota"}], table="_LogOperation"))


def test_a_field_is_found_by_its_name_alone(lines):
    """Whatever a text from outside says in a detail before it."""
    row = {"message": "needs_reconnect detail=mailbox=forged_reason=forged mailbox=real reason=true"}
    (found,) = logs([row]).ask(of_workbook()["workbook: Mailboxes that need reconnecting"])
    assert found[:2] == ("real", "true")


@pytest.mark.parametrize("text", ["traces | bogus 1", "traces | where nothing == 1", "traces | invoke f()"])
def test_the_engine_refuses_what_it_does_not_know(text):
    with pytest.raises(Exception, match=r"bogus|nothing|invoke|KQL|f"):
        Logs().ask(text)
