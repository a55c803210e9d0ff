"""Answers of Key Vault that end nothing, crash nothing, and lead nowhere."""

import itertools
import json
from dataclasses import replace

import pytest
from azure.core.credentials import AccessToken

from mailsync.adapters import azure_sdk
from mailsync.adapters.key_vault.signing_keys import KeyVaultSigningKeys
from mailsync.adapters.key_vault.tokens import KeyVaultTokenVault
from mailsync.clock import utc_now
from mailsync.errors import MailsyncError, Misconfigured, ReconnectRequired
from mailsync.settings import Settings
from mailsync.tokens.records import StoredToken
from tests.adapters.stub_transport import Reply, stub_session
from tests.mailsync.world import BOX, settings

ID = "https://vault.example/secrets/x/1"
NUMBERS = itertools.count()
TOKEN = StoredToken(refresh_token="the-refresh-token", scopes=(), saved_at=utc_now())


class Credential:
    def get_token(self, *_, **__):
        return AccessToken("app-token", 4_102_444_800)


def challenge(resource="https://example", authorization="https://login.example/t"):
    header = f'Bearer authorization="{authorization}", resource="{resource}"'
    return Reply(401, {}, {"WWW-Authenticate": header})


@pytest.fixture
def answering(monkeypatch):
    """Makes the vault answer each request with a token by the reply, after its challenge; gives what was sent."""

    def answer(reply, first=None):
        first = first or challenge()
        session, wire = stub_session(*[lambda request: reply if "Authorization" in request.headers else first] * 30)
        monkeypatch.setattr(azure_sdk, "session", lambda: session)
        monkeypatch.setattr(azure_sdk, "credential", lambda *_: Credential())
        return wire.seen

    return answer


def of_a_vault() -> Settings:
    """Each time another one: the SDK remembers a vault's challenge for as long as the process lives."""
    return replace(settings(), key_vault_url=f"https://vault-{next(NUMBERS)}.example")


def vault() -> KeyVaultTokenVault:
    return KeyVaultTokenVault(of_a_vault(), sleep=lambda _: None)


def keys() -> KeyVaultSigningKeys:
    return KeyVaultSigningKeys(of_a_vault(), lambda: None, utc_now, lambda _: None)


USES = {
    "load": lambda: vault().load(BOX),
    "save": lambda: vault().save(BOX, TOKEN),
    "delete": lambda: vault().delete(BOX),
    "keys": lambda: keys().find("an-id"),
}
every_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


@every_use
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nothing_is_sent_where_a_redirect_leads(answering, use, status):
    seen = answering(Reply(status, {}, {"Location": "https://evil.example/secrets/x"}))
    with pytest.raises(MailsyncError) as problem:
        use()
    assert not isinstance(problem.value, ReconnectRequired)
    assert len({request.url.split("/secrets")[0] for request in seen}) == 1
    assert not any("evil" in request.url for request in seen)


@every_use
@pytest.mark.parametrize(
    "odd", [b"", b"null", b"[]", b"<html>", b'{"value": "x", "id": "odd"}', b'{"value": 5, "id": 5}']
)
def test_an_answer_that_is_none_passes(answering, use, odd):
    answering(Reply(200, odd))
    with pytest.raises(MailsyncError) as problem:
        use()
    assert problem.value.reason == "key_vault_unavailable"


@pytest.mark.parametrize("answer", [{"value": None}, {}])
@pytest.mark.parametrize("use", [USES["load"], USES["keys"]], ids=["load", "keys"])
def test_a_secret_without_a_value_is_no_word_about_it(answering, use, answer):
    answering(Reply(200, {"id": ID, "attributes": {}} | answer))
    with pytest.raises(MailsyncError) as problem:
        use()
    assert problem.value.reason == "key_vault_unavailable"


@every_use
@pytest.mark.parametrize(
    "first", [challenge("https://evil.test"), challenge("", ""), challenge("http://[", "http://[")]
)
def test_an_odd_challenge_passes_and_gets_no_token(answering, use, first):
    seen = answering(Reply(200, {}), first)
    with pytest.raises(MailsyncError) as problem:
        use()
    assert problem.value.reason in ("key_vault_unavailable", "key_vault_forbidden")
    assert not any("Authorization" in request.headers for request in seen)


@pytest.mark.parametrize("odd", [{"key": ""}, {"key": "YQ=="}, {"made_at": "2026-01-01T00:00:00"}])
def test_a_signing_key_that_proves_nothing_is_none(answering, odd):
    key = {"id": "an-id", "key": "a2V5" * 8, "made_at": "2026-01-01T00:00:00Z"} | odd
    answering(Reply(200, {"value": json.dumps({"version": 1, "keys": [key]}), "id": ID, "attributes": {}}))
    with pytest.raises(Misconfigured, match="signing_key_unreadable"):
        keys().find("an-id")
