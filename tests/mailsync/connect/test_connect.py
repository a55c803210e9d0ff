"""What connecting an inbox stores, and in which order."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from mailsync.accounts.records import Account
from mailsync.errors import Rejected, RetryLater, StaleWrite
from mailsync.mailboxes.records import Folder, LastError, Lease, MailboxState
from mailsync.schedule.records import Hint
from mailsync.tokens.records import StoredToken
from tests.fakes.stores import all_due
from tests.mailsync.connect.sign_in import MAILBOX, NOW, OTHER_TENANT, SECRETS, TENANT, SignIn, answer, claims, grant

OTHER_USER = "bbbbbbbb-0000-4000-8000-000000000002"


def test_a_sign_in_ends_with_tokens_a_mailbox_and_a_hint():
    world = SignIn()
    finished = world.walk()
    assert finished.mailbox_id == MAILBOX
    stored = world.vault.secrets[MAILBOX]
    assert stored == StoredToken(
        refresh_token="the-refresh-token", scopes=("Mail.Read", "User.Read", "offline_access", "openid"), saved_at=NOW
    )
    mailbox = world.mailboxes.rows[MAILBOX]
    assert (mailbox.account_id, mailbox.address, mailbox.mail) == ("shop", "Offers@Shop.example", "offers@shop.example")
    assert (mailbox.display_name, mailbox.state, mailbox.connected_at) == ("Offers", MailboxState.ACTIVE, NOW)
    assert mailbox.next_poll_at == NOW
    assert [entry.mailbox_id for entry in all_due(world.mailboxes, NOW)] == [MAILBOX]
    assert world.queue.sent == [(Hint(MAILBOX, NOW), 0)]
    assert world.me.tokens == ["the-access-token"]


def test_the_code_is_redeemed_with_the_flow_that_began_the_sign_in():
    world = SignIn()
    state, cookie = world.start()
    world.connector.finish(answer(state), cookie)
    [(flow, given)] = world.directory.completed
    assert flow["state"] == state
    assert flow["code_verifier"] == "the-verifier"
    assert flow["redirect_uri"] == "https://connect.example/auth/callback"
    assert given["code"] == "the-code"


def test_the_page_about_the_outcome_follows_the_mailbox():
    world = SignIn()
    finished = world.walk()
    connection = world.connector.connection(finished.cookie)
    assert connection.account_name == "The Shop"
    assert connection.mailbox.messages == 0
    world.mailboxes.save(replace(connection.mailbox, messages=7))
    assert world.connector.connection(finished.cookie).mailbox.messages == 7
    world.now += timedelta(minutes=10)
    assert world.connector.connection(finished.cookie) is None


@pytest.mark.parametrize("cookie", [None, "", "A" * 43, "not a cookie", "\x00"])
def test_no_other_cookie_opens_the_page_about_the_outcome(cookie):
    world = SignIn()
    world.walk()
    assert world.connector.connection(cookie) is None


def test_connecting_again_replaces_the_tokens_and_keeps_the_reading():
    world = SignIn()
    world.walk()
    folders = (Folder("inbox", NOW, cursor="https://graph.example/delta"),)
    lease = Lease("worker", NOW, NOW + timedelta(minutes=5))
    before = world.mailboxes.save(
        replace(
            world.mailboxes.rows[MAILBOX],
            state=MailboxState.NEEDS_RECONNECT,
            folders=folders,
            messages=12,
            removed=1,
            lease=lease,
            next_poll_at=None,
            not_before=NOW + timedelta(hours=2),
            last_error=LastError(NOW, "grant_revoked", "The grant was revoked.", failures=4),
        )
    )
    world.now += timedelta(days=1)
    world.directory.grant = grant(
        refresh_token="another", id_token_claims=claims(exp=int(world.now.timestamp()) + 60), expires_at=world.now
    )
    world.me.profile = replace(world.me.profile, display_name="Offers 2")
    world.walk()
    after = world.mailboxes.rows[MAILBOX]
    assert world.vault.secrets[MAILBOX].refresh_token == "another"
    assert after == replace(
        before,
        granted_at=world.now,
        state=MailboxState.ACTIVE,
        display_name="Offers 2",
        next_poll_at=world.now,
        last_error=None,
        lease=None,
        version=after.version,
        due_key=after.due_key,
    )


def test_a_domain_admits_and_pins_the_tenant_of_the_first():
    world = SignIn(Account("shop", "The Shop", domains=("shop.example",)))
    world.walk()
    assert world.accounts.rows["shop"].tenant_ids == {"shop.example": TENANT}
    world.directory.grant = grant(id_token_claims=claims(tid=OTHER_TENANT))
    with pytest.raises(Rejected, match="wrong_tenant"):
        world.walk()
    assert list(world.mailboxes.rows) == list(world.vault.secrets) == [MAILBOX]


def test_an_exact_address_is_pinned_to_the_user_of_the_first_connection():
    world = SignIn()
    world.walk()
    assert world.accounts.rows["shop"].mailbox_ids == {"offers@shop.example": MAILBOX}
    profile = world.me.profile
    world.directory.grant = grant(id_token_claims=claims(tid=OTHER_TENANT))
    with pytest.raises(Rejected, match="wrong_user"):
        world.walk()
    world.directory.grant = grant()
    world.me.profile = replace(profile, user_id=OTHER_USER)
    with pytest.raises(Rejected, match="wrong_user"):
        world.walk()
    assert list(world.mailboxes.rows) == list(world.vault.secrets) == [MAILBOX]
    world.accounts.release("shop", "offers@shop.example")
    world.walk()
    assert f"{TENANT}-{OTHER_USER}" in world.mailboxes.rows
    world.me.profile = profile
    with pytest.raises(Rejected, match="wrong_user"):
        world.walk()


@pytest.mark.parametrize("domain", ["shоp.example", "ｓhop.example", "shop。example", "münchen.example"])
def test_a_user_name_that_is_not_ascii_in_its_domain_is_refused(domain):
    world = SignIn(Account("shop", "The Shop", domains=("shop.example", "münchen.example")))
    world.me.profile = replace(world.me.profile, address=f"offers@{domain}")
    with pytest.raises(Rejected, match="odd_address"):
        world.walk()
    assert world.nothing_stored()
    assert world.accounts.rows["shop"].tenant_ids == {}


def test_an_exact_address_beats_a_domain_and_pins_no_tenant():
    world = SignIn(
        Account("wide", "Wide", domains=("shop.example",)),
        Account("exact", "Exact", addresses=("OFFERS@shop.example",)),
    )
    world.walk()
    assert world.mailboxes.rows[MAILBOX].account_id == "exact"
    assert world.accounts.rows["wide"].tenant_ids == {}


def test_an_inbox_is_never_moved_to_another_account():
    world = SignIn()
    world.walk()
    other = Account("other", "Other", addresses=("new@shop.example",))
    world.accounts.add(other)
    world.me.profile = replace(world.me.profile, address="new@shop.example")
    world.directory.grant = grant(refresh_token="another")
    with pytest.raises(Rejected, match="other_account"):
        world.walk()
    assert world.mailboxes.rows[MAILBOX].account_id == "shop"
    assert world.vault.secrets[MAILBOX].refresh_token == "the-refresh-token"


def test_two_people_who_connect_one_inbox_at_once_end_as_one():
    world = SignIn()
    sign_ins = [world.start() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        finished = list(pool.map(lambda pair: world.connector.finish(answer(pair[0]), pair[1]), sign_ins))
    assert {each.mailbox_id for each in finished} == {MAILBOX}
    assert list(world.mailboxes.rows) == list(world.vault.secrets) == [MAILBOX]
    assert len(world.mailboxes.schedule) == 1


def test_a_record_that_others_keep_writing_is_retried_and_then_put_off(monkeypatch):
    world = SignIn()
    attempts = []

    def stale(mailbox):
        attempts.append(mailbox)
        raise StaleWrite("busy")

    monkeypatch.setattr(world.mailboxes, "save", stale)
    with pytest.raises(RetryLater, match="mailbox_busy"):
        world.walk()
    assert 1 < len(attempts) <= 10


def test_a_hint_that_fails_does_not_spoil_the_connection():
    world = SignIn()
    world.queue.failure = RetryLater("storage_busy", "The queue is busy.")
    world.walk()
    assert [entry.mailbox_id for entry in all_due(world.mailboxes, NOW)] == [MAILBOX]


def test_without_tokens_in_the_vault_there_is_no_mailbox():
    world = SignIn()
    world.vault.failure = RetryLater("key_vault_busy", "Key Vault is busy.", 3)
    with pytest.raises(RetryLater):
        world.walk()
    assert not world.mailboxes.rows
    assert not world.queue.sent


def test_nothing_secret_stands_in_a_table_a_hint_a_log_or_a_repr(caplog):
    caplog.set_level(logging.DEBUG)
    world = SignIn()
    state, cookie = world.start()
    pending = repr(world.signins.rows) + "".join(f"{r.key}{r.payload}" for r in world.signins.rows.values())
    finished = world.connector.finish(answer(state), cookie)
    kept = "".join(f"{r.key}{r.payload}" for r in world.signins.rows.values())
    seen = pending + kept + repr((world.mailboxes.rows, world.queue.sent, finished)) + caplog.text
    for secret in (*SECRETS, state, cookie, finished.cookie):
        assert secret not in seen
    assert "mailbox_connected" in caplog.text
    assert "@" not in caplog.text
