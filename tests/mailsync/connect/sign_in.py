"""A whole sign-in on fakes: Microsoft as one user knows it, and the connector with everything around it."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mailsync.accounts.records import Account
from mailsync.bootstrap import App
from mailsync.connect.connector import Finished
from mailsync.errors import MailsyncError
from mailsync.mailboxes.records import Profile
from mailsync.settings import Settings
from mailsync.tokens.records import ALL_SCOPES, AuthorizationRequest, Grant
from tests.fakes.queue_and_vault import FakeHintQueue, FakeTokenVault
from tests.fakes.stores import FakeAccountStore, FakeMailboxStore, FakeOneTimeStore

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER_TENANT = "aaaaaaaa-0000-4000-8000-000000000002"
USER = "bbbbbbbb-0000-4000-8000-000000000001"
CLIENT = "cccccccc-0000-4000-8000-000000000001"
MAILBOX = f"{TENANT}-{USER}"
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

SECRETS = ("the-code", "the-verifier", "the-nonce", "the-access-token", "the-refresh-token")
"""Everything secret that passes through a sign-in, besides cookies."""

ENVIRONMENT = {
    "PUBLIC_BASE_URL": "https://connect.example",
    "ENTRA_CLIENT_ID": CLIENT,
    "KEY_VAULT_URL": "https://vault.example",
    "MAIL_STORAGE": "UseDevelopmentStorage=true",
}
SETTINGS = Settings.load(ENVIRONMENT)


def claims(**changes: object) -> dict[str, object]:
    tenant = changes.get("tid", TENANT)
    now = int(NOW.timestamp())
    return {
        "aud": CLIENT,
        "iss": f"https://login.microsoftonline.com/{tenant}/v2.0",
        "tid": TENANT,
        "sub": "subject",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
    } | changes


def grant(**changes: object) -> Grant:
    values = {
        "access_token": "the-access-token",
        "expires_at": NOW + timedelta(hours=1),
        "refresh_token": "the-refresh-token",
        "scopes": frozenset(ALL_SCOPES),
        "id_token_claims": claims(),
    }
    return Grant(**(values | changes))


class ScriptedDirectory:
    """`Directory` for one sign-in: `grant` is what a code gives, `failure` what is raised instead."""

    failure: MailsyncError | None = None

    def __init__(self) -> None:
        self.grant = grant()
        self.completed: list[tuple[dict[str, object], dict[str, str]]] = []
        self._numbers = itertools.count(1)

    def begin(self, redirect_uri: str) -> AuthorizationRequest:
        state = f"state-{next(self._numbers)}"
        flow = {"state": state, "redirect_uri": redirect_uri, "code_verifier": "the-verifier", "nonce": "the-nonce"}
        return AuthorizationRequest(f"https://login.microsoftonline.com/authorize?state={state}", state, flow)

    def complete(self, flow: Mapping[str, object], answer: Mapping[str, str]) -> Grant:
        self.completed.append((dict(flow), dict(answer)))
        if self.failure:
            raise self.failure
        return self.grant

    def refresh(self, refresh_token: str) -> Grant:
        raise NotImplementedError

    def admin_consent_url(self, redirect_uri: str, state: str) -> str:
        return f"https://login.microsoftonline.com/organizations/v2.0/adminconsent?state={state}&scope=a%20b"


@dataclass
class Me:
    """The part of `MailService` that a sign-in needs."""

    profile: Profile
    tokens: list[str] = field(default_factory=list)
    no_mailbox: MailsyncError | None = None

    def __call__(self, get_token):
        self.tokens.append(get_token())
        return self

    def me(self) -> Profile:
        return self.profile

    def folder_id(self, folder: str) -> str:
        if self.no_mailbox:
            raise self.no_mailbox
        return f"id of {folder}"


class SignIn:
    """Drives a `Connector`; every part may be looked at and changed between two calls."""

    def __init__(self, *accounts: Account, settings: Settings = SETTINGS) -> None:
        self.now = NOW
        self.settings = settings
        self.directory = ScriptedDirectory()
        self.me = Me(Profile(USER, "Offers@Shop.example", "offers@shop.example", "Offers"))
        self.vault = FakeTokenVault()
        self.mailboxes = FakeMailboxStore()
        self.accounts = FakeAccountStore(*accounts or [Account("shop", "The Shop", addresses=("offers@shop.example",))])
        self.signins = FakeOneTimeStore()
        self.queue = FakeHintQueue()
        self._random = itertools.count(1)
        self.app = App(
            settings,
            directory=self.directory,
            mail=self.me,
            vault=self.vault,
            mailboxes=self.mailboxes,
            accounts=self.accounts,
            one_time=self.signins,
            queue=self.queue,
            clock=lambda: self.now,
            random=lambda size: next(self._random).to_bytes(size),
        )
        self.connector = self.app.connector

    def start(self) -> tuple[str, str]:
        """Returns state and cookie."""
        started = self.connector.start()
        return started.url.partition("state=")[2], started.cookie

    def walk(self) -> Finished:
        state, cookie = self.start()
        return self.connector.finish(answer(state), cookie)

    def nothing_stored(self) -> bool:
        return not (self.vault.saves or self.mailboxes.rows or self.queue.sent)


def answer(state: str, **more: str) -> dict[str, str]:
    return {"code": "the-code", "state": state, "session_state": "x"} | more
