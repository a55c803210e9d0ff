"""`python -m sandbox …`: the sandbox's commands. Each exits 0 only when it did what it says."""

import argparse
import os
import sys
from pathlib import Path

from sandbox.state import PROJECT, SandboxError, home


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _host(options: argparse.Namespace) -> int:
    from sandbox.host.server import Arguments, run

    directory = options.app_directory.resolve()
    own_home = home() if directory == PROJECT or os.environ.get("SANDBOX_HOME") else directory / ".sandbox"
    return run(Arguments(directory, own_home, options.port, options.certificate, options.key))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    host = commands.add_parser("host", help="the local Functions host alone, as `func start`")
    host.add_argument("--port", type=int, default=7071)
    host.add_argument("--certificate", type=lambda text: Path(text).resolve(), help="PEM file; serves HTTPS")
    host.add_argument("--key", type=lambda text: Path(text).resolve(), help="PEM file: the private key")
    host.add_argument("--app-directory", type=Path, default=PROJECT, help="where host.json and function_app.py are")
    host.set_defaults(command=_host)
    return parser


if __name__ == "__main__":
    sys.exit(main())
