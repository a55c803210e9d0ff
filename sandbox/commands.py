"""The commands that work on a running sandbox. Each returns its exit code."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mailsync.terminal import say, to_json
from sandbox.browser import Browser, walk_approval, walk_sign_in
from sandbox.client import Control, fire, mail_files, mailsync_app, message_rows
from sandbox.show import counted, line
from sandbox.state import SandboxError, State, load_state

POLL_TIMER = "poll_due_mailboxes"
"""The app's timer function that queues mailboxes which are due."""

ADMINISTRATOR = "administrator"
"""The user name of who approves the app for an organization, at the organization's own domain."""


def connect(address: str, account_id: str | None, *, owner_consents: bool) -> int:
    """Walks the pages as the user of that address; prints the mailbox id."""
    state = load_state()
    control = Control(state)
    if owner_consents:
        user = control.call("POST", "/users", {"address": address})
        control.call("POST", "/tenants", {"tenantId": user["tenantId"], "consentAllowed": True})
    say(connect_mailbox(state, control, address, account_id))
    return 0


def connect_mailbox(state: State, control: Control, address: str, account_id: str | None = None) -> str:
    """Creates user and account where they are missing, walks the pages, and returns the mailbox id.

    Where the organization's users may not consent, its administrator approves first.
    """
    from mailsync.mailboxes.ids import mailbox_id

    user = control.call("POST", "/users", {"address": address})
    ensure_account(state, address, account_id)
    with Browser(state.ca_file) as browser:
        approve(browser, state, control, address)
        walk_sign_in(browser, state.app, address)
    identity = mailbox_id(user["tenantId"], user["userId"])
    if mailsync_app(state).mailboxes.get(identity) is None:
        raise SandboxError(f"the pages say that {address} is connected, and table mailboxes has no {identity}")
    return identity


def approve(browser: Browser, state: State, control: Control, address: str) -> bool:
    """An administrator of the address's organization approves the app for it, unless nobody needs that.

    Walks the page for administrators and Microsoft's. Returns whether it was needed.
    """
    user = control.call("POST", "/users", {"address": address})
    tenant = control.call("POST", "/tenants", {"tenantId": user["tenantId"]})
    if tenant["consentAllowed"] or tenant["adminConsented"]:
        return False
    administrator = f"{ADMINISTRATOR}@{address.rpartition('@')[2]}"
    control.call("POST", "/users", {"address": administrator, "administrator": True})
    walk_approval(browser, state.app, administrator)
    return True


def ensure_account(state: State, address: str, account_id: str | None = None) -> str:
    """The account that admits the address, made where it is missing.

    A new one admits the address's whole domain, or the address alone where the domain is another account's.
    Raises SandboxError where the address is another account's, or `account_id` is taken and does not admit it.
    """
    from mailsync.accounts.records import Account
    from mailsync.errors import MailsyncError

    accounts = mailsync_app(state).accounts
    address, domain = address.lower(), address.rpartition("@")[2].lower()
    claim = accounts.claimed_by(address)
    if claim and account_id in (None, claim[0].id):
        return str(claim[0].id)
    if claim and claim[1] is None:
        raise SandboxError(f"{address} belongs to account {claim[0].id}")
    wanted = account_id or domain.replace(".", "-")
    addresses, domains = ((address,), ()) if claim else ((), (domain,))
    try:
        accounts.add(Account(wanted, account_id or domain.partition(".")[0].title(), addresses, domains))
    except MailsyncError as error:
        claim = accounts.claimed_by(address)  # another `connect` may have made it meanwhile
        if claim is None or account_id not in (None, claim[0].id):
            raise SandboxError(f"account {wanted} cannot be added: {error.message}") from error
        return str(claim[0].id)
    return wanted


def deliver(address: str, paths: list[Path], *, keep_date: bool) -> int:
    """Delivers files and folders; names what could not be read, and fails then."""
    control = Control(load_state())
    delivered, unreadable = deliver_files(control, address, mail_files(paths), keep_date=keep_date)
    say(f"delivered {counted(delivered, 'message')} to {address}")
    for name, reason in unreadable:
        say(f"  not read: {name}: {reason}")
    return 1 if unreadable else 0


def deliver_files(
    control: Control, address: str, files: list[Path], *, keep_date: bool = False
) -> tuple[int, list[tuple[str, str]]]:
    """How many messages were delivered, and the name and reason of each that could not be read."""
    delivered = 0
    unreadable: list[tuple[str, str]] = []
    for file in files:
        query = {"name": str(file), **({"keepDate": "1"} if keep_date else {})}
        answer = control.send("POST", f"/mailboxes/{address}/deliver", file.read_bytes(), **query)
        delivered += answer["delivered"]
        unreadable += [(entry["name"], entry["reason"]) for entry in answer["unreadable"]]
    return delivered, unreadable


def poll() -> int:
    """Runs the poll timer now instead of at the next minute."""
    fire(load_state(), POLL_TIMER)
    say("the poll timer runs; mailboxes that are due are read")
    return 0


def messages(address: str, *, as_json: bool, wait: int, seconds: float) -> int:
    """What Table Storage holds for an address, once at least `wait` messages are there."""
    state = load_state()
    found = [entry for entry in mailsync_app(state).mailboxes.list() if entry.address.lower() == address.lower()]
    if not found:
        raise SandboxError(f"{address} is not connected; `python -m sandbox connect {address}` does it")
    deadline = time.monotonic() + seconds
    while len(rows := [row for mailbox in found for row in message_rows(state, mailbox.id)]) < wait:
        if time.monotonic() > deadline:
            raise SandboxError(f"{len(rows)} of {wait} messages are in the table after {seconds:.0f} s")
        time.sleep(0.2)
    if as_json:
        print(to_json(rows, indent=1))
        return 0
    for row in rows:
        say(line(row))
    say(counted(len(rows), "message"))
    return 0


def mailbox(address: str, *, as_json: bool) -> int:
    """What the stand-in's mailbox holds."""
    content = Control(load_state()).call("GET", f"/mailboxes/{address}")
    if as_json:
        print(to_json(content, indent=1))
        return 0
    for entry in content["messages"]:
        say(f"{entry['receivedDateTime']}  {entry['folder']:<12}  {entry['subject'] or ''}")
    say(counted(len(content["messages"]), "message"))
    return 0


def fault(words: list[str], count: int | None) -> int:
    """`list`, `clear [NAME]`, or `NAME [PARAMETER=VALUE …]`."""
    control = Control(load_state())
    action, *rest = words
    match action, rest, count:
        case "list", [], None:
            _print_faults(control.call("GET", "/faults"))
        case "clear", [] | [_], None:
            answer = control.call("DELETE", "/faults" + "".join(f"/{quote(name, safe='')}" for name in rest))
            say(f"cleared {counted(answer['cleared'], 'fault')}")
        case "list" | "clear", _, _:
            raise SandboxError("`fault list` and `fault clear [NAME]` take nothing else")
        case _:
            order = {"name": action, "count": count, "params": dict(_parameter(word) for word in rest)}
            answer = control.call("POST", "/faults", order)
            say(f"{action}: {_done(answer)}" if "done" in answer else f"ordered {_words(answer)}")
    return 0


def _done(answer: dict[str, Any]) -> str:
    """What a fault that is an action has done. Raises SandboxError where there was nothing to do it to."""
    done = answer["done"]
    if "subscriptions" in done:
        return counted(done["subscriptions"], "subscription")
    if not done["revoked"]:
        raise SandboxError(f"{answer['params']['address']} has given no consent")
    return f"the consent of {answer['params']['address']} has ended"


def _print_faults(answer: dict[str, Any]) -> None:
    for kind in answer["known"]:
        parameters = " ".join(f"{name}={json.dumps(value)}" for name, value in kind["params"].items())
        say(f"{kind['name']:<24} {kind['sentence']}")
        if parameters:
            say(f"{'':<24} {parameters}")
    for active in answer["active"]:
        say(f"now ordered: {_words(active)}")


def _words(ordered: dict[str, Any]) -> str:
    parameters = " ".join(f"{name}={value}" for name, value in ordered["params"].items() if value is not None)
    times = "until cleared" if ordered["remaining"] is None else counted(ordered["remaining"], "time")
    return f"{ordered['name']} {parameters} ({times})".replace("  ", " ")


def _parameter(word: str) -> tuple[str, Any]:
    name, separator, text = word.partition("=")
    if not separator:
        raise SandboxError(f"{word!r} is not PARAMETER=VALUE; `fault list` names the parameters")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text
