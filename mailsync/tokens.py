"""Access tokens: kept in memory while they live, renewed from the refresh token in the vault."""

from collections import OrderedDict
from datetime import timedelta
from threading import Lock

from mailsync.errors import ReconnectRequired
from mailsync.models import Grant, StoredToken
from mailsync.ports import Clock, Directory, TokenVault

_MARGIN = timedelta(minutes=5)  # a token that ends during a request is of no use
_CAPACITY = 5_000  # of about 2 KB each


class TokenKeeper:
    """Gives access tokens by mailbox id. Safe for threads.

    Call it under the mailbox's lease only: two renewals at once would race to write the secret.
    """

    def __init__(self, directory: Directory, vault: TokenVault, clock: Clock, capacity: int = _CAPACITY) -> None:
        self._directory = directory
        self._vault = vault
        self._clock = clock
        self._capacity = capacity
        self._grants: OrderedDict[str, Grant] = OrderedDict()
        self._lock = Lock()

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

        Raises ReconnectRequired, Rejected, Misconfigured, RetryLater.
        """
        self.forget(mailbox_id)
        stored = self._vault.load(mailbox_id)
        if stored is None:
            raise ReconnectRequired("token_missing", "no token is stored for this mailbox; its owner must connect it")
        grant = self._directory.refresh(stored.refresh_token)
        if grant.refresh_token and grant.refresh_token != stored.refresh_token:
            renewed = StoredToken(
                refresh_token=grant.refresh_token, scopes=tuple(sorted(grant.scopes)), saved_at=self._clock()
            )
            self._vault.save(mailbox_id, renewed)
        with self._lock:
            self._grants[mailbox_id] = grant
            while len(self._grants) > self._capacity:
                self._grants.popitem(last=False)
        return grant.access_token

    def forget(self, mailbox_id: str) -> None:
        """Drops the token in memory."""
        with self._lock:
            self._grants.pop(mailbox_id, None)
