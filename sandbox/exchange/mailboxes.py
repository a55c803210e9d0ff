"""A mailbox of Exchange Online: folders, messages, both kinds of ids, and a log of changes for each folder.

Ids: https://learn.microsoft.com/graph/outlook-immutable-id. Folders:
https://learn.microsoft.com/graph/api/resources/mailfolder
"""

import bisect
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

from sandbox.exchange import ids as mailbox_ids
from sandbox.exchange.mime import Mail

WELL_KNOWN = {
    "inbox": "Inbox",
    "archive": "Archive",
    "sentitems": "Sent Items",
    "deleteditems": "Deleted Items",
    "junkemail": "Junk Email",
    "drafts": "Drafts",
}
"""Well-known folder names with their display names."""

Kind = Literal["created", "updated", "removed"]


def graph_time(when: datetime) -> str:
    """A time as Graph writes it for mail: UTC, whole seconds."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True, eq=False)
class Message:
    """One message. `properties` are Graph's, without id and folder; `id` changes on a move, `immutable_id` never."""

    number: int
    immutable_id: str
    id: str
    folder_id: str
    received: datetime
    properties: dict[str, Any]
    moves: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of a folder's log. `properties`: which ones an update changed."""

    kind: Kind
    message: Message
    shown_id: str
    properties: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class Folder:
    """A folder; `messages` by immutable id, `changes` oldest first and never shortened."""

    id: str
    display_name: str
    messages: dict[str, Message] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    _by_received: list[Message] = field(default_factory=list)
    _sorted: bool = True

    def received_between(self, low: datetime | None, high: datetime | None) -> list[Message]:
        """Messages received in [low, high], oldest first, in a stable order."""
        if not self._sorted:
            self._by_received = sorted(self.messages.values(), key=_order)
            self._sorted = True
        rows = self._by_received
        begin = bisect.bisect_left(rows, low, key=lambda m: m.received) if low else 0
        end = bisect.bisect_right(rows, high, key=lambda m: m.received) if high else len(rows)
        return rows[begin:end]

    def log(self, kind: Kind, message: Message, properties: Iterable[str] = ()) -> Change:
        """Notes a change; `message` is in the folder, or has just left it."""
        if kind == "created":
            self.messages[message.immutable_id] = message
        elif kind == "removed":
            del self.messages[message.immutable_id]
        self._sorted = self._sorted and kind == "updated"
        change = Change(kind, message, message.id, frozenset(properties))
        self.changes.append(change)
        return change


def _order(message: Message) -> tuple[datetime, int]:
    return message.received, message.number


class Mailbox:
    """One user's mailbox. Its messages have ids that no other mailbox of the user, before or after, gives out.

    `on_change` hears of every change, with the id of its folder.
    """

    def __init__(
        self, user_id: str, now: Callable[[], datetime], on_change: Callable[[str, Change], None] | None = None
    ) -> None:
        self.user_id = user_id
        self._on_change = on_change
        self._guid = str(uuid.uuid4())
        self.now = now
        self._numbers = 0
        self._messages: dict[str, Message] = {}
        self._by_mutable: dict[str, Message] = {}
        self._conversations: dict[str, str] = {}
        self.root_id = mailbox_ids.folder_id(user_id, "root")
        self.folders: dict[str, Folder] = {}
        self.well_known = {name: self.create_folder(title) for name, title in WELL_KNOWN.items()}

    def __len__(self) -> int:
        return len(self._messages)

    def create_folder(self, display_name: str) -> Folder:
        """A new folder."""
        folder = Folder(mailbox_ids.folder_id(self.user_id, len(self.folders)), display_name)
        self.folders[folder.id] = folder
        return folder

    def folder(self, name: str) -> Folder | None:
        """A folder by well-known name (in any case) or by id (case matters)."""
        return self.well_known.get(name.lower()) or self.folders.get(name)

    def find(self, message_id: str, *, immutable: bool) -> Message | None:
        """The message that has this id, of this kind, now."""
        return (self._messages if immutable else self._by_mutable).get(message_id)

    def messages(self) -> list[Message]:
        """Every message, in order of arrival."""
        return list(self._messages.values())

    def deliver(self, mail: Mail, *, folder: str = "inbox", received: datetime | None = None) -> Message:
        """Puts a message into a folder, received now unless told when.

        Exchange keeps fractions of a second, shows whole ones and filters by what it keeps: so a time of whole
        seconds gets a fraction (https://github.com/OfficeDev/ews-managed-api/issues/139 shows them kept).
        """
        target = self._folder(folder)
        number, self._numbers = self._numbers, self._numbers + 1
        if received is None:
            received = self.now()
        elif not received.microsecond:
            received += timedelta(milliseconds=number * 37 % 1000)
        immutable_id = mailbox_ids.message_id(self._guid, number, None)
        message = Message(number, immutable_id, mailbox_ids.message_id(self._guid, number, 0), target.id, received, {})
        message.properties = {**mail.properties, **self._added(message, mail)}
        self._messages[immutable_id] = message
        self._by_mutable[message.id] = message
        self._log(target, "created", message)
        return message

    def update(self, message: Message, changes: dict[str, Any]) -> None:
        """Changes properties such as `isRead`."""
        message.properties.update(changes)
        self._touch(message)
        self._log(self.folders[message.folder_id], "updated", message, (*changes, "changeKey", "lastModifiedDateTime"))

    def move(self, message: Message, folder: str) -> None:
        """Moves a message: its mutable id changes, the immutable one stays."""
        target = self._folder(folder)
        if target.id == message.folder_id:
            return
        self._log(self.folders[message.folder_id], "removed", message)
        del self._by_mutable[message.id]
        message.moves += 1
        message.id = mailbox_ids.message_id(self._guid, message.number, message.moves)
        message.folder_id = target.id
        self._by_mutable[message.id] = message
        self._touch(message)
        self._log(target, "created", message)

    def delete(self, message: Message) -> None:
        """Deletes a message for good."""
        self._log(self.folders[message.folder_id], "removed", message)
        del self._messages[message.immutable_id]
        del self._by_mutable[message.id]

    def _log(self, folder: Folder, kind: Kind, message: Message, properties: Iterable[str] = ()) -> None:
        change = folder.log(kind, message, properties)
        if self._on_change:
            self._on_change(folder.id, change)

    def _folder(self, name: str) -> Folder:
        folder = self.folder(name)
        if folder is None:
            raise ValueError(f"the mailbox has no folder {name!r}")
        return folder

    def _touch(self, message: Message) -> None:
        message.properties["lastModifiedDateTime"] = graph_time(self.now())
        message.properties["changeKey"] = mailbox_ids.change_key(
            message.number, len(self.folders[message.folder_id].changes)
        )

    def _added(self, message: Message, mail: Mail) -> dict[str, Any]:
        """What the mailbox adds to what the message says."""
        received = graph_time(message.received)
        internet_id = mail.properties["internetMessageId"] or f"<{message.number:08d}@{self._guid}>"
        return {
            "createdDateTime": received,
            "lastModifiedDateTime": received,
            "changeKey": mailbox_ids.change_key(message.number, 0),
            "categories": [],
            "receivedDateTime": received,
            "sentDateTime": graph_time(mail.sent) if mail.sent else received,
            "internetMessageId": internet_id,
            "conversationId": self._conversation(message, mail, internet_id),
            "isDeliveryReceiptRequested": None,
            "isReadReceiptRequested": False,
            "isRead": False,
            "isDraft": False,
            "webLink": f"https://outlook.office365.com/owa/?ItemID={quote(message.id, safe='')}"
            "&exvsurl=1&viewmodel=ReadMessageItem",
            "inferenceClassification": "focused",
            "flag": {"flagStatus": "notFlagged"},
        }

    def _conversation(self, message: Message, mail: Mail, internet_id: str) -> str:
        """By Outlook's thread index or the ids it refers to; a message that refers to none joins its topic."""
        thread = mail.thread
        keys = [f"index:{thread.index}"] if thread.index else []
        keys += [f"id:{reference}" for reference in (internet_id, *reversed(thread.references))]
        if len(keys) == 1 and thread.topic:
            keys.append(f"topic:{thread.topic}")
        known = next((self._conversations[key] for key in keys if key in self._conversations), None)
        conversation = known or mailbox_ids.conversation_id(self._guid, message.number)
        for key in keys:
            self._conversations.setdefault(key, conversation)
        return conversation
