"""How accounts and mailboxes are shown to the operator: as JSON, as a table's row, and line by line.

Cursors and leases stay inside: they tell an operator nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from mailsync.accounts.records import Account
from mailsync.mailboxes.records import Folder, Mailbox, MailboxState, PushState
from mailsync.terminal import plain


def account_json(account: Account) -> dict[str, object]:
    """An account for programs: `id`, `name`, `addresses`, `domains`, and whom they are pinned to.

    `tenantIds`: tenant by domain. `mailboxIds`: mailbox id, which is tenant and user, by address.
    """
    return {
        "id": account.id,
        "name": account.name,
        "addresses": list(account.addresses),
        "domains": list(account.domains),
        "tenantIds": dict(account.tenant_ids),
        "mailboxIds": dict(account.mailbox_ids),
    }


def account_row(account: Account) -> tuple[str, ...]:
    """`ID NAME ADDRESSES DOMAINS`."""
    return account.id, account.name, _joined(account.addresses), _joined(account.domains)


def account_lines(account: Account) -> list[str]:
    """What an account is, in full."""
    pins = [f"{claim} to {holder}" for claim, holder in {**account.tenant_ids, **account.mailbox_ids}.items()]
    return _lines(
        [
            ("account", account.id),
            ("name", account.name),
            ("addresses", _joined(account.addresses)),
            ("domains", _joined(account.domains)),
            ("pinned", _joined(pins)),
        ]
    )


def mailbox_json(mailbox: Mailbox) -> dict[str, object]:
    """A mailbox for programs; times are ISO 8601 in UTC or null, `lastError` is null where there is none."""
    error = mailbox.last_error
    return {
        "id": mailbox.id,
        "accountId": mailbox.account_id,
        "address": mailbox.address,
        "mail": mailbox.mail,
        "displayName": mailbox.display_name,
        "state": mailbox.state.value,
        "connectedAt": _iso(mailbox.connected_at),
        "lastSyncStartedAt": _iso(mailbox.last_sync_started_at),
        "lastSuccessAt": _iso(mailbox.last_success_at),
        "lastError": error and {"at": _iso(error.at), "reason": error.reason, "message": error.message},
        "failures": mailbox.failures,
        "deniedSince": _iso(mailbox.denied_since),
        "nextPollAt": _iso(mailbox.next_poll_at),
        "notBefore": _iso(mailbox.not_before),
        "messages": mailbox.messages,
        "removed": mailbox.removed,
        "push": _push_json(mailbox),
        "folders": [_folder_json(folder) for folder in mailbox.folders],
    }


def mailbox_row(mailbox: Mailbox) -> tuple[str, ...]:
    """`ADDRESS ACCOUNT STATE PUSH MESSAGES LAST-SUCCESS LAST-ERROR NEXT-POLL ID`."""
    return (
        mailbox.address,
        mailbox.account_id,
        mailbox.state.value,
        mailbox.push.state.shown if mailbox.state is MailboxState.ACTIVE else "-",
        str(mailbox.messages),
        _time(mailbox.last_success_at),
        mailbox.problem or "-",
        _time(mailbox.next_poll_at),
        mailbox.id,
    )


def mailbox_lines(mailbox: Mailbox) -> list[str]:
    """How a mailbox fares, in full."""
    error = mailbox.last_error
    lines = [
        ("mailbox", mailbox.id),
        ("address", mailbox.address),
        ("mail", mailbox.mail or "-"),
        ("display name", mailbox.display_name or "-"),
        ("account", mailbox.account_id),
        ("state", mailbox.state.value),
        ("connected", _time(mailbox.connected_at)),
        ("last sync started", _time(mailbox.last_sync_started_at)),
        ("last success", _time(mailbox.last_success_at)),
        ("last error", f"{error.reason} at {_time(error.at)}: {error.message}" if error else "-"),
        ("failures in a row", str(mailbox.failures)),
        ("access denied since", _time(mailbox.denied_since)),
        ("next poll", _time(mailbox.next_poll_at)),
        ("throttled until", _time(mailbox.not_before)),
        ("push", _push(mailbox)),
        ("last notification", _time(mailbox.last_notification_at)),
        ("messages", f"{mailbox.messages} ({mailbox.removed} removed by the owner)"),
    ]
    return _lines([*lines, *((f"folder {folder.name}", _progress(folder)) for folder in mailbox.folders)])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell, line by line."""
    lines = [tuple(heads), *(tuple(map(plain, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _folder_json(folder: Folder) -> dict[str, object]:
    history = folder.history
    return {
        "name": folder.name,
        "problem": folder.problem or None,
        "since": _iso(folder.since),
        "generation": folder.generation,
        "complete": folder.complete,
        "enumerating": folder.enumerating,
        "enumerated": folder.enumerated,
        "narrow": folder.narrow,
        "reaches": _iso(folder.reaches),
        "history": history
        and {
            "before": _iso(history.before),
            "read": history.read,
            "total": history.total,
            "done": history.done,
        },
    }


def _push_json(mailbox: Mailbox) -> dict[str, object]:
    return {
        "state": _push_state(mailbox).shown,
        "reason": mailbox.push.reason or None,
        "expiresAt": _iso(_push_ends(mailbox)),
        "lastNotificationAt": _iso(mailbox.last_notification_at),
        "retryAt": _iso(mailbox.push.until if mailbox.state is MailboxState.ACTIVE else None),
        "failures": mailbox.push.failures,
    }


def _push_state(mailbox: Mailbox) -> PushState:
    """Off where the mailbox is not polled: its noted subscriptions belong to a grant that has ended."""
    return mailbox.push.state if mailbox.state is MailboxState.ACTIVE else PushState.OFF


def _push(mailbox: Mailbox) -> str:
    if mailbox.state is not MailboxState.ACTIVE:
        return "-"
    words = [mailbox.push.state.shown + (f" ({mailbox.push.reason})" if mailbox.push.reason else "")]
    if ends := _push_ends(mailbox):
        words.append(f"subscribed until {_time(ends)}")
    if mailbox.push.until:
        words.append(f"tried again at {_time(mailbox.push.until)}")
    return ", ".join(words)


def _push_ends(mailbox: Mailbox) -> datetime | None:
    """When the first of its subscriptions expires, if none is renewed; None where the mailbox is not polled."""
    if mailbox.state is not MailboxState.ACTIVE:
        return None
    return min((folder.subscription.expires_at for folder in mailbox.folders if folder.subscription), default=None)


def _progress(folder: Folder) -> str:
    if folder.problem:
        return f"not read: {folder.problem}"
    steps = [f"{'complete' if folder.complete else 'reading'} since {_time(folder.since)}"]
    if not folder.complete:
        steps.append(f"{folder.enumerated} enumerated")
    if folder.narrow:
        steps.append("each message fetched by itself, as a page fails over one")
    if folder.reaches:
        steps.append(f"changes followed of mail since {_time(folder.reaches)}, as delta fails over an older one")
    if folder.history and not folder.complete:
        total = "?" if folder.history.total is None else folder.history.total
        steps.append(f"history {folder.history.read} of {total}{' (done)' if folder.history.done else ''}")
    return ", ".join(steps)


def _lines(pairs: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in pairs) + 2
    return [f"{name:<{width}}{plain(value)}" for name, value in pairs]


def _joined(values: Sequence[str]) -> str:
    return ", ".join(values) or "-"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}" if moment else "-"
