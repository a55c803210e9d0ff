"""The sandbox's commands, as another program would drive them, and the whole product behind them."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sandbox import up
from sandbox.state import PROJECT

SAMPLES = PROJECT / "sandbox/samples"
MAILBOX_ID = re.compile(r"[0-9a-f-]{36}-[0-9a-f-]{36}")


class Commands:
    def __init__(self, home):
        self.home = home
        self.environment = {**os.environ, "SANDBOX_HOME": str(home), "POLL_INTERVAL_SECONDS": "1"}

    def popen(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox", *map(str, arguments)],
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *arguments, code=0):
        process = self.popen(*arguments)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == code, output
        return output

    def json(self, *arguments):
        return json.loads(self(*arguments))

    @contextlib.contextmanager
    def up(self, *arguments):
        process = self.popen("up", *arguments)
        try:
            for line in process.stdout:
                if line.strip().startswith("logs"):
                    break
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=60)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox")
    commands = Commands(home)
    with commands.up("--ready-file", home / "ready.json"):
        yield commands


def test_ready_file(sandbox):
    content = json.loads((sandbox.home / "ready.json").read_text())
    addresses = ("app", "entra", "graph", "keyVault", "tables", "queues", "blobs")
    assert all(content[name].startswith("https://") for name in addresses)
    assert set(content["pids"]) == {"azurite", "microsoft365", "host"}
    assert "BEGIN CERTIFICATE" in Path(content["caFile"]).read_text()
    assert content["environment"]["PUBLIC_BASE_URL"] == content["app"]
    assert not re.search(r"AccountKey|SECRET|[A-Za-z0-9+/=]{60}", json.dumps(content["environment"]))


def test_every_command_has_help(sandbox):
    for name in ["run", "up", "host", "connect", "deliver", "messages", "mailbox", "poll", "fault", "keys"]:
        assert f"sandbox {name}" in sandbox(name, "--help")


def test_mail_reaches_the_table_as_graph_has_it(sandbox):
    address = "ann@fabrikam.com"
    assert "delivered 14 messages" in sandbox("deliver", address, SAMPLES)
    assert MAILBOX_ID.fullmatch(sandbox("connect", address).strip())
    rows = sandbox.json("messages", address, "--json", "--wait", 14)
    truth = {message["id"]: message for message in sandbox.json("mailbox", address, "--json")["messages"]}
    assert len(rows) == len(truth) == 14
    assert [row["RowKey"] for row in rows] == sorted(row["RowKey"] for row in rows)
    for row in rows:
        message = truth[row["messageId"]]
        assert row["body"] == message["body"]["content"]
        assert row["subject"] == message["subject"]
        assert row["headers"] == message["internetMessageHeaders"]
        assert row["receivedDateTime"][:19] == message["receivedDateTime"][:19]
        assert row["toRecipients"] == [entry["emailAddress"] for entry in message["toRecipients"]]
    shown = sandbox("messages", address)
    assert "山田 花子" in shown
    assert shown.endswith("14 messages\n")


def test_mail_that_comes_later_is_polled(sandbox):
    address = "bob@fabrikam.com"
    sandbox("connect", address)
    sandbox("messages", address)
    sandbox("deliver", address, SAMPLES / "01-plain-reply.eml", SAMPLES / "14-newsletter.eml")
    sandbox("fault", "delta-replay", "--count", 1)
    sandbox("connect", address)  # a mailbox that is connected again is due at once
    assert "poll timer" in sandbox("poll")
    assert len(sandbox.json("messages", address, "--json", "--wait", 2)) == 2
    sandbox("fault", "clear")


def test_accounts(sandbox):
    sandbox("connect", "zoe@tailspin.com", "--account", "zoes")
    sandbox("connect", "zoe@tailspin.com", "--account", "zoes")
    sandbox("connect", "zoe@tailspin.com")
    sandbox("connect", "kim@tailspin.com", "--account", "zoes")
    assert "other_account" in sandbox("connect", "zoe@tailspin.com", "--account", "other", code=1)
    assert "belongs to account other" in sandbox("connect", "zoe@tailspin.com", "--account", "third", code=1)
    assert "cannot be added" in sandbox("connect", "lee@northwind.com", "--account", "zoes", code=1)


def test_inboxes_of_one_domain_may_be_connected_at_once(sandbox):
    addresses = [f"{name}@adventure-works.com" for name in ("ada", "bea", "cia", "dora")]
    with ThreadPoolExecutor(len(addresses)) as pool:
        ids = list(pool.map(lambda address: sandbox("connect", address), addresses))
    assert len(set(ids)) == len(addresses)


def test_what_goes_wrong_is_said(sandbox, tmp_path):
    (tmp_path / "broken.eml").write_bytes(b"")
    output = sandbox("deliver", "ann@fabrikam.com", SAMPLES / "01-plain-reply.eml", tmp_path / "broken.eml", code=1)
    assert "delivered 1 message to" in output
    assert "broken.eml" in output
    assert "does not exist" in sandbox("deliver", "ann@fabrikam.com", tmp_path / "none", code=1)
    assert "is not connected" in sandbox("messages", "nobody@fabrikam.com", code=1)
    assert "of 99 messages" in sandbox("messages", "ann@fabrikam.com", "--wait", 99, "--timeout", 0, code=1)
    assert "no user" in sandbox("mailbox", "nobody@fabrikam.com", code=1)
    assert "not an address" in sandbox("connect", "nobody@", code=1)
    assert "running already" in sandbox("up", code=1)


def test_a_refusal_on_the_pages_is_told(sandbox):
    sandbox("fault", "conditional-access", "address=eve@fabrikam.com", "--count", 1)
    assert "sandbox: /auth/callback says:" in sandbox("connect", "eve@fabrikam.com", code=1)


def test_faults(sandbox):
    assert "graph-throttle" in sandbox("fault", "list")
    assert "(2 times)" in sandbox("fault", "graph-throttle", "seconds=3", "--count", 2)
    assert "now ordered: graph-throttle seconds=3" in sandbox("fault", "list")
    assert "cleared 1 fault\n" in sandbox("fault", "clear", "graph-throttle")
    assert "seconds=4 date=False (1 time)" in sandbox("fault", "graph-throttle", "--count", 1, "seconds=4")
    assert "cleared 1 fault\n" in sandbox("fault", "clear")
    assert "no fault is called 'none'" in sandbox("fault", "clear", "none", code=1)
    assert "take nothing else" in sandbox("fault", "clear", "graph-throttle", "graph-outage", code=1)
    assert "take nothing else" in sandbox("fault", "list", "graph-throttle", code=1)
    assert "unrecognized arguments: --often 2" in sandbox("fault", "graph-throttle", "--often", 2, code=2)
    assert "unrecognized arguments: more" in sandbox("poll", "more", code=2)
    assert "no fault is called 'none'" in sandbox("fault", "none", code=1)
    assert "not PARAMETER=VALUE" in sandbox("fault", "graph-throttle", "seconds", code=1)


def test_faults_that_are_done_at_once(sandbox):
    address = "amy@fabrikam.com"
    sandbox("connect", address)
    assert sandbox("fault", "revoke", f"address={address}") == f"revoke: the consent of {address} has ended\n"
    assert f"{address} has given no consent" in sandbox("fault", "revoke", f"address={address}", code=1)
    sandbox("deliver", "liz@fabrikam.com", SAMPLES / "01-plain-reply.eml")
    assert sandbox("fault", "missed", "address=liz@fabrikam.com") == "missed: 0 subscriptions\n"


def test_keys(sandbox):
    assert sandbox("keys").strip() != sandbox("keys", "--master").strip()


def test_no_sandbox(tmp_path):
    assert "no sandbox is running here" in Commands(tmp_path)("messages", "a@b.example", code=1)


def test_the_death_of_a_process_ends_the_sandbox(tmp_path):
    commands = Commands(tmp_path)
    with commands.up("--ready-file", tmp_path / "ready.json") as process:
        os.kill(json.loads((tmp_path / "ready.json").read_text())["pids"]["host"], signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "host has ended; the sandbox stops" in output
        assert not (tmp_path / "ready.json").exists()


def test_a_host_that_dies_is_started_again_where_that_is_wanted(tmp_path):
    commands = Commands(tmp_path)
    with commands.up("--ready-file", tmp_path / "ready.json", "--restart-host") as process:
        first = json.loads((tmp_path / "ready.json").read_text())["pids"]["host"]
        os.kill(first, signal.SIGKILL)
        assert "runs again" in process.stdout.readline()
        assert json.loads((tmp_path / "ready.json").read_text())["pids"]["host"] != first
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_signal_that_python_lost_ends_it_all_the_same(monkeypatch):
    monkeypatch.setattr(up, "_signals", [signal.SIGTERM])
    monkeypatch.setattr(up.time, "sleep", lambda seconds: None)
    with pytest.raises(KeyboardInterrupt):
        up.Sandbox.watch(object())


def test_a_connection_that_is_kept_open_does_not_hold_up_the_end(tmp_path):
    commands = Commands(tmp_path)
    with commands.up("--ready-file", tmp_path / "ready.json") as process:
        ready = json.loads((tmp_path / "ready.json").read_text())
        with httpx.Client(verify=ssl.create_default_context(cafile=ready["caFile"]), trust_env=False) as client:
            assert client.get(f"{ready['app']}/connect").status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
    assert "graceful shutdown exceeded" not in (tmp_path / "logs/host.log").read_text()


def test_the_main_job(tmp_path):
    output = Commands(tmp_path)("run", "--once")
    assert "All 14 messages are in table `messages`, each once." in output


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        output = Commands(tmp_path)("up", "--port", taken.getsockname()[1], code=1)
    assert "choose another with --port" in output
