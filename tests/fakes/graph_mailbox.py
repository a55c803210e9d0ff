"""A small model of an Outlook mailbox as Graph sees it: folders, messages, and the log that delta reads.

What its owner does is `deliver`, `update`, `move`, `delete`. While `lagging` is set these are kept back
until `catch_up`, as a replica does that has not heard of them yet. Nothing here is random.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailsync.sync.records import Message

type Column = str | bool | datetime

WELL_KNOWN = ("inbox", "archive", "deleteditems", "junkemail", "sentitems")


@dataclass(slots=True)
class Mail:
    """One message: its immutable id, the folder that holds it, and its contract columns."""

    id: str
    folder: str
    columns: dict[str, Column] = field(repr=False)

    @property
    def received(self) -> datetime:
        value = self.columns["receivedDateTime"]
        assert isinstance(value, datetime)
        return value


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: in this folder, this message came (`names` None), left or changed (`names`)."""

    folder: str
    id: str
    names: frozenset[str] | None


def default_columns(message_id: str, received: datetime) -> dict[str, Column]:
    """Every contract column that Graph provides, filled plausibly."""
    address = f"sender-{message_id[-4:]}@example.org"
    return {
        "internetMessageId": f"<{message_id}@example.org>",
        "conversationId": f"conversation-{message_id}",
        "receivedDateTime": received,
        "sentDateTime": received - timedelta(seconds=2),
        "subject": f"Subject of {message_id}",
        "fromAddress": address,
        "fromName": "Sender",
        "senderAddress": address,
        "replyTo": "[]",
        "toRecipients": json.dumps([{"address": "owner@contoso.example", "name": "Owner"}], separators=(",", ":")),
        "ccRecipients": "[]",
        "importance": "normal",
        "isRead": False,
        "hasAttachments": False,
        "webLink": f"https://outlook.office365.com/owa/?ItemID={message_id}",
        "bodyContentType": "text",
        "bodyPreview": f"Body of {message_id}",
        "body": f"Body of {message_id}\r\n",
        "headers": json.dumps([{"name": "Message-ID", "value": f"<{message_id}@example.org>"}], separators=(",", ":")),
    }


class GraphMailbox:
    """The mailbox. `messages` is what it holds now; `log` only grows."""

    def __init__(self, folders: Iterable[str] = WELL_KNOWN) -> None:
        self.folders = {name: f"folder-id-{name}" for name in folders}
        self.messages: dict[str, Mail] = {}
        self.log: list[Change] = []
        self.lagging = False
        self._held_back: list[Callable[[], None]] = []
        self._known: dict[str, set[str]] = {}
        self._ids = 0

    def folder_id(self, folder: str) -> str:
        """The id of a folder named by well-known name or id; KeyError where there is none."""
        return folder if folder in self.folders.values() else self.folders[folder]

    def deliver(self, received: datetime, folder: str = "inbox", *, id: str = "", **columns: Column) -> str:  # noqa: A002
        """A message arrives. Returns its immutable id. `columns` overlay the defaults."""
        self._ids += 1
        message_id = id or f"AAkALgAA{self._ids:08d}"
        home = self.folder_id(folder)

        def arrive() -> None:
            values = default_columns(message_id, received) | columns | {"parentFolderId": home}
            self.messages[message_id] = Mail(message_id, home, values)
            self._note(home, message_id, None)

        self._act(arrive)
        return message_id

    def update(self, message_id: str, **columns: Column) -> None:
        """Changes columns of a message, such as `isRead=True`; nothing where it is gone."""

        def change() -> None:
            if mail := self.messages.get(message_id):
                mail.columns.update(columns)
                self._note(mail.folder, message_id, frozenset(columns))

        self._act(change)

    def move(self, message_id: str, folder: str) -> None:
        """Moves a message; its immutable id stays. Nothing where it is gone or there already."""
        home = self.folder_id(folder)

        def change() -> None:
            mail = self.messages.get(message_id)
            if mail and mail.folder != home:
                self._note(mail.folder, message_id, frozenset())
                mail.folder = home
                mail.columns["parentFolderId"] = home
                self._note(home, message_id, None)

        self._act(change)

    def delete(self, message_id: str) -> None:
        """Deletes a message for good; nothing where it is gone."""

        def change() -> None:
            if mail := self.messages.pop(message_id, None):
                self._note(mail.folder, message_id, frozenset())

        self._act(change)

    def catch_up(self, count: int | None = None) -> None:
        """Applies the first `count` of what was kept back (None: all)."""
        now, self._held_back = self._held_back[:count], self._held_back[len(self._held_back[:count]) :]
        for change in now:
            change()

    def holds(self, folder: str) -> list[Mail]:
        """What a folder holds now, newest first; equal times by id."""
        home = self.folder_id(folder)
        mails = (mail for mail in self.messages.values() if mail.folder == home)
        return sorted(mails, key=lambda mail: (-mail.received.timestamp(), mail.id))

    def ever_held(self, folder: str) -> frozenset[str]:
        """Ids of all that the folder holds or once held."""
        return frozenset(self._known.get(self.folder_id(folder), ()))

    def render(self, message_id: str, names: frozenset[str] | None = None, *, headers: bool = True) -> Message | None:
        """The message as Graph answers it: whole, or only `names`; None where it is gone."""
        if (mail := self.messages.get(message_id)) is None:
            return None
        shown: Mapping[str, Column] = mail.columns
        if names is not None or not headers:
            shown = {
                name: value
                for name, value in mail.columns.items()
                if (names is None or name in names) and (headers or name != "headers")
            }
        return Message(message_id, dict(shown))

    def _act(self, change: Callable[[], None]) -> None:
        if self.lagging or self._held_back:
            self._held_back.append(change)
        else:
            change()

    def _note(self, folder: str, message_id: str, names: frozenset[str] | None) -> None:
        self._known.setdefault(folder, set()).add(message_id)
        self.log.append(Change(folder, message_id, names))
