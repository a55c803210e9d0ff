"""Letting a mailbox go, and its owner's coming back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailsync.errors import GraphUnavailable, Misconfigured, ReconnectRequired, Rejected, RetryLater
from mailsync.mailboxes.records import Lease, MailboxState, PushState
from mailsync.tokens.records import StoredToken
from tests.mailsync.world import BOX, START, World


def connected() -> World:
    world = World(folders=("inbox", "archive"))
    world.graph.deliver(START)
    world.hint()
    world.work()
    return world


def test_nothing_of_it_is_left_but_its_messages_and_its_place():
    world = connected()
    cursors = [folder.cursor for folder in world.mailbox.folders]
    assert world.disconnector.disconnect(BOX) == ""
    shown = world.mailbox
    assert (shown.state, shown.push.state) == (MailboxState.DISCONNECTED, PushState.OFF)
    assert (shown.lease, shown.next_poll_at, shown.not_before) == (None, None, None)
    assert [folder.subscription for folder in shown.folders] == [None, None]
    assert [folder.cursor for folder in shown.folders] == cursors
    assert not world.subscriptions.held
    assert not world.vault.secrets
    assert not world.mailboxes.schedule
    assert len(world.rows()) == 1


def test_a_hint_that_comes_after_changes_nothing():
    world = connected()
    world.disconnector.disconnect(BOX)
    world.forget()
    world.clock.advance(10)
    world.hint(pushed=True, created=("m",), removed=("s",))
    world.work()
    assert world.calls() == ["get"]


def test_twice_is_as_once():
    world = connected()
    world.disconnector.disconnect(BOX)
    first = world.mailbox
    world.vault.save(BOX, StoredToken(refresh_token="left", scopes=(), saved_at=world.clock()))
    assert world.disconnector.disconnect(BOX) == ""
    assert replace(world.mailbox, version=first.version) == first
    assert not world.vault.secrets


def test_a_subscription_that_no_record_knows_goes_too():
    world = connected()
    world.mailboxes.save(replace(world.mailbox, folders=()))
    world.disconnector.disconnect(BOX)
    assert not world.subscriptions.held


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GraphUnavailable("out"), "graph_unavailable"),
        (ReconnectRequired("grant_revoked", "withdrawn"), "grant_revoked"),
        (Misconfigured("no_app_credential", "not here"), "no_app_credential"),
        (None, "token_missing"),
    ],
)
def test_it_does_not_need_graph_or_a_grant_and_says_what_stays(error, reason):
    world = connected()
    if error:
        world.subscriptions.fail(error, times=9)
    else:
        world.vault.delete(BOX)
        world.tokens.forget(BOX)
    assert world.disconnector.disconnect(BOX) == reason
    first = world.mailbox
    assert first.state is MailboxState.DISCONNECTED
    assert not world.vault.secrets
    assert world.disconnector.disconnect(BOX) == reason
    assert replace(world.mailbox, version=first.version) == first


def test_it_waits_for_a_run_that_is_under_way():
    world = connected()
    started = world.clock()
    held = Lease("worker", started, started + timedelta(seconds=20))
    world.mailboxes.save(replace(world.mailbox, lease=held))
    world.disconnector.disconnect(BOX)
    assert timedelta(seconds=20) <= world.clock() - started < timedelta(seconds=25)


def test_it_does_not_wait_for_ever_and_leaves_all_as_it_was():
    world = connected()
    world.mailboxes.save(replace(world.mailbox, lease=Lease("worker", START, START + timedelta(hours=9))))
    with pytest.raises(RetryLater, match="mailbox_busy"):
        world.disconnector.disconnect(BOX)
    assert world.vault.secrets
    assert world.subscriptions.held


def test_an_unknown_mailbox_is_named():
    with pytest.raises(Rejected, match="unknown_mailbox"):
        World().disconnector.disconnect(BOX[::-1])


def test_a_vault_that_is_away_leaves_it_to_be_tried_again():
    world = connected()
    world.vault.failure = RetryLater("key_vault_unavailable", "out")
    with pytest.raises(RetryLater):
        world.disconnector.disconnect(BOX)
    assert (world.mailbox.state, world.mailbox.lease) == (MailboxState.ACTIVE, None)
    world.vault.failure = None
    world.disconnector.disconnect(BOX)
    assert world.mailbox.state is MailboxState.DISCONNECTED


def test_a_new_consent_goes_on_where_it_stopped():
    world = connected()
    world.disconnector.disconnect(BOX)
    message = world.graph.deliver(START + timedelta(minutes=5))
    world.clock.advance(600)
    now = world.clock()
    world.vault.save(BOX, StoredToken(refresh_token="new", scopes=(), saved_at=now))
    world.mailboxes.save(replace(world.mailbox, state=MailboxState.ACTIVE, granted_at=now, next_poll_at=now))
    world.forget()
    world.poll()
    assert message in world.rows()
    assert world.service.calls == ["follow_delta", "follow_delta"]
    assert world.mailbox.push.state is PushState.TRUSTED
    assert len(world.subscriptions.held) == 2


@pytest.mark.parametrize("token_survives", [True, False])
def test_an_owner_who_consents_meanwhile_is_not_disconnected(token_survives):
    world = connected()
    delete = world.vault.delete

    def consent(mailbox_id):
        delete(mailbox_id)
        now = world.clock()
        if token_survives:
            world.vault.save(BOX, StoredToken(refresh_token="new", scopes=(), saved_at=now))
        record = world.mailboxes.rows[BOX]
        world.mailboxes.save(replace(record, granted_at=now + timedelta(seconds=1), next_poll_at=now))

    world.vault.delete = consent
    world.disconnector.disconnect(BOX)
    assert world.mailbox.state is MailboxState.ACTIVE
    world.poll()
    expected = MailboxState.ACTIVE if token_survives else MailboxState.NEEDS_RECONNECT
    assert world.mailbox.state is expected


def test_a_consent_while_subscriptions_are_deleted_keeps_its_token():
    world = connected()
    forget, kept = world.tokens.forget, StoredToken(refresh_token="new", scopes=(), saved_at=START)

    def consent(mailbox_id):
        forget(mailbox_id)
        world.vault.save(BOX, kept)
        record = world.mailboxes.rows[BOX]
        world.mailboxes.save(replace(record, granted_at=world.clock() + timedelta(seconds=1)))

    world.tokens.forget = consent
    world.disconnector.disconnect(BOX)
    assert world.mailbox.state is MailboxState.ACTIVE
    assert world.vault.secrets[BOX] == kept
