"""In-memory stands-in for the stores. `tests/contracts/` runs the same suites on them as on the adapters."""

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from mailsync.accounts.records import Account
from mailsync.accounts.rules import (
    claims_taken,
    id_taken,
    normal_account,
    normal_address,
    normal_domain,
    released,
    unknown_account,
)
from mailsync.adapters.storage.message_columns import FIRST_TIME
from mailsync.errors import Rejected, StaleWrite
from mailsync.mailboxes.ids import SHARDS
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import DueMailbox, Mailbox
from mailsync.one_time import OneTimeRecord
from mailsync.sync.records import Content, StoredMessage
from mailsync.sync.row_keys import row_bound, row_key


def all_due(mailboxes: MailboxStore, now: datetime) -> list[DueMailbox]:
    """What is due of every shard."""
    return [entry for each in SHARDS for page in mailboxes.due(each, now) for entry in page]


class FakeMailboxStore:
    """`MailboxStore`. `rows` and `schedule` may be looked at; `writes` counts saves that went through.

    `page`: entries in a page of `due`; `marked`: how many entries each call of `mark_queued` was for.
    """

    page = 1000

    def __init__(self) -> None:
        self.rows: dict[str, Mailbox] = {}
        self.schedule: dict[str, tuple[datetime, DueMailbox]] = {}
        self.writes = 0
        self.marked: list[int] = []
        self._lock = threading.Lock()

    def get(self, mailbox_id: str) -> Mailbox | None:
        return self.rows.get(mailbox_id)

    def save(self, mailbox: Mailbox) -> Mailbox:
        with self._lock:
            current = self.rows.get(mailbox.id)
            if mailbox.version != (current.version if current else None):
                raise StaleWrite("the mailbox has changed")
            due_key = _due_key(mailbox)
            if mailbox.due_key and mailbox.due_key != due_key:
                self.schedule.pop(mailbox.due_key, None)
            if due_key and mailbox.next_poll_at and due_key not in self.schedule:
                self.schedule[due_key] = mailbox.next_poll_at, DueMailbox(due_key, mailbox.id)
            self.writes += 1
            saved = replace(mailbox, version=f"v{self.writes}", due_key=due_key)
            self.rows[mailbox.id] = saved
            return saved

    def list(self) -> Iterator[Mailbox]:
        yield from list(self.rows.values())

    def due(self, shard: str, now: datetime, since: str = "") -> Iterator[Sequence[DueMailbox]]:
        entries = [due for at, due in self.schedule.values() if _milliseconds(at) <= _milliseconds(now)]
        entries = [due for due in entries if due.mailbox_id[-1] == shard and due.key >= since]
        yield from itertools.batched(sorted(entries, key=lambda due: due.key), self.page, strict=False)

    def mark_queued(self, entries: Sequence[DueMailbox], now: datetime) -> None:
        with self._lock:
            self.marked.append(len(entries))
            for entry in entries:
                known = self.schedule.get(entry.key)
                if known and known[1].mailbox_id == entry.mailbox_id:
                    self.schedule[entry.key] = known[0], replace(known[1], queued_at=now)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _due_key(mailbox: Mailbox) -> str | None:
    return f"{_milliseconds(mailbox.next_poll_at)}-{mailbox.id}" if mailbox.next_poll_at else None


class FakeMessageStore:
    """`MessageStore`. `rows` by (mailbox id, row key) and `index` by (mailbox id, message id)."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], StoredMessage] = {}
        self.index: dict[tuple[str, str], StoredMessage] = {}
        self._lock = threading.Lock()
        self._versions = itertools.count(1)

    def find(
        self, mailbox_id: str, sought: Mapping[str, datetime | None], *, whole: bool = True
    ) -> dict[str, StoredMessage]:
        found = {}
        for message_id, received in sought.items():
            entry = None if received else self.index.get((mailbox_id, message_id))
            key = row_key(received, message_id) if received else entry and entry.row_key
            if row := self.rows.get((mailbox_id, key or "")):
                index_version = entry.index_version if entry else None
                found[message_id] = replace(row if whole else _bare(row), kept=True, index_version=index_version)
            elif entry:
                found[message_id] = replace(entry, row_key=None)
        return found

    def known(self, mailbox_id: str, message_ids: Iterable[str]) -> set[str]:
        return {message_id for message_id in message_ids if (mailbox_id, message_id) in self.index}

    def write(self, mailbox_id: str, messages: Sequence[StoredMessage]) -> None:
        with self._lock:
            for message in messages:
                self._write_one(mailbox_id, message)

    def unseen(self, mailbox_id: str, folder_id: str, generation: int, since: datetime) -> Iterator[StoredMessage]:
        for (mailbox, key), row in list(self.rows.items()):
            wanted = mailbox == mailbox_id and row.folder_id == folder_id and not row.removed_generation
            if wanted and row.generation < generation and key < row_bound(since):
                yield replace(_bare(row), kept=True)

    def _write_one(self, mailbox_id: str, message: StoredMessage) -> None:
        key = mailbox_id, message.message_id
        version = f"v{next(self._versions)}"
        row = self.rows.get((mailbox_id, message.row_key or ""))
        _check(row.version if row else None, message.version)
        if not message.version:
            index = self.index.get(key)
            _check(index.index_version if index else None, message.index_version)
            seen = {} if message.row_key else {name: getattr(message, name) for name in _SEEN}
            nothing = StoredMessage(message.message_id, message.row_key, "", 0)
            self.index[key] = replace(nothing, index_version=version, **seen)
        if message.row_key:
            kept = row if message.kept else None
            content = kept.content if kept else _storable(message.content)
            whole = replace(message, version=version, index_version=None, kept=False)
            content = msgspec.structs.replace(content, parent_folder_id=message.folder_id)
            synced_at = message.synced_at or (kept.synced_at if kept else None)
            removed_at = message.removed_at or (kept.removed_at if kept else None)
            others = kept.others if kept else message.others
            self.rows[mailbox_id, message.row_key] = replace(
                whole, content=content, synced_at=synced_at, removed_at=removed_at, others=others
            )


_SEEN = ("folder_id", "generation", "removed_generation")


def _bare(row: StoredMessage) -> StoredMessage:
    return StoredMessage(
        row.message_id, row.row_key, row.folder_id, row.generation, row.removed_generation, version=row.version
    )


def _check(current, version) -> None:
    if version != current:
        raise StaleWrite("the message has changed")


def _storable(content: Content) -> Content:
    """What a table can hold of it."""
    fields = {name: _clean(value) for name, value in content.given().items()}
    return Content(**{n: v for n, v in fields.items() if not isinstance(v, datetime) or v >= FIRST_TIME})


def _clean(value):
    return (
        value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if isinstance(value, str) else value
    )


class FakeAccountStore:
    """`AccountStore`."""

    def __init__(self, *accounts: Account) -> None:
        self.rows: dict[str, Account] = {}
        self._lock = threading.Lock()
        for account in accounts:
            self.add(account)

    def add(self, account: Account) -> None:
        account = normal_account(account)
        with self._lock:
            if account.id in self.rows:
                raise id_taken(account.id)
            holders = {claim: other.id for other in self.rows.values() for claim in (*other.addresses, *other.domains)}
            if taken := {claim: holders[claim] for claim in (*account.addresses, *account.domains) if claim in holders}:
                raise claims_taken(taken)
            self.rows[account.id] = account

    def get(self, account_id: str) -> Account | None:
        return self.rows.get(account_id)

    def list(self) -> Iterator[Account]:
        yield from [self.rows[key] for key in sorted(self.rows)]

    def claimed_by(self, address: str) -> tuple[Account, str | None] | None:
        try:
            address = normal_address(address)
        except Rejected:
            return None
        domain = address.rpartition("@")[2]
        exact = next(((account, None) for account in self.rows.values() if address in account.addresses), None)
        return exact or next(((account, domain) for account in self.rows.values() if domain in account.domains), None)

    def pin_tenant(self, account_id: str, domain: str, tenant_id: str) -> str:
        domain = normal_domain(domain)
        with self._lock:
            account = self._known(account_id)
            tenants = {domain: tenant_id.lower()} | dict(account.tenant_ids)
            self.rows[account_id] = replace(account, tenant_ids=tenants)
            return tenants[domain]

    def pin_mailbox(self, account_id: str, address: str, mailbox_id: str) -> str:
        address = normal_address(address)
        with self._lock:
            account = self._known(account_id)
            mailboxes = {address: mailbox_id.lower()} | dict(account.mailbox_ids)
            self.rows[account_id] = replace(account, mailbox_ids=mailboxes)
            return mailboxes[address]

    def release(self, account_id: str, claim: str) -> Account:
        with self._lock:
            account = self.rows[account_id] = released(self._known(account_id), claim)
            return account

    def _known(self, account_id: str) -> Account:
        if account_id not in self.rows:
            raise unknown_account(account_id)
        return self.rows[account_id]


class FakeOneTimeStore:
    """`OneTimeStore`."""

    def __init__(self) -> None:
        self.rows: dict[str, OneTimeRecord] = {}
        self._versions = itertools.count(1)
        self._lock = threading.Lock()

    def put(self, record: OneTimeRecord) -> None:
        with self._lock:
            if record.key in self.rows:
                raise StaleWrite("a sign-in of this key exists")
            self.rows[record.key] = replace(record, version=f"v{next(self._versions)}")

    def get(self, key: str) -> OneTimeRecord | None:
        return self.rows.get(key)

    def take(self, record: OneTimeRecord) -> bool:
        with self._lock:
            current = self.rows.get(record.key)
            if not current or current.version != record.version:
                return False
            del self.rows[record.key]
            return True

    def purge(self, now: datetime) -> int:
        with self._lock:
            expired = [key for key, record in self.rows.items() if record.expires_at <= now.astimezone(UTC)]
            for key in expired:
                del self.rows[key]
            return len(expired)
