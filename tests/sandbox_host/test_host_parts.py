"""The host's parts, one by one."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.host.config import HostError, QueueOptions, load_local_settings, load_options, resolve, seconds
from sandbox.host.keys import Keys
from sandbox.host.routes import build_routes
from sandbox.host.runtime import Function
from sandbox.host.schedule import Schedule
from sandbox.host.timers import ScheduleMonitor, Timer

NOW = datetime(2026, 11, 25, 12, 30, 15, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 * * * * *", "2026-11-25T12:31:00"),
        ("*/10 * * * * *", "2026-11-25T12:30:20"),
        ("15 30 12 * * *", "2026-11-26T12:30:15"),
        ("0 17 * * * *", "2026-11-25T13:17:00"),
        ("0 0 3 * * 1-5", "2026-11-26T03:00:00"),
        ("0 0 0 * * Sun", "2026-11-29T00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        ("0 0 9,17 * Dec *", "2026-12-01T09:00:00"),
        ("0 5/20 * * * *", "2026-11-25T12:45:00"),
        ("30 12 * * *", "2026-11-26T12:30:00"),
    ],
)
def test_schedule(expression, expected):
    assert Schedule(expression).next_after(NOW).isoformat() == f"{expected}+00:00"


@pytest.mark.parametrize("expression", ["* * *", "60 * * * * *", "a * * * * *", "0 0 0 5-1 * *", "0 0 0 * * 7"])
def test_schedule_refuses(expression):
    with pytest.raises(HostError):
        Schedule(expression)


def test_a_day_that_never_comes_is_refused():
    with pytest.raises(HostError, match="eight years"):
        Schedule("0 0 0 31 2 *").next_after(NOW)


@pytest.mark.parametrize(
    ("text", "value"), [("00:00:30", 30), ("01:02:03", 3723), ("1.00:00:00", 86400), ("00:00:00.25", 0.25)]
)
def test_time_spans(text, value):
    assert seconds(text) == value


def test_host_json(tmp_path):
    queues = {
        "batchSize": 8,
        "visibilityTimeout": "00:00:30",
        "maxPollingInterval": "00:00:02",
        "messageEncoding": "none",
    }
    document = {
        "version": "2.0",
        "functionTimeout": "-1",
        "extensions": {"http": {"routePrefix": ""}, "queues": queues},
    }
    (tmp_path / "host.json").write_text(json.dumps(document))
    options = load_options(tmp_path, {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "9"})
    assert options.route_prefix == ""
    assert options.function_timeout is None
    assert options.body_limit == 9
    assert options.queues == QueueOptions(8, 4, 30, 5, 2, base64=False)


def test_the_projects_host_json():
    from sandbox.state import PROJECT

    options = load_options(PROJECT, {})
    assert options.route_prefix == ""
    assert options.function_timeout == 600
    assert options.queues == QueueOptions(8, 4, 30, 5, 1)


@pytest.mark.parametrize("limit", ["", "1 MB", "-1", "1e6", "²"])
def test_a_limit_that_is_no_number_of_bytes_is_named(tmp_path, limit):
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    with pytest.raises(HostError, match=f"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is '{limit}'"):
        load_options(tmp_path, {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": limit})


@pytest.mark.parametrize("content", [None, "{", "{}", '{"version":"2.0","extensions":{"queues":{"batchSize":33}}}'])
def test_host_json_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "host.json").write_text(content)
    with pytest.raises(HostError, match=r"host\.json"):
        load_options(tmp_path)


def test_local_settings_never_replace_the_environment(tmp_path):
    (tmp_path / "local.settings.json").write_text('{"Values": {"A": "file", "B": "file"}}')
    environ = {"A": "set"}
    load_local_settings(tmp_path, environ)
    assert environ == {"A": "set", "B": "file"}


def test_bindings_name_settings():
    assert resolve("%QUEUE%-x", {"QUEUE": "q"}) == "q-x"
    with pytest.raises(HostError, match="NONE"):
        resolve("%NONE%", {})


def http(route, *, level="ANONYMOUS", methods=("GET",)):
    return Function(
        route, route, {"type": "httpTrigger", "name": "req", "route": route, "authLevel": level, "methods": methods}
    )


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("api/items/{id}", "/API/items/7", {"id": "7"}),
        ("api/items/{id:int}", "/api/items/x", None),
        ("api/items/{id?}", "/api/items", {}),
        ("files/{*path}", "/files/a/b", {"path": "a/b"}),
        ("a.b", "/axb", None),
        ("{ignored:maxlength(0)?}", "/", {}),
        ("{ignored:maxlength(0)?}", "/x", None),
        ("{name:maxlength(2)}", "/xy", {"name": "xy"}),
        ("{name:maxlength(2)}", "/xyz", None),
    ],
)
def test_route_templates(template, path, expected):
    (route,) = build_routes([http(template)], "")
    assert route.match("GET", path) == expected


def test_literal_routes_come_first():
    routes = build_routes([http("{name}"), http("health")], "")
    assert routes[0].match("GET", "/health") == {}


def test_route_prefix():
    (route,) = build_routes([http("x")], "api")
    assert route.match("GET", "/api/x") == {}
    assert route.match("POST", "/api/x") is None


@pytest.mark.parametrize("template", ["a{b}", "{x:regex}", "{x:int(3)}", "{x:maxlength}"])
def test_routes_that_this_host_cannot_serve_are_refused(template):
    with pytest.raises(HostError, match=re.escape(template)):
        build_routes([http(template)], "")


def test_keys():
    keys = Keys("m", "d")
    assert keys.admits(None, "ANONYMOUS")
    assert not keys.admits(None, "FUNCTION")
    assert keys.admits("d", "function")
    assert not keys.admits("d", "ADMIN")
    assert keys.admits("m", "ADMIN")
    assert "m" not in repr(keys).removeprefix("Keys(").split("=")


class Recorder:
    """Stands in for the runtime; notes what it was asked to run."""

    def __init__(self):
        self.infos = []

    async def invoke(self, function, datum, metadata=None):
        self.infos.append(json.loads(datum.value))


def timer(tmp_path, runtime, now, **trigger):
    binding = {"type": "timerTrigger", "name": "timer", "schedule": "0 * * * * *", **trigger}
    return Timer(runtime, Function("t", "1", binding), ScheduleMonitor(tmp_path / "timers.json"), now)


def test_a_timer_that_slept_through_its_time_is_past_due(tmp_path):
    runtime = Recorder()
    first = timer(tmp_path, runtime, lambda: NOW)
    assert first.starts_at_once() == (False, False)
    asyncio.run(first.fire())
    assert runtime.infos[0] == {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
    again = timer(tmp_path, runtime, lambda: NOW + timedelta(seconds=10))
    assert again.starts_at_once() == (False, False)
    late = timer(tmp_path, runtime, lambda: NOW + timedelta(minutes=5))
    assert late.starts_at_once() == (True, True)
    asyncio.run(late.fire(past_due=True))
    assert runtime.infos[1]["IsPastDue"] is True
    assert runtime.infos[1]["ScheduleStatus"]["Last"] == "2026-11-25T12:30:15.000+00:00"
    assert runtime.infos[1]["ScheduleStatus"]["Next"] == "2026-11-25T12:31:00.000+00:00"


def test_timers_that_are_not_monitored(tmp_path):
    runtime = Recorder()
    for trigger in ({"useMonitor": False}, {"schedule": "*/5 * * * * *"}):
        asyncio.run(timer(tmp_path, runtime, lambda: NOW, **trigger).fire())
    assert not (tmp_path / "timers.json").exists()


def test_run_on_startup(tmp_path):
    assert timer(tmp_path, Recorder(), lambda: NOW, runOnStartup=True).starts_at_once() == (True, False)
