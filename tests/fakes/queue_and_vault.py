"""In-memory stands-in for the hint queue and the token vault."""

from collections.abc import Sequence

from mailsync.errors import MailsyncError
from mailsync.schedule.records import Hint
from mailsync.tokens.records import StoredToken


class FakeHintQueue:
    """`HintQueue`. `sent` holds (hint, delay) in order; `failure`, where set, is raised instead of sending."""

    def __init__(self) -> None:
        self.sent: list[tuple[Hint, float]] = []
        self.failure: MailsyncError | None = None

    def send(self, hint: Hint, delay: float = 0) -> None:
        if self.failure:
            raise self.failure
        self.sent.append((hint, delay))

    def send_all(self, hints: Sequence[tuple[Hint, float]]) -> list[MailsyncError | None]:
        problems: list[MailsyncError | None] = []
        for hint, delay in hints:
            try:
                self.send(hint, delay)
                problems.append(None)
            except MailsyncError as error:
                problems.append(error)
        return problems

    def take(self) -> list[tuple[Hint, float]]:
        """Empties the queue."""
        taken, self.sent = self.sent, []
        return taken


class FakeAsyncHintQueue(FakeHintQueue):
    """`AsyncHintQueue`."""

    async def send(self, hint: Hint, delay: float = 0) -> None:  # type: ignore[override]
        super().send(hint, delay)


class FakeTokenVault:
    """`TokenVault`. `loads` and `saves` count calls; `failure`, where set, is raised by each of them.

    `write_failure`: raised by those that write alone.
    """

    def __init__(self) -> None:
        self.secrets: dict[str, StoredToken] = {}
        self.loads = 0
        self.saves = 0
        self.failure: MailsyncError | None = None
        self.write_failure: MailsyncError | None = None

    def load(self, mailbox_id: str) -> StoredToken | None:
        self.loads += 1
        self._fail()
        return self.secrets.get(mailbox_id)

    def save(self, mailbox_id: str, token: StoredToken) -> None:
        self.saves += 1
        self._fail()
        if self.write_failure:
            raise self.write_failure
        self.secrets[mailbox_id] = token

    def delete(self, mailbox_id: str) -> None:
        self._fail()
        self.secrets.pop(mailbox_id, None)

    def _fail(self) -> None:
        if self.failure:
            raise self.failure
