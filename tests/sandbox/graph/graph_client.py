"""A mailbox of the stand-in with a token for it, and what tests do with both over HTTP."""

from sandbox.entra import tokens

SCOPES = frozenset({"openid", "offline_access", "User.Read", "Mail.Read"})
IMMUTABLE = 'IdType="ImmutableId"'


def mail(number, subject="Re: offer", body="Hello", date="Wed, 18 Nov 2026 10:00:00 +0000"):
    return (
        f"From: Ann <ann@example.net>\r\nTo: owner@contoso.example\r\nSubject: {subject} {number}\r\n"
        f"Date: {date}\r\nMessage-ID: <{number}@example.net>\r\n\r\n{body}\r\n"
    ).encode()


class Inbox:
    """One user's mailbox."""

    def __init__(self, microsoft365, client, address="owner@contoso.example", scopes=SCOPES):
        self.world = microsoft365.world
        self.graph = microsoft365.graph
        self.control = microsoft365.control
        self.client = client
        self.address = address
        self.user = self.world.create_user(address)
        grant = self.world.grants.consent(self.user.user_id, scopes)
        self.token, _ = tokens.graph_token(self.world, self.user, grant, scopes)

    @property
    def mailbox(self):
        return self.world.mailbox(self.user)

    def get(self, path, prefer=IMMUTABLE, **query):
        """GET below the version, or of a whole link; `$` is put before query names."""
        url = path if path.startswith("https://") else self.graph + path
        params = {f"${name}" if name != "changeType" else name: value for name, value in query.items()}
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Prefer": prefer} if prefer else {})
        return self.client.get(url, params=params or None, headers=headers)

    def batch(self, *requests):
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.post(f"{self.graph}/$batch", json={"requests": list(requests)}, headers=headers)

    def deliver(self, *messages, **query):
        """Delivers raw messages one by one; returns their immutable ids."""
        found = []
        for raw in messages:
            answer = self.client.post(f"{self.control}/mailboxes/{self.address}/deliver", content=raw, params=query)
            assert answer.status_code == 200, answer.text
            found += answer.json()["ids"]
        return found

    def tell(self, path="", body=None):
        answer = self.client.post(f"{self.control}/mailboxes/{self.address}{path}", json=body or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def order(self, name, count=None, **params):
        self.world.faults.order(name, count, **params)

    def round(self, link=None, prefer=f"{IMMUTABLE}, odata.maxpagesize=100", **query):
        """A whole delta round: its rows, and the delta link."""
        rows, answer = [], None
        while True:
            answer = (
                self.get(link, prefer) if link else self.get("/me/mailFolders/inbox/messages/delta", prefer, **query)
            )
            assert answer.status_code == 200, answer.text
            page = answer.json()
            rows += page["value"]
            if "@odata.deltaLink" in page:
                assert "@odata.nextLink" not in page
                return rows, page["@odata.deltaLink"]
            link = page["@odata.nextLink"]


def error_of(answer, status):
    """The error code of an answer, which must have the form of Graph's."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert {"date", "request-id", "client-request-id"} <= error["innerError"].keys()
    return error["code"]
