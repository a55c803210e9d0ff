"""A mailbox and the `MailService` on it: the fake, and the Graph client on the stand-in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mailsync.adapters.graph.mail import GraphClient
from mailsync.adapters.graph.transport import GraphTransport
from mailsync.errors import GraphUnavailable
from sandbox.entra.tokens import graph_token
from sandbox.exchange import mime
from tests.fakes.mail_service import FakeMailService

START = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
BEFORE_ALL = START - timedelta(days=1)
ADDRESS = "owner@contoso.example"


class FakeBox:
    """The fake, and what its owner does."""

    def __init__(self):
        self.service = FakeMailService(page_size=2, history_page_size=2)
        self._mailbox = self.service.mailbox
        self.move, self.delete = self._mailbox.move, self._mailbox.delete
        self.lose_links = self.service.expire_links

    def deliver(self, minutes=0, folder="inbox", subject="Hello"):
        return self._mailbox.deliver(START + timedelta(minutes=minutes), folder, subject=subject)

    def read(self, message_id):
        self._mailbox.update(message_id, is_read=True)

    def refuse(self, message_id):
        self.service.refused[message_id] = GraphUnavailable("it cannot be read")

    def refuse_filters(self):
        self.service.refuse_filter = True

    def cap(self, number):
        self.service.cap = number


class GraphBox:
    """The Graph client on the stand-in, and what the mailbox's owner does."""

    def __init__(self, microsoft365, session):
        self.waited = []
        self.world = microsoft365.world
        user = self.world.create_user(ADDRESS)
        grant = self.world.grants.consent(user.user_id, frozenset({"User.Read", "Mail.Read"}))
        token, _ = graph_token(self.world, user, grant, grant.scopes)
        self._mailbox = self.world.mailbox(user)
        self._transport = GraphTransport(endpoint=microsoft365.graph, session=session, sleep=self.waited.append)
        self._token = token
        self.service = self.client(page_size=2)

    def client(self, page_size):
        transport = replace(self._transport, page_size=page_size)
        return GraphClient(transport.as_user(lambda: self._token))

    def deliver(self, minutes=0, folder="inbox", subject="Hello", body="Hi there"):
        text = f"From: Ann <ann@example.org>\r\nTo: Owner <{ADDRESS}>\r\nSubject: {subject}\r\n\r\n{body}\r\n"
        received = START + timedelta(minutes=minutes)
        return self._mailbox.deliver(mime.read(text.encode()), folder=folder, received=received).immutable_id

    def _message(self, message_id):
        return self._mailbox.find(message_id, immutable=True)

    def read(self, message_id):
        self._mailbox.update(self._message(message_id), {"isRead": True})

    def move(self, message_id, folder):
        self._mailbox.move(self._message(message_id), folder)

    def delete(self, message_id):
        self._mailbox.delete(self._message(message_id))

    def lose_links(self):
        self.world.faults.order("delta-expired")

    def refuse(self, message_id):
        self.world.faults.order("graph-message-refused", message=message_id)

    def refuse_filters(self):
        self.world.faults.order("delta-filter-refused")

    def cap(self, number):
        self.world.faults.order("delta-cap", cap=number)
