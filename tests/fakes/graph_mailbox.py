"""A small model of an Outlook mailbox as Graph sees it: folders, messages, and the log that delta reads.

What its owner does is `deliver`, `update`, `move`, `delete`. While `lagging` is set these are kept back
until `catch_up`, as a replica does that has not heard of them yet. Nothing here is random.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from mailsync.sync.records import Content, Header, Message, Person

WELL_KNOWN = ("inbox", "archive", "deleteditems", "junkemail", "sentitems")


@dataclass(slots=True)
class Mail:
    """One message: its immutable id, the folder that holds it, and its content."""

    id: str
    folder: str
    content: Content = field(repr=False)

    @property
    def received(self) -> datetime:
        value = self.content.received
        assert isinstance(value, datetime)
        return value


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: in this folder, this message came (`names` None), left or changed (`names`)."""

    folder: str
    id: str
    names: frozenset[str] | None


def default_content(message_id: str, received: datetime, **fields: Any) -> Content:
    """Everything that Graph says of a message, filled plausibly. `fields` overlay it."""
    address = f"sender-{message_id[-4:]}@example.org"
    whole = Content(
        internet_message_id=f"<{message_id}@example.org>",
        conversation_id=f"conversation-{message_id}",
        received=received,
        sent=received - timedelta(seconds=2),
        subject=f"Subject of {message_id}",
        author=Person(address, "Sender"),
        sender_address=address,
        reply_to=(),
        to_recipients=(Person("owner@contoso.example", "Owner"),),
        cc_recipients=(),
        importance="normal",
        is_read=False,
        has_attachments=False,
        web_link=f"https://outlook.office365.com/owa/?ItemID={message_id}",
        body_content_type="text",
        body_preview=f"Body of {message_id}",
        body=f"Body of {message_id}\r\n",
        headers=(Header("Message-ID", f"<{message_id}@example.org>"),),
    )
    return replace(whole, **fields)


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

    def deliver(self, received: datetime, folder: str = "inbox", *, id: str = "", **fields: Any) -> str:  # noqa: A002
        """A message arrives. Returns its immutable id. `fields` overlay the default content."""
        self._ids += 1
        message_id = id or f"AAkALgAA{self._ids:08d}"
        home = self.folder_id(folder)

        def arrive() -> None:
            content = default_content(message_id, received, **fields, parent_folder_id=home)
            self.messages[message_id] = Mail(message_id, home, content)
            self._note(home, message_id, None)

        self._act(arrive)
        return message_id

    def update(self, message_id: str, **fields: Any) -> None:
        """Changes fields of a message's content, such as `is_read=True`; nothing where it is gone."""

        def change() -> None:
            if mail := self.messages.get(message_id):
                mail.content = replace(mail.content, **fields)
                self._note(mail.folder, message_id, frozenset(fields))

        self._act(change)

    def move(self, message_id: str, folder: str) -> None:
        """Moves a message; its immutable id stays. Nothing where it is gone or there already."""
        home = self.folder_id(folder)

        def change() -> None:
            mail = self.messages.get(message_id)
            if mail and mail.folder != home:
                self._note(mail.folder, message_id, frozenset())
                mail.folder = home
                mail.content = replace(mail.content, parent_folder_id=home)
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
        shown = mail.content.given() if names is None else {name: getattr(mail.content, name) for name in names}
        if not headers:
            shown.pop("headers", None)
        return Message(message_id, Content(**shown))

    def _act(self, change: Callable[[], None]) -> None:
        if self.lagging or self._held_back:
            self._held_back.append(change)
        else:
            change()

    def _note(self, folder: str, message_id: str, names: frozenset[str] | None) -> None:
        self._known.setdefault(folder, set()).add(message_id)
        self.log.append(Change(folder, message_id, names))
