"""`TokenVault` on Azure Key Vault: one secret a mailbox."""

import time
from collections.abc import Callable

import msgspec

from mailsync.adapters.key_vault.secrets import MOST_BYTES, VaultSecrets
from mailsync.errors import Misconfigured, ReconnectRequired
from mailsync.reasons import Reason
from mailsync.settings import Settings
from mailsync.tokens.records import StoredToken

CONTENT_TYPE = "application/vnd.siftrock.mailbox-token+json; version=1"

_PAUSES = (0.0, 1.0, 3.0)
"""Seconds before each attempt to read a secret that should be there."""


class KeyVaultTokenVault:
    """Refresh tokens. Threads may share it. Whoever saves holds the mailbox's lease."""

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._secrets = VaultSecrets(settings, sleep, disabled=Reason.TOKEN_DISABLED)
        self._sleep = sleep

    def load(self, mailbox_id: str) -> StoredToken | None:
        """One call; a few more where there is no secret: for seconds, one that is being recovered seems missing too.

        Raises ReconnectRequired where the secret is not one that this program wrote.
        """
        for pause in _PAUSES:
            self._sleep(pause)
            if (value := self._secrets.get(_name(mailbox_id))) is not None:
                break
        else:
            return None
        try:
            token = msgspec.json.decode(value, type=StoredToken)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise ReconnectRequired(Reason.TOKEN_UNREADABLE, "The mailbox's secret is not readable.") from error
        if token.version != 1:
            raise ReconnectRequired(Reason.TOKEN_UNREADABLE, "The mailbox's secret is of a version not known here.")
        return token

    def save(self, mailbox_id: str, token: StoredToken) -> None:
        """One call, a few more where a secret of this name was deleted: it is recovered, then written over."""
        value = msgspec.json.encode(token)
        if len(value) > MOST_BYTES:
            raise Misconfigured(Reason.TOKEN_TOO_LARGE, f"The refresh token needs more than {MOST_BYTES} bytes.")
        self._secrets.set(_name(mailbox_id), value.decode(), CONTENT_TYPE)

    def delete(self, mailbox_id: str) -> None:
        """One call; the secret is soft-deleted where the vault has it so."""
        self._secrets.delete(_name(mailbox_id))


def _name(mailbox_id: str) -> str:
    return f"mailbox-{mailbox_id}"
