"""Access tokens: kept in memory while they live, renewed from the refresh token in the vault.

A renewal is written only over the token that it came of: a consent that the owner has given meanwhile stays. One that
the vault does not take is kept in memory, and nothing is redeemed again before it is saved.
"""

import uuid
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from threading import Lock

from mailsync.clock import Clock
from mailsync.errors import MailsyncError, Misconfigured, ReconnectRequired
from mailsync.mailboxes.hold import Change
from mailsync.mailboxes.records import Mailbox
from mailsync.reasons import Reason
from mailsync.telemetry import Event, emit
from mailsync.tokens.ports import Directory, TokenVault
from mailsync.tokens.records import Grant, StoredToken

_MARGIN = timedelta(minutes=5)  # a token that ends during a request is of no use
_CAPACITY = 5_000  # of about 2 KB each

RETRY = 60.0
"""Seconds after which the vault is asked again to take a token."""

_HELD = timedelta(minutes=15)
"""How long the mailbox waits for the instance that has its token in memory; then that instance is taken for dead."""


@dataclass(frozen=True, slots=True)
class _Unsaved:
    """A renewal that the vault has not taken, and the refresh token that it came of."""

    redeemed: str = field(repr=False)
    token: StoredToken


class TokenKeeper:
    """Gives access tokens by mailbox id. Safe for threads.

    Call it under the mailbox's lease only: two renewals at once would race to write the secret.
    `instance`: names this keeper among those of other processes.
    """

    def __init__(self, directory: Directory, vault: TokenVault, clock: Clock, capacity: int = _CAPACITY) -> None:
        self._directory = directory
        self._vault = vault
        self._clock = clock
        self._capacity = capacity
        self._grants: OrderedDict[str, Grant] = OrderedDict()
        self._unsaved: dict[str, _Unsaved] = {}
        self._lock = Lock()
        self.instance = uuid.uuid4().hex

    def token(self, mailbox_id: str, lasting: timedelta = _MARGIN) -> str:
        """An access token good for five minutes at the least, or for `lasting`. Raises what `fresh` raises."""
        with self._lock:
            grant = self._grants.get(mailbox_id)
            if grant and grant.expires_at - lasting > self._clock():
                self._grants.move_to_end(mailbox_id)
                return grant.access_token
        return self.fresh(mailbox_id)

    def fresh(self, mailbox_id: str) -> str:
        """A new access token, whatever is in memory. A rotated refresh token is saved before it is used.

        Where the vault does not take it, the access token that came with it is good all the same.
        Raises ReconnectRequired, Rejected, Misconfigured, RetryLater.
        """
        self.save_renewal(mailbox_id)
        stored = self._vault.load(mailbox_id)
        if stored is None:
            raise ReconnectRequired(
                Reason.TOKEN_MISSING, "no token is stored for this mailbox; its owner must connect it"
            )
        grant = self._directory.refresh(stored.refresh_token)
        with self._lock:
            self._grants[mailbox_id] = grant
            while len(self._grants) > self._capacity:
                self._grants.popitem(last=False)
        if grant.refresh_token and grant.refresh_token != stored.refresh_token:
            renewed = StoredToken(
                refresh_token=grant.refresh_token, scopes=tuple(sorted(grant.scopes)), saved_at=self._clock()
            )
            with self._lock:
                self._unsaved[mailbox_id] = _Unsaved(stored.refresh_token, renewed)
            self._try_to_save(mailbox_id)
        return grant.access_token

    def save_renewal(self, mailbox_id: str) -> None:
        """Saves a renewal that the vault has not taken yet; nothing to do where there is none.

        Raises RetryLater, Misconfigured, ReconnectRequired: the renewal stays in memory then, to be saved another time.
        """
        with self._lock:
            pending = self._unsaved.get(mailbox_id)
        if pending is None:
            return
        current = self._vault.load(mailbox_id)
        # Any other token is of a later consent, and a secret that is gone was deleted: both count more.
        if current is not None and current.refresh_token == pending.redeemed:
            self._vault.save(mailbox_id, pending.token)
        with self._lock:
            if self._unsaved.get(mailbox_id) is pending:
                del self._unsaved[mailbox_id]

    def noted(self, mailbox_id: str) -> Change:
        """The change by which a run's end notes whether this instance alone has the mailbox's newest token.

        The vault is asked once more before, because the lease is about to be given back.
        """
        if self._try_to_save(mailbox_id):
            return partial(replace, token_holder="", token_held_until=None)
        return partial(replace, token_holder=self.instance, token_held_until=self._clock() + _HELD)

    def is_held_elsewhere(self, mailbox: Mailbox) -> bool:
        """Whether another instance, which may be alive, has the mailbox's newest token in memory alone."""
        until = mailbox.token_held_until
        return until is not None and self._clock() < until and mailbox.token_holder != self.instance

    def forget(self, mailbox_id: str) -> None:
        """Drops the tokens in memory, an unsaved one too: the grant has ended."""
        with self._lock:
            self._grants.pop(mailbox_id, None)
            self._unsaved.pop(mailbox_id, None)

    def _try_to_save(self, mailbox_id: str) -> bool:
        """Whether nothing is left to be saved."""
        try:
            self.save_renewal(mailbox_id)
        except MailsyncError as error:
            emit(Event.TOKEN_UNSAVED, mailbox=mailbox_id, reason=error.reason, detail=error.message)
            if isinstance(error, Misconfigured):
                emit(Event.MISCONFIGURED, mailbox=mailbox_id, reason=error.reason, detail=error.message)
            return False
        return True
