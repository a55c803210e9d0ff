"""The rooms of `mailsync` stand above one another; no import leads up, and none leads round in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = (
    {
        "errors",
        "settings",
        "telemetry",
        "clock",
        "memory",
        "once",
        "one_time",
        "optimistic",
        "reasons",
        "terminal",
        "threads",
    },
    {"accounts", "tokens", "mailboxes"},
    {"push", "schedule"},
    {"connect", "sync"},
    {"adapters"},
    {"bootstrap"},
    {"admin"},
)
"""The lowest first. A room may use those below it and its neighbours."""

TRIGGERS = ("auth_callback", "health", "management", "poll_timer", "sync_worker", "web", "webhook_receiver")


def imports(path: Path) -> set[str]:
    """The modules of the project that a file imports, wherever in it, as dotted names; `from a import b` is `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def rooms_used(room: str) -> set[str]:
    """The other rooms of `mailsync` that a room imports."""
    place = ROOT / "mailsync" / room
    files = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    used = {name.split(".")[1] for path in files for name in imports(path) if name.startswith("mailsync.")}
    return used - {room}


ROOMS = sorted({path.stem for path in (ROOT / "mailsync").iterdir()} - {"__init__", "__pycache__"})


def layer(room: str) -> int:
    return next(place for place, rooms in enumerate(LAYERS) if room in rooms)


def test_every_room_has_its_layer():
    assert set(ROOMS) == set().union(*LAYERS)


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_one_above_it(room):
    assert {used for used in rooms_used(room) if layer(used) > layer(room)} == set()


def test_no_circle_among_the_rooms():
    order = list(TopologicalSorter({room: rooms_used(room) for room in ROOMS}).static_order())
    assert set(order) == set(ROOMS)


def test_the_program_knows_no_trigger_and_no_sandbox():
    for path in (ROOT / "mailsync").rglob("*.py"):
        outside = {name.split(".")[0] for name in imports(path)}
        assert not outside & {*TRIGGERS, "sandbox", "tests", "azure.functions"}, path
        assert not any(name.startswith("azure.functions") for name in imports(path)), path


def test_no_trigger_imports_an_adapter():
    for trigger in TRIGGERS:
        for path in (ROOT / trigger).rglob("*.py"):
            assert not [name for name in imports(path) if name.startswith("mailsync.adapters")], path
