"""An inbox that subscribes to its own changes."""

from datetime import timedelta

from sandbox.entra import tokens
from tests.sandbox.graph.graph_client import IMMUTABLE, SCOPES, Inbox

RESOURCE = "me/mailFolders('inbox')/messages"


class Subscriber(Inbox):
    """An inbox whose notifications go to a webhook."""

    def __init__(self, microsoft365, client, webhook, address="owner@contoso.example", scopes=SCOPES):
        super().__init__(microsoft365, client, address, scopes)
        self.webhook = webhook

    def in_minutes(self, minutes):
        return (self.world.now() + timedelta(minutes=minutes)).isoformat()

    def wanted(self, **changes):
        """What a sound creation sends; a change to None leaves that out."""
        body = {
            "changeType": "created,updated,deleted",
            "notificationUrl": f"{self.webhook.url}/notifications",
            "lifecycleNotificationUrl": f"{self.webhook.url}/lifecycle",
            "resource": RESOURCE,
            "expirationDateTime": self.in_minutes(10_000),
            "clientState": "the state",
            "latestSupportedTlsVersion": "v1_2",
        }
        return {name: value for name, value in {**body, **changes}.items() if value is not None}

    def ask(self, method, path="/subscriptions", body=None, prefer=IMMUTABLE):
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Prefer": prefer} if prefer else {})
        return self.client.request(method, self.graph + path, json=body, headers=headers)

    def create(self, prefer=IMMUTABLE, **changes):
        return self.ask("POST", body=self.wanted(**changes), prefer=prefer)

    def subscribe(self, **changes):
        """Creates a subscription; returns its id."""
        answer = self.create(**changes)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def new_token(self):
        grant = self.world.grants.consent(self.user.user_id, SCOPES)
        self.token, _ = tokens.graph_token(self.world, self.user, grant, SCOPES)

    def command(self, path, **body):
        """A control route."""
        answer = self.client.post(f"{self.control}{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def endpoints(self):
        """What the stand-in knows of the URLs it notifies."""
        return self.client.get(f"{self.control}/subscriptions").json()["endpoints"]

    def fault(self, name, count=None, **params):
        return self.command("/faults", name=name, count=count, params=params)
