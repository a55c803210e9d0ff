"""`python -m sandbox …`: the sandbox's commands. Each exits 0 only when it did what it says."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mailsync.terminal import Parser, say
from sandbox.state import PROJECT, SandboxError, home

type _Command = Callable[[argparse.Namespace], int]

type _Add = Callable[[str, _Command, str], argparse.ArgumentParser]
"""Adds a command by name, what it runs, and what its help says."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    options = _parse(arguments)
    try:
        return int(options.command(options))
    except SandboxError as error:
        say(*f"sandbox: {error}".split("\n"), to=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options. A fault's parameters may stand after `--count` too, where argparse takes no positionals."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and (options.command is not _fault or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.words += rest
    return options


def _run(options: argparse.Namespace) -> int:
    from sandbox.run import run

    return run(options.port, once=options.once)


def _up(options: argparse.Namespace) -> int:
    from sandbox.up import run_up

    return run_up(options.port, options.ready_file, restart_host=options.restart_host)


def _host(options: argparse.Namespace) -> int:
    from sandbox.host.server import Arguments, run

    directory = options.app_directory.resolve()
    own_home = home() if directory == PROJECT or os.environ.get("SANDBOX_HOME") else directory / ".sandbox"
    arguments = Arguments(directory, own_home, options.port, options.certificate, options.key, options.descriptor)
    return run(arguments)


def _keys(options: argparse.Namespace) -> int:
    from sandbox.host.keys import load_keys

    path = home() / "keys.json"
    if not path.exists():
        raise SandboxError("no host has been started here yet, so there are no keys")
    keys = load_keys(path)
    say(keys.master if options.master else keys.default)
    return 0


def _connect(options: argparse.Namespace) -> int:
    from sandbox import commands

    return commands.connect(options.address, options.account, owner_consents=options.owner_consents)


def _deliver(options: argparse.Namespace) -> int:
    from sandbox import commands

    return commands.deliver(options.address, options.files, keep_date=options.keep_date)


def _messages(options: argparse.Namespace) -> int:
    from sandbox import commands

    return commands.messages(options.address, as_json=options.json, wait=options.wait, seconds=options.timeout)


def _poll(_options: argparse.Namespace) -> int:
    from sandbox import commands

    return commands.poll()


def _mailbox(options: argparse.Namespace) -> int:
    from sandbox import commands

    return commands.mailbox(options.address, as_json=options.json)


def _fault(options: argparse.Namespace) -> int:
    from sandbox import commands

    return commands.fault(options.words, options.count)


def _parser() -> argparse.ArgumentParser:
    text = "Microsoft 365 and the Functions host on this machine: start them, connect inboxes, deliver mail, go wrong."
    parser = Parser(prog="python -m sandbox", description=text)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: _Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.set_defaults(command=command)
        return sub

    _add_running(add)
    _add_mail(add)
    _add_ordering(add)
    return parser


def _add_running(add: _Add) -> None:
    run = add("run", _run, "show the whole product: start everything, connect an inbox, watch mail arrive")
    run.add_argument("--once", action="store_true", help="end when the mail has arrived; fail when it does not")
    up = add("up", _up, "start everything and print the addresses; ends on Ctrl-C or SIGTERM")
    up.add_argument("--ready-file", type=Path, help="written as JSON once all is up")
    up.add_argument("--restart-host", action="store_true", help="start the Functions host again when it dies")
    for sub in (run, up):
        sub.add_argument("--port", type=int, help="the app's port (default: 7071, or a free one where that is taken)")
    host = add("host", _host, "run the local Functions host alone, as `func start` does")
    host.add_argument("--port", type=int, default=7071, help="where it listens, on loopback (default: 7071)")
    host.add_argument("--descriptor", type=int, help=argparse.SUPPRESS)  # `up` keeps the socket itself
    host.add_argument("--certificate", type=_absolute, help="PEM file: the certificate chain; serves HTTPS")
    host.add_argument("--key", type=_absolute, help="PEM file: its private key")
    host.add_argument("--app-directory", type=Path, default=PROJECT, help="where host.json and function_app.py are")
    keys = add("keys", _keys, "print the host's function key")
    keys.add_argument("--master", action="store_true", help="the master key, for /admin")


def _add_mail(add: _Add) -> None:
    connect = add("connect", _connect, "connect an inbox as its owner, through the real pages; prints its id")
    connect.add_argument("--account", metavar="ID", help="the Siftrock account (default: one for the whole domain)")
    connect.add_argument(
        "--owner-consents",
        action="store_true",
        help="the organization lets its users consent (default: its administrator approves first, as in most)",
    )
    deliver = add("deliver", _deliver, "deliver mail to an inbox; its user is created where missing")
    messages = add("messages", _messages, "show what Table Storage holds for an inbox, newest first")
    mailbox = add("mailbox", _mailbox, "show what the stand-in's mailbox holds, as Graph would answer")
    for sub in (connect, deliver, messages, mailbox):
        sub.add_argument("address", metavar="ADDRESS")
    deliver.add_argument("files", metavar="FILE", nargs="+", type=Path, help=".eml, mbox, or a folder of them")
    deliver.add_argument("--keep-date", action="store_true", help="received when the message says it was sent")
    messages.add_argument("--wait", type=int, default=0, metavar="COUNT", help="wait until so many are there")
    messages.add_argument(
        "--timeout",
        type=float,
        default=90,
        metavar="SECONDS",
        help="how long --wait waits before it fails (default: 90)",
    )
    for sub in (messages, mailbox):
        sub.add_argument("--json", action="store_true", help="everything, for programs")


def _add_ordering(add: _Add) -> None:
    add("poll", _poll, "run the poll timer now instead of at the next minute")
    fault = add("fault", _fault, "order faults: `list`, `clear [NAME]`, or a NAME [PARAMETER=VALUE …]")
    fault.add_argument(
        "words", metavar="WORD", nargs="+", help="list, clear, or what `list` names; then its parameters"
    )
    fault.add_argument("--count", type=int, help="how often it strikes (default: until cleared)")


def _absolute(text: str) -> Path:
    return Path(text).resolve()


if __name__ == "__main__":
    sys.exit(main())
