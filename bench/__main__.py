"""`python -m bench`: measures, prints a table, and fails where a target is missed."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial

from bench.measure import Figure
from bench.services import Services
from sandbox.state import SandboxError
from sandbox.up import stop_on_signals

Row = Callable[..., list[Figure]]

_ONLY_BY_NAME = {"rivals"}
"""Rows that install what the program does not need."""


def _rows() -> dict[str, Row]:
    """Every row by name, in the order in which they are run."""
    from bench.acknowledgement import acknowledgement
    from bench.backfill import backfill, crowd, latency, memory, scenes
    from bench.connect import connect
    from bench.idle import idle
    from bench.imports import imports
    from bench.push import push
    from bench.rival import rivals
    from bench.tick import crush, tick
    from bench.usage import usage

    rows: tuple[Row, ...] = (
        backfill,
        scenes,
        latency,
        memory,
        crowd,
        idle,
        connect,
        push,
        tick,
        crush,
        usage,
        acknowledgement,
        imports,
        rivals,
    )
    return {row.__name__: row for row in rows}


def main() -> int:
    """The command. 0 only where every figure meets its target."""
    rows = _rows()
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures the program's speed as ratios within one run, so that machines can be compared.",
        epilog="Needs an idle machine: other work on it widens the spread. docs/performance.md explains the rows.",
    )
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", choices=[[], *rows], help=f"of {', '.join(rows)} (default: all but rivals)"
    )
    parser.add_argument("--pairs", type=int, default=5, help="how often the two sides are measured in turn (default 5)")
    parser.add_argument(
        "--latency", type=int, default=100, help="milliseconds that Graph waits in row latency (default 100)"
    )
    parser.add_argument("--json", action="store_true", help="prints the figures as JSON; progress goes to stderr")
    arguments = parser.parse_args()
    if "latency" in rows:
        rows["latency"] = partial(rows["latency"], milliseconds=arguments.latency)
    stop_on_signals()
    figures: list[Figure] = []
    broken = False
    with Services() as services:
        for name in arguments.rows or [row for row in rows if row not in _ONLY_BY_NAME]:
            try:
                figures += _run(name, rows[name], services, arguments.pairs)
            except (RuntimeError, SandboxError) as error:  # the other rows' figures are not lost with it
                broken = True
                _say(f"{name} could not be measured: {error}")
    if arguments.json:
        print(json.dumps([figure.to_json() for figure in figures], indent=1))
    else:
        print("\n".join(map(str, figures)))
    return 0 if not broken and all(figure.good for figure in figures) else 1


def _run(name: str, row: Row, services: Services, number: int) -> list[Figure]:
    _say(f"{name} …")
    started = time.monotonic()
    figures = row(services, number, _say)
    _say(f"{name}: {time.monotonic() - started:.0f} s")
    return figures


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
