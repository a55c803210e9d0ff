"""Graph's mail and the table of messages. Adapters and fakes satisfy these; `tests/contracts/` holds them to it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mailsync.mailboxes.records import Profile
from mailsync.sync.records import DeltaPage, Fetched, HistoryPage, Message, StoredMessage
from mailsync.tokens.ports import GetToken


class MailService(Protocol):
    """Graph, as one signed-in user. Raises RetryLater, AccessDenied, Rejected, and what its token's source raises."""

    def me(self) -> Profile:
        """The signed-in user."""
        ...

    def folder_id(self, folder: str) -> str:
        """Graph's id of a folder given by well-known name or id."""
        ...

    def count(self, folder: str, since: datetime, until: datetime | None = None) -> int | None:
        """How many messages of the folder were received in [since, until]; None where Graph does not say."""
        ...

    def survey(self, folder: str, since: datetime) -> tuple[str, int | None]:
        """`folder_id` and `count` at once: of a folder that is looked at for the first time."""
        ...

    def start_delta(self, folder: str, since: datetime | None, *, size: int = 0, narrow: bool = False) -> DeltaPage:
        """The first page of an enumeration, newest first; `since` None for no filter. Raises FilterRefused.

        `size`: messages a page, 0 for as many as usual. `narrow`: with few properties, and none of a body's.
        """
        ...

    def follow_delta(self, link: str, *, size: int = 0) -> DeltaPage:
        """The page behind a next or delta link. Raises SyncStateLost; Rejected for a link to another host."""
        ...

    def history(
        self, folder: str, since: datetime, before: datetime | None, skip: int, *, size: int = 0, narrow: bool = False
    ) -> HistoryPage:
        """Messages received in [since, before] (before None: up to now), newest first, the first `skip` left out."""
        ...

    def headers(self, folder: str, received: Mapping[str, datetime]) -> Mapping[str, Message]:
        """Headers alone of messages of a folder, by id with the time each was received, a hundred or so a call.

        It stops where lists cost more calls than asking by ids, so some may be missing; all are where lists show no
        headers. A message that has no headers is among those that are found.
        """
        ...

    def messages(self, ids: Sequence[str]) -> Fetched:
        """Whole messages by immutable id: what could be read, and which of them Graph refused after some tries."""
        ...


class MailServiceFactory(Protocol):
    """Makes Graph as one user. `fresh_token` gives a new token where Graph refuses the one it was given."""

    def __call__(self, get_token: GetToken, fresh_token: GetToken | None = None) -> MailService:
        """Graph as the user whose tokens these are."""
        ...


class MessageStore(Protocol):
    """Rows of the table `messages` with their index by message id, and bodies too long for a row."""

    def find(
        self, mailbox_id: str, sought: Mapping[str, datetime | None], *, whole: bool = True
    ) -> dict[str, StoredMessage]:
        """What is stored of messages, given by id with the time each was received, where that is known.

        With its time a message is looked for where its row would then be, and nowhere else: a row under another time
        and a removal that came before the message are found only where None is given for the time. Those of many
        messages that are close in time cost few calls, those without a time up to two each.
        With `whole` False all but content, and times of changes.
        """
        ...

    def known(self, mailbox_id: str, message_ids: Iterable[str]) -> set[str]:
        """Which of these ids anything is stored of."""
        ...

    def write(self, mailbox_id: str, messages: Sequence[StoredMessage]) -> None:
        """Writes rows; a new one with its index entry in one transaction. Repeatable after a crash.

        An entry without version must not exist yet, one with a version must be unchanged: else StaleWrite,
        and some of the others may have been written. Where content is `kept`, that part of a row is left alone.
        """
        ...

    def unseen(self, mailbox_id: str, folder_id: str, generation: int, since: datetime) -> Iterator[StoredMessage]:
        """A folder's messages not seen since before `generation`, received since, not marked removed; no content."""
        ...
