"""The operator's command line for accounts, mailboxes and storage: `python -m mailsync.admin --help`.

It works on the settings of the environment, and on storage alone: what takes the app's own identity is a route of
`management/`. Exit codes: 0 done, 1 failed (the reason is named), 2 usage.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from mailsync.accounts.records import Account
from mailsync.accounts.rules import normal_address, normal_claim, normal_domain
from mailsync.adapters.storage.services import create_all
from mailsync.bootstrap import app
from mailsync.errors import MailsyncError, Rejected
from mailsync.mailboxes.ids import is_mailbox_id
from mailsync.mailboxes.records import Mailbox
from mailsync.mailboxes.status import (
    account_json,
    account_lines,
    account_row,
    mailbox_json,
    mailbox_lines,
    mailbox_row,
    table,
)
from mailsync.reasons import Reason
from mailsync.terminal import Parser, say, to_json


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        options.run(options)
    except MailsyncError as error:
        say(f"{error.reason}: {error.message}", to=sys.stderr)
        return 1
    return 0


def _add_account(options: argparse.Namespace) -> None:
    if not (options.address or options.domain):
        options.parser.error("name at least one --address or --domain that the account admits")
    account = Account(options.id, options.name.strip(), tuple(options.address), tuple(options.domain))
    app().accounts.add(account)
    say(*account_lines(account))
    settings = app().settings
    say("", "Next, in this order:")
    say(f"  {settings.approval_url}  to the customer's IT administrator, who approves once for the organization")
    say(f"  {settings.connect_url}  to the owner of the inbox")


def _release_claim(options: argparse.Namespace) -> None:
    account = app().accounts.release(options.id, options.claim)
    say(*account_lines(account))


def _list_accounts(options: argparse.Namespace) -> None:
    accounts = list(app().accounts.list())
    if options.json:
        _print_json([account_json(account) for account in accounts])
    elif accounts:
        say(*table(("ID", "NAME", "ADDRESSES", "DOMAINS"), map(account_row, accounts)))
    else:
        say("There is no account yet; add one with `account add`.")


def _list_mailboxes(options: argparse.Namespace) -> None:
    mailboxes = sorted(app().mailboxes.list(), key=lambda mailbox: (mailbox.account_id, mailbox.address.lower()))
    if options.json:
        _print_json([mailbox_json(mailbox) for mailbox in mailboxes])
    elif mailboxes:
        heads = ("ADDRESS", "ACCOUNT", "STATE", "PUSH", "MESSAGES", "LAST SUCCESS", "LAST ERROR", "NEXT POLL", "ID")
        say(*table(heads, map(mailbox_row, mailboxes)))
    else:
        say(f"No mailbox is connected yet; send its owner to {app().settings.public_base_url}/connect")


def _show_mailbox(options: argparse.Namespace) -> None:
    mailbox = _find(options.mailbox.strip())
    if options.json:
        _print_json(mailbox_json(mailbox))
    else:
        say(*mailbox_lines(mailbox))


def _create_storage(_options: argparse.Namespace) -> None:
    for name, created in create_all(app().settings.storage):
        say(f"{name}: {'created' if created else 'was there'}")


def _find(text: str) -> Mailbox:
    if is_mailbox_id(text.lower()):
        found = [mailbox for mailbox in [app().mailboxes.get(text.lower())] if mailbox]
    else:
        found = [mailbox for mailbox in app().mailboxes.list() if mailbox.address.lower() == text.lower()]
    if not found:
        raise Rejected(
            Reason.UNKNOWN_MAILBOX, f"No mailbox `{text}` is connected; `mailbox list` shows those that are."
        )
    if len(found) > 1:
        ids = ", ".join(sorted(mailbox.id for mailbox in found))
        raise Rejected(
            Reason.AMBIGUOUS_MAILBOX, f"Several mailboxes have the address `{text}`; name one by its id: {ids}"
        )
    return found[0]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m mailsync.admin", description="Siftrock Inbox Connector: operator.")
    groups = parser.add_subparsers(required=True, metavar="account|mailbox|storage")
    account = groups.add_parser("account", help="Siftrock accounts and the inboxes they admit")
    _account_commands(account.add_subparsers(required=True, metavar="add|list|release"))
    mailbox = groups.add_parser("mailbox", help="connected inboxes and how they fare")
    mailbox_commands = mailbox.add_subparsers(required=True, metavar="list|show")
    _command(mailbox_commands, "list", _list_mailboxes, "list the mailboxes")
    show = _command(mailbox_commands, "show", _show_mailbox, "show one mailbox")
    show.add_argument("mailbox", metavar="ADDRESS-OR-ID", help="its address or its mailbox id")
    storage = groups.add_parser("storage", help="the tables, queues and the container")
    text = "create those that are missing; in Azure, `infra/` has made them"
    _command(storage.add_subparsers(required=True, metavar="create"), "create", _create_storage, text, as_json=False)
    return parser


def _account_commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    add = _command(commands, "add", _add_account, "add an account", as_json=False)
    add.add_argument("id", metavar="ID", help="a short id that never changes")
    add.add_argument("--name", required=True, type=_name, help="the name that owners see")
    add.add_argument(
        "--address", action="append", default=[], type=_checked(normal_address), help="admit this inbox (repeatable)"
    )
    add.add_argument(
        "--domain", action="append", default=[], type=_checked(normal_domain), help="admit a whole domain (repeatable)"
    )
    _command(commands, "list", _list_accounts, "list the accounts")
    text = "free an address or domain of whom it is pinned to: the next who connects by it has it"
    release = _command(commands, "release", _release_claim, text, as_json=False)
    release.add_argument("id", metavar="ID", help="the account's id")
    release.add_argument("claim", metavar="ADDRESS-OR-DOMAIN", type=_checked(normal_claim), help="which of its claims")


def _command(
    commands: "argparse._SubParsersAction[Parser]",
    name: str,
    run: Callable[[argparse.Namespace], None],
    text: str,
    *,
    as_json: bool = True,
) -> Parser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run, parser=parser)
    if as_json:
        parser.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser


def _checked(rule: Callable[[str], str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            return rule(text)
        except Rejected as error:
            raise argparse.ArgumentTypeError(error.message) from error

    return check


def _name(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 200:
        raise argparse.ArgumentTypeError("a name has 1 to 200 printable characters")
    return text


def _print_json(value: object) -> None:
    print(to_json(value))


if __name__ == "__main__":
    sys.exit(main())
