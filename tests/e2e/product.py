"""The running product as its users meet it: owners by the pages, mail by delivery, operators by status and rows."""

import threading
import time
from collections import Counter
from pathlib import Path

from sandbox.client import Control, connection_string, fire, mailsync_app, message_rows
from sandbox.commands import POLL_TIMER, connect_mailbox, deliver_files

COLUMNS = {
    "subject": lambda message: message.get("subject"),
    "body": lambda message: message["body"]["content"],
    "bodyContentType": lambda message: message["body"]["contentType"],
    "bodyPreview": lambda message: message.get("bodyPreview"),
    "headers": lambda message: message.get("internetMessageHeaders"),
    "internetMessageId": lambda message: message.get("internetMessageId"),
    "conversationId": lambda message: message.get("conversationId"),
    "parentFolderId": lambda message: message.get("parentFolderId"),
    "fromAddress": lambda message: _mail_address(message.get("from")).get("address"),
    "fromName": lambda message: _mail_address(message.get("from")).get("name"),
    "senderAddress": lambda message: _mail_address(message.get("sender")).get("address"),
    "replyTo": lambda message: [_mail_address(entry) for entry in message["replyTo"]],
    "toRecipients": lambda message: [_mail_address(entry) for entry in message["toRecipients"]],
    "ccRecipients": lambda message: [_mail_address(entry) for entry in message["ccRecipients"]],
    "receivedDateTime": lambda message: message.get("receivedDateTime"),
    "sentDateTime": lambda message: message.get("sentDateTime"),
    "importance": lambda message: message.get("importance"),
    "isRead": lambda message: message.get("isRead"),
    "hasAttachments": lambda message: message.get("hasAttachments"),
    "webLink": lambda message: message.get("webLink"),
}
"""Every column of the contract that Graph fills, and what it must be for a message as Graph answers it."""


def _mail_address(entry):
    return (entry or {}).get("emailAddress", {})


class Product:
    """A running sandbox with the app in it."""

    def __init__(self, state):
        self.state = state
        self.control = Control(state)
        self.app = mailsync_app(state)
        self.connection_string = connection_string(state)
        # What is tested here begins once an inbox can be connected; approval has tests of its own.
        self.control.call("POST", "/consent-policy", {"consentAllowed": True})

    def close(self):
        self.control.close()

    def connect(self, address, account_id=None):
        """The owner walks the pages; returns the mailbox id."""
        return connect_mailbox(self.state, self.control, address, account_id)

    def deliver(self, address, *paths):
        delivered, unreadable = deliver_files(self.control, address, [Path(path) for path in paths])
        assert not unreadable
        return delivered

    def generate(self, address, count, **options):
        self.control.call("POST", f"/mailboxes/{address}/generate", {"count": count, **options})

    def fault(self, name, count=None, **params):
        self.control.call("POST", "/faults", {"name": name, "count": count, "params": params})

    def clear_faults(self):
        self.control.call("DELETE", "/faults")

    def poll(self):
        fire(self.state, POLL_TIMER)

    def truth(self, address):
        """What Graph has of the mailbox, by message id."""
        answer = self.control.call("GET", f"/mailboxes/{address}")
        return {message["id"]: message for message in answer["messages"]}

    def rows(self, mailbox_id):
        """Message rows as in the contract, in table order."""
        return list(message_rows(self.state, mailbox_id))

    def mailbox(self, mailbox_id):
        return self.app.mailboxes.get(mailbox_id)

    def until(self, condition, what, seconds=30, poll=False):
        """What `condition()` gives once it is true; with `poll` the timer runs in between, as each minute would."""
        deadline, pause = time.monotonic() + seconds, threading.Event()
        polled = 0.0
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
            if poll and time.monotonic() - polled > 0.5:
                self.poll()
                polled = time.monotonic()
            pause.wait(0.1)
        return found

    def wait_for_rows(self, mailbox_id, count, seconds=30, poll=False):
        """The rows once there are `count` of them, and the run that wrote them is over."""

        def enough():
            rows = self.rows(mailbox_id)
            return rows if len(rows) >= count and not self.mailbox(mailbox_id).lease else None

        return self.until(enough, f"{count} rows", seconds, poll)


def differences(rows, truth):
    """Sentences on what the rows of a mailbox and Graph's messages do not have in common; empty where all agrees."""
    found = [f"{message_id} is in the table {times} times" for message_id, times in _repeated(rows)]
    stored = {row["messageId"]: row for row in rows}
    found += [f"{message_id} is missing" for message_id in truth.keys() - stored.keys()]
    found += [f"{message_id} is not the mailbox's" for message_id in stored.keys() - truth.keys()]
    for message_id in stored.keys() & truth.keys():
        for column, expected in COLUMNS.items():
            got, wanted = stored[message_id].get(column), expected(truth[message_id])
            if not _same(column, got, wanted):
                found.append(f"{message_id} {column}: {str(got)[:80]!r} instead of {str(wanted)[:80]!r}")
    if [row["RowKey"] for row in rows] != sorted(row["RowKey"] for row in rows):
        found.append("the rows are not in order")
    return found


def _repeated(rows):
    counts = Counter(row["messageId"] for row in rows)
    return [(message_id, times) for message_id, times in counts.items() if times > 1]


def _same(column, got, wanted):
    if column.endswith("DateTime") and got and wanted:
        return got[:19] == wanted[:19] and got.endswith("Z")
    return got == wanted or (not got and not wanted and got is not False)
