"""`TokenVault` on Azure Key Vault: one secret a mailbox.

https://learn.microsoft.com/rest/api/keyvault/secrets/operation-groups
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from mailsync.errors import Misconfigured, ReconnectRequired, RetryLater
from mailsync.models import StoredToken
from mailsync.settings import Settings, is_loopback
from mailsync.telemetry import Event, emit

CONTENT_TYPE = "application/vnd.siftrock.mailbox-token+json; version=1"
TAGS = {"app": "siftrock-inbox-connector"}
"""Tags are shown in lists, so nothing about the owner is among them."""

MOST_BYTES = 25_000
"""Size of a secret's value; https://learn.microsoft.com/azure/key-vault/secrets/about-secrets ."""

_PAUSES = (0.0, 1.0, 2.0, 4.0)
"""Seconds before each attempt to write a name that Key Vault is still deleting or recovering."""

_RECOVERY = 20
"""Seconds to wait for a recovery, which takes a few."""


class KeyVaultTokenVault:
    """Refresh tokens. Threads may share it.

    Key Vault has no conditional write: whoever saves holds the mailbox's lease.
    """

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        from azure.keyvault.secrets import SecretClient

        from mailsync.adapters.azure_sdk import LONGEST_WAIT, RETRIES, Transport, credential

        self._sleep = sleep
        self._client = SecretClient(
            settings.key_vault_url,
            credential(settings.identity_client_id),
            verify_challenge_resource=not is_loopback(settings.key_vault_url),
            transport=Transport("key_vault"),
            retry_total=RETRIES,
            retry_backoff_max=LONGEST_WAIT,
        )

    def load(self, mailbox_id: str) -> StoredToken | None:
        """One call. Raises ReconnectRequired where the secret is not one that this program wrote.

        https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
        """
        from azure.core.exceptions import ResourceNotFoundError

        with _converted():
            try:
                value = self._client.get_secret(_name(mailbox_id)).value
            except ResourceNotFoundError:
                return None
        try:
            token = msgspec.json.decode(value or "", type=StoredToken)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise ReconnectRequired("token_unreadable", "The mailbox's secret is not readable.") from error
        if token.version != 1:
            raise ReconnectRequired("token_unreadable", "The mailbox's secret is of a version not known here.")
        return token

    def save(self, mailbox_id: str, token: StoredToken) -> None:
        """One call, a few more where a secret of this name was deleted: it is recovered, then written over.

        https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret/set-secret
        """
        from azure.core.exceptions import ResourceExistsError

        name, value = _name(mailbox_id), msgspec.json.encode(token)
        if len(value) > MOST_BYTES:
            raise Misconfigured("token_too_large", f"The refresh token needs more than {MOST_BYTES} bytes.")
        for pause in _PAUSES:
            self._sleep(pause)
            with _converted():
                try:
                    self._client.set_secret(name, value.decode(), content_type=CONTENT_TYPE, tags=TAGS)
                except ResourceExistsError:
                    self._recover(name)
                else:
                    return
        raise RetryLater("key_vault_busy", "Key Vault is still deleting an older secret of this mailbox.", 10)

    def delete(self, mailbox_id: str) -> None:
        """One call; the secret is soft-deleted where the vault has it so.

        https://learn.microsoft.com/rest/api/keyvault/secrets/delete-secret/delete-secret
        """
        from azure.core.exceptions import ResourceNotFoundError

        with _converted():
            try:
                self._client.begin_delete_secret(_name(mailbox_id))
            except ResourceNotFoundError:
                return

    def _recover(self, name: str) -> None:
        """Recovers a soft-deleted secret. One that is still being deleted, or that is back, is left as it is.

        https://learn.microsoft.com/rest/api/keyvault/secrets/recover-deleted-secret/recover-deleted-secret
        """
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        try:
            self._client.begin_recover_deleted_secret(name).wait(_RECOVERY)
        except (ResourceNotFoundError, ResourceExistsError):
            return


def _name(mailbox_id: str) -> str:
    return f"mailbox-{mailbox_id}"


@contextmanager
def _converted() -> Iterator[None]:
    from mailsync.adapters.azure_sdk import converted

    try:
        with converted("key_vault"):
            yield
    except RetryLater as error:
        if error.reason == "key_vault_throttled":
            emit(Event.KEY_VAULT_THROTTLED, retry_after=error.retry_after)
        raise
