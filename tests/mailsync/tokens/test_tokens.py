"""Refresh tokens that rotate: none is lost while this instance lives, none is redeemed twice, no consent is undone."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailsync.accounts.records import Account
from mailsync.errors import MailsyncError, Misconfigured, ReconnectRequired, RetryLater
from mailsync.mailboxes.records import Lease, MailboxState, Profile
from mailsync.schedule.records import Hint
from mailsync.tokens.records import Grant
from tests.fakes.mail_service import FakeMailService
from tests.fakes.stores import FakeAccountStore
from tests.mailsync.connect import sign_in
from tests.mailsync.turns import Turns
from tests.mailsync.world import BOX, START, TENANT, USER, World

REFUSED = RetryLater("key_vault_unavailable", "key_vault answered 503.")


class SingleUse:
    """`Directory` as far as the keeper needs it: a refresh token works once. `redeemed`: those that came, in order."""

    def __init__(self, clock):
        self._clock = clock
        self.redeemed = []

    def refresh(self, refresh_token):
        used = refresh_token in self.redeemed
        self.redeemed.append(refresh_token)
        if used:
            raise ReconnectRequired("grant_revoked", "The refresh token was redeemed already.")
        return Grant(
            f"access-{refresh_token}", self._clock() + timedelta(hours=1), f"{refresh_token}+", frozenset({"Mail.Read"})
        )


def single_use(**more):
    world = World(**more)
    world.directory = SingleUse(world.clock)
    world.app = world.instance()
    return world


def another_instance(world):
    """A second worker on the same services: a keeper of its own."""
    app = world.instance()
    return app.synchronizer, app.tokens


def test_a_renewal_that_the_vault_does_not_take_is_used_and_saved_later(caplog):
    world = single_use()
    world.vault.write_failure = REFUSED
    message = world.graph.deliver(START)
    world.hint()
    world.work_once()
    assert message in world.rows()
    assert world.vault.secrets[BOX].refresh_token == "refresh-0"
    assert world.mailbox.token_holder == world.tokens.instance
    assert f"token_unsaved mailbox={BOX} reason=key_vault_unavailable detail=" in caplog.text
    world.vault.write_failure = None
    world.work()
    assert world.vault.secrets[BOX].refresh_token == "refresh-0+"
    assert (world.mailbox.token_holder, world.mailbox.token_held_until) == ("", None)
    assert world.directory.redeemed == ["refresh-0"]


def test_a_short_fault_of_the_vault_is_over_before_the_lease_is_given_back():
    world = single_use()
    fail = iter([REFUSED])
    save = world.vault.save

    def once(mailbox_id, token):
        if error := next(fail, None):
            raise error
        save(mailbox_id, token)

    world.vault.save = once
    world.hint()
    world.work_once()
    assert world.vault.secrets[BOX].refresh_token == "refresh-0+"
    assert not world.mailbox.token_holder


@pytest.mark.parametrize("error", [REFUSED, Misconfigured("key_vault_forbidden", "key_vault refused the app.")])
def test_nothing_is_redeemed_while_a_renewal_is_unsaved(error):
    """Once the access token has ended the mailbox waits, and loses neither its grant nor its place."""
    world = single_use()
    world.vault.write_failure = error
    world.hint()
    world.work_once()
    for _ in range(3):
        world.clock.advance(3600)
        world.hint()
        world.work_once()
    assert world.directory.redeemed == ["refresh-0"]
    assert (world.mailbox.state, world.mailbox.problem) == (MailboxState.ACTIVE, error.reason)
    assert world.mailbox.not_before
    world.vault.write_failure = None
    message = world.graph.deliver(world.clock())
    world.work()
    assert message in world.rows()
    assert world.directory.redeemed == ["refresh-0", "refresh-0+"]
    assert world.vault.secrets[BOX].refresh_token == "refresh-0++"
    assert world.mailbox.state is MailboxState.ACTIVE


def test_a_vault_that_refuses_the_apps_writes_is_told_to_the_operator(caplog):
    world = single_use()
    world.vault.write_failure = Misconfigured("key_vault_forbidden", "key_vault refused the app; check its roles.")
    world.hint()
    world.work_once()
    assert f"misconfigured mailbox={BOX} reason=key_vault_forbidden" in caplog.text


def test_another_instance_leaves_the_mailbox_to_the_one_that_has_its_token():
    world = single_use()
    world.vault.write_failure = REFUSED
    world.hint()
    world.work_once()
    other, _ = another_instance(world)
    message = world.graph.deliver(world.clock())
    world.clock.advance(60)
    other.run(Hint(BOX, world.clock(), pushed=True, created=(message,)))
    assert world.directory.redeemed == ["refresh-0"]
    assert message not in world.rows()
    world.vault.write_failure = None
    world.work()
    assert message in world.rows()
    other.run(Hint(BOX, world.clock()))
    assert world.directory.redeemed == ["refresh-0", "refresh-0+"]
    assert world.mailbox.state is MailboxState.ACTIVE


def test_an_instance_that_does_not_come_back_is_taken_for_dead():
    """Entra takes the older token then; one that works once is lost, and there is nothing to be done."""
    world = single_use()
    world.vault.write_failure = REFUSED
    world.hint()
    world.work_once()
    world.vault.write_failure = None
    world.clock.advance(15 * 60)
    other, _ = another_instance(world)
    other.run(Hint(BOX, world.clock()))
    assert world.directory.redeemed == ["refresh-0", "refresh-0"]


def test_a_renewal_in_memory_yields_to_a_new_consent():
    world = single_use()
    world.vault.write_failure = REFUSED
    world.hint()
    world.work_once()
    world.vault.write_failure = None
    connector(world, "consent").walk()
    world.clock.advance(60)
    world.work()
    assert world.vault.secrets[BOX].refresh_token.startswith("consent")
    assert not world.mailbox.token_holder
    assert world.mailbox.state is MailboxState.ACTIVE


def test_a_renewal_in_memory_does_not_bring_back_a_secret_that_was_deleted():
    world = single_use()
    world.vault.write_failure = REFUSED
    world.hint()
    world.work_once()
    world.vault.write_failure = None
    world.disconnector.disconnect(BOX)
    world.clock.advance(3600)
    world.tokens.save_renewal(BOX)
    assert not world.vault.secrets


class Connecting:
    """An owner who consents to BOX, on the stores of a world. The code gives the refresh token `token`."""

    def __init__(self, world, token, sleep):
        self.world = world
        self.directory = sign_in.ScriptedDirectory()
        now = int(START.timestamp())
        claims = sign_in.claims(tid=TENANT, aud=world.app.settings.client_id, exp=now + 9_000_000)
        claims["iss"] = f"https://login.example/{TENANT}/v2.0"
        self.directory.grant = sign_in.grant(refresh_token=token, id_token_claims=claims)
        self.connector = world.instance(
            directory=self.directory,
            mail=sign_in.Me(Profile(USER, "owner@contoso.example")),
            accounts=FakeAccountStore(Account("acme", "Acme", addresses=("owner@contoso.example",))),
            sleep=sleep,
        ).connector

    def walk(self):
        started = self.connector.start()
        return self.connector.finish(sign_in.answer(started.url.partition("state=")[2]), started.cookie)


def connector(world, token, sleep=None):
    return Connecting(world, token, sleep or world.clock.advance)


def interleaved(order, *names, known=True):
    """Runs a sync, another instance's sync, and a consent (those named), their calls in the given order."""
    turns = Turns()
    world = single_use(connected=not known)
    if not known:
        world.vault.secrets.clear()
    for part, calls in (
        (world.mailboxes, ("get", "save")),
        (world.vault, ("load", "save", "delete")),
        (world.directory, ("refresh",)),
    ):
        for call in calls:
            setattr(part, call, turns.through(getattr(part, call)))
    other, _ = another_instance(world)
    owner = connector(world, "consent", lambda seconds: (turns.gate(), world.clock.advance(seconds)))
    # What came in between has its hint already; each hint is run once, as by a queue.
    second = connector(world, "another", lambda seconds: (turns.gate(), world.clock.advance(seconds)))
    works = {
        "second": second.walk,
        "sync": lambda: world.synchronizer.run(Hint(BOX, world.clock())),
        "other": lambda: other.run(Hint(BOX, world.clock())),
        "owner": owner.walk,
    }
    ended = turns.run({name: works[name] for name in names}, order)
    return world, ended, turns


def holds(world, ended):
    """The newest consent's token, or a renewal of it, is in the vault; and no token was redeemed twice."""
    assert all(problem is None or isinstance(problem, RetryLater) for problem in ended.values()), ended
    assert len(world.directory.redeemed) == len(set(world.directory.redeemed))
    given = {name for name, owner in (("consent", "owner"), ("another", "second")) if ended.get(owner, "none") is None}
    if given:
        assert world.vault.secrets[BOX].refresh_token.rstrip("+") in given
        assert world.mailbox.state is MailboxState.ACTIVE
        assert world.mailbox.granted_at


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("first", ["sync", "owner"])
def test_a_consent_outlasts_a_renewal_of_the_one_before_wherever_they_meet(first, known):
    """Every way in which one is interrupted once by the whole of the other, as far as the lease lets it."""
    second = "owner" if first == "sync" else "sync"
    for number in itertools.count():
        order = [first] * number + [second] * 200
        world, ended, turns = interleaved(order, "sync", "owner", known=known)
        holds(world, ended)
        if second in turns.steps[:number]:
            break  # the first had come to its end before
    assert number > (4 if known or first == "owner" else 1)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["sync", "other", "owner"]), max_size=60))
def test_in_no_order_is_a_consent_undone_or_a_token_redeemed_twice(order):
    world, ended, _ = interleaved(order, "sync", "other", "owner")
    holds(world, ended)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["sync", "second", "owner"]), max_size=60), st.booleans())
def test_two_people_may_consent_at_once(order, known):
    world, ended, _ = interleaved(order, "sync", "owner", "second", known=known)
    holds(world, ended)


def test_a_run_makes_room_for_whoever_waits():
    """A backlog is no reason to tell an owner who has just consented that we are busy."""
    pages = []

    class Interrupted(FakeMailService):
        def follow_delta(self, link, **more):
            if len(pages) == 3:
                reserved = world.clock() + timedelta(seconds=15)
                world.mailboxes.save(replace(world.mailboxes.rows[BOX], reserved_until=reserved))
            pages.append(link)
            world.clock.advance(0.5)
            return super().follow_delta(link, **more)

    world = single_use(service=Interrupted(page_size=1))
    for age in range(30):
        world.graph.deliver(START - timedelta(minutes=age))
    world.hint()
    world.work_once()
    assert len(pages) <= 9  # a second later at the latest, and what had been read ahead by then
    assert not world.mailbox.lease
    world.work()
    assert len(world.rows()) == 30


def test_an_owner_waits_for_the_lease_no_longer_than_a_dead_run_has_it():
    world = single_use()
    world.mailboxes.save(replace(world.mailbox, lease=held(world, 40)))
    connector(world, "consent").walk()
    assert world.vault.secrets[BOX].refresh_token == "consent"
    world.mailboxes.save(replace(world.mailbox, lease=held(world, 9_000)))
    with pytest.raises(MailsyncError, match="mailbox_busy"):
        connector(world, "later").walk()
    assert world.vault.secrets[BOX].refresh_token == "consent"


def held(world, seconds):
    return Lease("worker", world.clock(), world.clock() + timedelta(seconds=seconds))


def test_the_token_in_memory_does_not_show():
    world = single_use()
    world.vault.write_failure = REFUSED
    world.hint()
    world.work_once()
    assert "refresh-0" not in repr(vars(world.tokens))
    assert "StoredToken(" in repr(vars(world.tokens))
