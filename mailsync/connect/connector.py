"""Connects an inbox: from the consent button to tokens in the vault and a first sync in the queue.

A sign-in is remembered twice and can be finished only where both halves meet: the table holds MSAL's flow,
sealed, under the hash of `state`; the browser holds the key to it in a cookie. The record is taken before the
code is redeemed, so an answer works once.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import msgspec

from mailsync import optimistic
from mailsync.accounts.ports import AccountStore
from mailsync.accounts.records import Account
from mailsync.accounts.rules import normal_address
from mailsync.clock import Clock
from mailsync.connect.id_token import check_grant, check_profile, checked_tenant
from mailsync.connect.seal import SECRET_BYTES, record_key, seal, secret_text, unseal
from mailsync.errors import Attempt, LicenseLapsed, MailsyncError, Rejected, RetryLater
from mailsync.mailboxes.hold import MailboxHold
from mailsync.mailboxes.ids import mailbox_id
from mailsync.mailboxes.leases import Leases
from mailsync.mailboxes.ports import MailboxStore
from mailsync.mailboxes.records import Mailbox, MailboxState, Profile
from mailsync.one_time import OneTimeRecord, OneTimeStore
from mailsync.reasons import Reason
from mailsync.schedule.ports import HintQueue
from mailsync.schedule.records import Hint
from mailsync.settings import Settings
from mailsync.sync.ports import MailService, MailServiceFactory
from mailsync.telemetry import Event, Tallies, emit, new_reference
from mailsync.tokens.ports import Directory, TokenVault
from mailsync.tokens.records import AuthorizationRequest, Grant, StoredToken

LIFETIME = timedelta(minutes=10)
"""How long a pending sign-in and the page about its outcome live; Microsoft's code lives as long."""

_FLOW, _OUTCOME = "mailsync sign-in flow 1", "mailsync sign-in outcome 1"
_LONGEST = {"state": 512}
_LONGEST_OTHER = 16_384
"""Characters of a field of Microsoft's answer, at the most: of those in _LONGEST, and of any other."""

_WRITE_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Started:
    """A sign-in has begun: send the browser to `url` with `cookie`, which it must bring back within LIFETIME."""

    url: str = field(repr=False)
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """An inbox is connected; `cookie` opens the page about it for LIFETIME."""

    mailbox_id: str
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """What the page after connecting tells: the mailbox as it is now, and whose it is."""

    mailbox: Mailbox
    account_name: str


@dataclass(frozen=True, slots=True)
class Connector:
    """The use case. Errors are MailsyncErrors with the reasons that `auth_callback/refusals.py` explains."""

    settings: Settings
    _: KW_ONLY
    directory: Directory
    mail: MailServiceFactory
    vault: TokenVault
    mailboxes: MailboxStore
    accounts: AccountStore
    signins: OneTimeStore
    queue: HintQueue
    clock: Clock
    random: Callable[[int], bytes] = secrets.token_bytes
    refusals: Tallies = field(default_factory=partial(Tallies, burst=5))
    sleep: Callable[[float], None] = time.sleep

    def start(self) -> Started:
        """Begins a sign-in. Raises RetryLater, Misconfigured."""
        request = self.directory.begin(self.settings.redirect_uri)
        cookie = self._remember(_FLOW, msgspec.json.encode(dict(request.flow)), of=request)
        return Started(request.url, cookie)

    def finish(self, answer: Mapping[str, str], cookie: str | None) -> Finished:
        """Turns Microsoft's answer (the fields of its form_post) into a connected inbox.

        Raises Rejected, RetryLater, ReconnectRequired, Misconfigured; the owner may begin again at any time. After a
        Rejected, neither a token nor a mailbox is stored, and the sign-in is used up if its cookie was the right one.
        The error's `attempt` has what is known by then of who signed in.
        """
        attempt = Attempt(new_reference(self.random))
        try:
            return self._finish(answer, cookie, attempt)
        except MailsyncError as error:
            error.attempt = attempt
            reason, reference = error.reason, attempt.reference
            self.refusals.emit(Event.CONNECT_REFUSED, reason, reason=reason, reference=reference, detail=error.message)
            raise

    def connection(self, cookie: str | None) -> Connection | None:
        """The inbox that the sign-in of `cookie` has connected; None where no such sign-in is known any more."""
        record = self.signins.get(record_key(cookie)) if cookie else None
        if record is None or record.expires_at <= self.clock():
            return None
        mailbox = self.mailboxes.get(unseal(cookie, _OUTCOME, record.payload).decode())
        account = self.accounts.get(mailbox.account_id) if mailbox else None
        return Connection(mailbox, account.name) if mailbox and account else None

    def _finish(self, answer: Mapping[str, str], cookie: str | None, attempt: Attempt) -> Finished:
        flow = self._take_flow(answer, cookie)
        attempt.granted = "code" in answer  # which Entra gives once consent is on its record
        grant = self.directory.complete(flow, answer)
        attempt.tenant = tenant = checked_tenant(grant.id_token_claims, self.settings, self.clock())
        refresh_token = check_grant(grant)
        mail = self.mail(lambda: grant.access_token)
        profile = mail.me()
        attempt.address = profile.address
        check_profile(profile, grant.id_token_claims)
        _check_inbox(mail)
        identity = _identity(tenant, profile)
        known = self.mailboxes.get(identity)
        account = self._account(identity, known, profile, tenant)
        reconnected = self._keep(identity, known, account, profile, _stored(refresh_token, grant, self.clock()))
        self._hint(identity)
        emit(Event.MAILBOX_CONNECTED, mailbox=identity, account=account.id, reconnected=reconnected)
        return Finished(identity, self._remember(_OUTCOME, identity.encode()))

    def _take_flow(self, answer: Mapping[str, str], cookie: str | None) -> dict[str, object]:
        _check_size(answer)
        state = answer.get("state", "")
        record = self.signins.get(record_key(state)) if state else None
        if record is None:
            raise Rejected(Reason.SIGN_IN_UNKNOWN, "No sign-in is waiting for this answer, or it was used already.")
        if record.expires_at <= self.clock():
            raise Rejected(Reason.SIGN_IN_EXPIRED, "The sign-in took longer than ten minutes.")
        flow = unseal(cookie, _FLOW, record.payload)
        if not self.signins.take(record):
            raise Rejected(Reason.SIGN_IN_UNKNOWN, "This answer was used a moment ago.")
        return msgspec.json.decode(flow, type=dict[str, object])

    def _account(self, identity: str, known: Mailbox | None, profile: Profile, tenant: str) -> Account:
        claim = self.accounts.claimed_by(profile.address.strip().lower())
        if claim is None:
            raise Rejected(Reason.NO_ACCOUNT, "No Siftrock account expects this inbox.")
        account, domain = claim
        _check_owner(known, account)
        # The first who connects by a claim has it; whoever else comes with its name later is somebody else, such as
        # the next owner of a domain or of a user name that became free.
        if domain is None:
            address = normal_address(profile.address)
            pinned = account.mailbox_ids.get(address) or self.accounts.pin_mailbox(account.id, address, identity)
            if pinned != identity:
                raise Rejected(Reason.WRONG_USER, "The inbox's address was first connected by another user.")
        else:
            pinned = account.tenant_ids.get(domain) or self.accounts.pin_tenant(account.id, domain, tenant)
            if pinned.lower() != tenant:
                raise Rejected(Reason.WRONG_TENANT, "The inbox's domain was first connected from another organization.")
        return account

    def _keep(
        self, identity: str, known: Mailbox | None, account: Account, profile: Profile, token: StoredToken
    ) -> bool:
        """Writes token and record, whoever else writes them meanwhile. Returns whether the mailbox was known.

        Tokens first: a record without tokens would be polled in vain, tokens without a record only lie there.
        A mailbox that is known already is written under its lease, because a run may be about to save a token that it
        has renewed from an older consent.
        """

        def save(mailbox: Mailbox | None) -> bool:
            if mailbox is None:
                self.vault.save(identity, token)
                self.mailboxes.save(_connected(None, identity, account, profile, self.clock()))
            else:
                self._renew(Leases(self.mailboxes, self.clock, self.sleep).take(identity), account, profile, token)
            return mailbox is not None

        reread = partial(self.mailboxes.get, identity)
        contended = RetryLater(Reason.MAILBOX_BUSY, "The mailbox's record is being written by others.")
        return optimistic.write(known, save, reread, contended=contended, tries=_WRITE_ATTEMPTS)

    def _renew(self, hold: MailboxHold, account: Account, profile: Profile, token: StoredToken) -> None:
        try:
            _check_owner(hold.mailbox, account)
            self.vault.save(hold.mailbox.id, token)
        except MailsyncError:
            hold.release()
            raise
        now = self.clock()
        hold.release(lambda mailbox: _connected(mailbox, mailbox.id, account, profile, now))

    def _hint(self, identity: str) -> None:
        try:
            self.queue.send(Hint(identity, self.clock()))
        except MailsyncError as error:
            # The mailbox is due already, so the next tick of the poll timer sends the hint.
            emit(Event.SYNC_DEFERRED, mailbox=identity, reason=error.reason, detail=error.message)

    def _remember(self, label: str, content: bytes, of: AuthorizationRequest | None = None) -> str:
        """Stores a sealed record, under `state` or else under the cookie itself. Returns the cookie."""
        cookie = secret_text(self.random(SECRET_BYTES))
        key = record_key(of.state if of else cookie)
        self.signins.put(OneTimeRecord(key, seal(cookie, label, content), self.clock() + LIFETIME))
        return cookie


def _check_size(answer: Mapping[str, str]) -> None:
    if any(len(value) > _LONGEST.get(name, _LONGEST_OTHER) for name, value in answer.items()):
        raise Rejected(Reason.BAD_ANSWER, "The answer is longer than any that Microsoft gives.")


def _check_inbox(mail: MailService) -> None:
    """A user without a mailbox is told here, and not by a sync that nobody sees."""
    try:
        mail.folder_id("inbox")
    except LicenseLapsed as error:
        # Whoever has no licence yet has no mailbox yet; a mailbox that once was read may get its licence back.
        raise Rejected(Reason.MAILBOX_NOT_ENABLED, error.message) from error


def _identity(tenant: str, profile: Profile) -> str:
    try:
        return mailbox_id(tenant, profile.user_id)
    except ValueError as error:
        raise Rejected(Reason.IDENTITY_MISMATCH, "Microsoft's answer names no user id.") from error


def _check_owner(mailbox: Mailbox | None, account: Account) -> None:
    # Moving an inbox, with all that was read of it, to another account is the operator's decision.
    if mailbox and mailbox.account_id != account.id:
        raise Rejected(Reason.OTHER_ACCOUNT, "The inbox is already connected to another Siftrock account.")


def _stored(refresh_token: str, grant: Grant, now: datetime) -> StoredToken:
    return StoredToken(refresh_token=refresh_token, scopes=tuple(sorted(grant.scopes)), saved_at=now)


def _connected(existing: Mailbox | None, identity: str, account: Account, profile: Profile, now: datetime) -> Mailbox:
    """The record after connecting. A known mailbox keeps its folders, cursors, counts and throttling.

    The day's wait for a licence ends, since Graph has just let the app in.
    """
    mailbox = existing or Mailbox(id=identity, account_id=account.id, address=profile.address, connected_at=now)
    return replace(
        mailbox,
        address=profile.address,
        mail=profile.mail,
        display_name=profile.display_name,
        state=MailboxState.ACTIVE,
        granted_at=now,
        next_poll_at=now,
        not_before=None if mailbox.problem == Reason.LICENSE_LAPSED else mailbox.not_before,
        denied_since=None,
        denials=0,
        last_error=None,
        token_holder="",
        token_held_until=None,
    )
