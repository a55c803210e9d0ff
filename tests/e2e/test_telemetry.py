"""What the operator sees of a running product: alerts and panels over the log lines that the Functions host kept."""

import json
import ssl
from datetime import UTC, datetime, timedelta

import httpx

from infra.queries import of_alerts, of_workbook
from mailsync.schedule.records import Hint
from sandbox.state import PROJECT
from tests.e2e.people import Owner
from tests.e2e.test_status import poison
from tests.infra.engine import Logs, read_rows
from tests.infra.test_telemetry import events

SAMPLE = PROJECT / "sandbox/samples/01-plain-reply.eml"


class Log:
    """`telemetry.jsonl` from where it stood."""

    def __init__(self, home) -> None:
        self._path = home / "logs/telemetry.jsonl"
        self._begun = self._path.stat().st_size if self._path.exists() else 0

    def rows(self) -> dict[str, list[dict]]:
        with self._path.open("rb") as file:
            file.seek(self._begun)
            return read_rows(line.decode() for line in file if line.endswith(b"\n"))

    def lines(self, event: str, *words: str) -> list[str]:
        messages = [row["message"] for row in self.rows().get("traces", [])]
        return [line for line in messages if line.split()[0] == event and all(word in line for word in words)]

    def kept(self) -> Logs:
        logs = Logs()
        for table, rows in self.rows().items():
            logs.add(table, rows)
        return logs


def http(product) -> httpx.Client:
    context = ssl.create_default_context(cafile=product.state.ca_file)
    return httpx.Client(base_url=product.state.app, verify=context, trust_env=False, timeout=30)


def test_what_happens_to_mailboxes_shows_in_alerts_and_panels(product, home):
    log = Log(home)
    lost, ours, good = (f"{name}@telemetry.example" for name in ("lost", "ours", "good"))
    product.deliver(good, SAMPLE)
    ids = {address: product.connect(address) for address in (good, lost, ours)}
    product.until(lambda: product.mailbox(ids[good]).push.state.shown == "healthy", "it is subscribed", poll=True)
    product.deliver(good, SAMPLE)
    product.control.call("POST", "/users", {"address": "ann@nobody-told-us.example"})
    with Owner(product.state) as stranger:
        assert stranger.connect("ann@nobody-told-us.example").code == "no_account"
    product.control.call("POST", "/revoke", {"address": lost})
    product.until(lambda: log.lines("needs_reconnect", ids[lost]), "the lost grant is told", poll=True)
    product.control.call("POST", "/revoke", {"address": ours})
    product.fault("invalid-client")
    product.until(lambda: log.lines("misconfigured", ids[ours]), "our own fault is told", poll=True)
    product.clear_faults()
    poison(product, Hint(ids[good], datetime.now(UTC)))
    product.until(lambda: log.lines("sync_poisoned", ids[good]), "the poison is told")
    items = [{"subscriptionId": "none", "clientState": "made-up", "changeType": "created"}] * 150
    with http(product) as client:

        def told() -> bool:
            # Numbers are told every few seconds, by a POST that comes then.
            assert client.post("/graph/notifications", json={"value": items}).status_code == 202
            return all(map(log.lines, ("notifications_forged", "notifications_accepted", "poll_tick")))

        product.until(told, "what was posted is told", poll=True)

    kept, seen = log.kept(), {row["message"].split()[0] for row in log.rows()["traces"]}
    assert {"mailbox_connected", "sync_completed", "connect_refused", "notifications_accepted"} <= seen
    assert all(row["message"] == row["message"].strip() for row in log.rows()["traces"])
    fired = {name for name, query in of_alerts().items() if kept.ask(query, timedelta(days=2))}
    assert fired >= {"needs-reconnect", "misconfigured", "poison-messages", "forged-notifications"}
    assert not fired & {"polling-stopped", "mailbox-silent", "no-mail", "reconnects-rising", "log-cap-near"}
    (told,) = [row for row in kept.ask(of_alerts()["needs-reconnect"]) if ids[lost] in row]
    assert "grant_revoked" in told
    for name, query in of_workbook().items():
        if events(query) & seen:
            assert kept.ask(query), name


def test_a_flood_at_the_open_routes_is_a_few_lines(product, home):
    log = Log(home)
    with http(product) as client:
        for number in range(100):
            client.post("/auth/callback", data={"state": f"made-up-{number}", "code": "x"})
            client.post("/connect", data={})
            client.post("/graph/notifications", content=b'{"value": [7, {}]}')
            client.post("/graph/lifecycle", content=b"{" * 50)
            client.get("/health")
    rows = log.rows()
    open_routes = {"auth_callback", "connect_start", "graph_notifications", "graph_lifecycle", "health"}
    told = [row["message"] for row in rows["traces"] if row["operation_Name"] in open_routes]
    assert len([row for row in rows["requests"] if row["operation_Name"] in open_routes]) >= 500
    assert len(told) < 20, json.dumps(told, indent=1)
    assert not [row for row in rows.get("exceptions", []) if row["operation_Name"] in open_routes]
