"""Secrets of Azure Key Vault by name, with errors in the program's own terms.

https://learn.microsoft.com/rest/api/keyvault/secrets/operation-groups
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mailsync.errors import Misconfigured, RetryLater, Throttled
from mailsync.reasons import Reason
from mailsync.settings import Settings, is_loopback
from mailsync.telemetry import Event, emit

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError

TAGS = {"app": "siftrock-inbox-connector"}
"""Tags are shown in lists, so nothing about the owner is among them."""

MOST_BYTES = 25_000
"""Bytes of a secret's value, at the most: https://learn.microsoft.com/azure/key-vault/secrets/about-secrets."""

_MALFORMED = (ValueError, LookupError, TypeError, AttributeError)
"""What the SDK raises where an answer, or the challenge before it, has another form than it takes for granted."""

_PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt on a name that Key Vault is still deleting or recovering, which takes a few."""


class VaultSecrets:
    """The vault's secrets. Threads may share it.

    Key Vault has no conditional write: whoever sets a secret holds a lock on it elsewhere.
    `disabled`: the reason for a secret that somebody has disabled.
    """

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep, *, disabled: Reason) -> None:
        from azure.keyvault.secrets import SecretClient

        from mailsync.adapters.azure_sdk import LONGEST_WAIT, RETRIES, Transport, credential

        self._sleep = sleep
        self._disabled = disabled
        self._client = SecretClient(
            settings.key_vault_url,
            credential(settings.identity_client_id, settings.key_vault_credential),
            verify_challenge_resource=not is_loopback(settings.key_vault_url),
            transport=Transport("key_vault"),
            retry_total=RETRIES,
            retry_backoff_max=LONGEST_WAIT,
        )

    def get(self, name: str, within: float | None = None) -> str | None:
        """The newest value, None where there is no such secret. One call. Raises Misconfigured for a disabled one.

        `within`: seconds to connect, and again to each part of the answer, of a single attempt.

        https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
        """
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        options: dict[str, Any] = (
            {} if within is None else {"connection_timeout": within, "read_timeout": within, "retry_total": 0}
        )
        with _converted():
            try:
                return _text(self._client.get_secret(name, **options).value)
            except ResourceNotFoundError:
                return None
            except HttpResponseError as error:
                if _code(error) != "SecretDisabled":
                    raise
                text = f"The secret {name} is disabled in Key Vault; enable its newest version, or have it made anew."
                raise Misconfigured(self._disabled, text) from error

    def set(self, name: str, value: str, content_type: str) -> None:
        """One call, a few more where a secret of this name was deleted: it is recovered, then written over.

        https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret/set-secret
        """
        from azure.core.exceptions import ResourceExistsError

        for pause in _PAUSES:
            self._sleep(pause)
            with _converted():
                try:
                    self._client.set_secret(name, value, content_type=content_type, tags=TAGS)
                except ResourceExistsError:
                    self._recover(name)
                else:
                    return
        raise _busy(name)

    def delete(self, name: str) -> None:
        """One call; the secret is soft-deleted where the vault has it so. One that is not there is no error.

        A few more calls where Key Vault is still recovering it: it would be there again otherwise.

        https://learn.microsoft.com/rest/api/keyvault/secrets/delete-secret/delete-secret
        """
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        for pause in _PAUSES:
            self._sleep(pause)
            with _converted(), suppress(ResourceExistsError):
                with suppress(ResourceNotFoundError):
                    self._client.begin_delete_secret(name)
                return
        raise _busy(name)

    def _recover(self, name: str) -> None:
        """Begins to recover a soft-deleted secret. One that is still being deleted, or that is back, is left as it is.

        The SDK's poller is not asked to wait: it sleeps by itself, and the next attempt to write shows the end too.

        https://learn.microsoft.com/rest/api/keyvault/secrets/recover-deleted-secret/recover-deleted-secret
        """
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        with suppress(ResourceNotFoundError, ResourceExistsError):
            self._client.begin_recover_deleted_secret(name)


def _busy(name: str) -> RetryLater:
    return RetryLater(Reason.KEY_VAULT_BUSY, f"Key Vault is still deleting or recovering the secret {name}.", 10)


def _text(value: object) -> str:
    """The value. An answer without one is no word about the secret, and must not end the mailbox that it is of."""
    if not isinstance(value, str):
        raise TypeError("no value")
    return value


def _code(error: "AzureError") -> str:
    from mailsync.adapters.azure_sdk import code_of

    return code_of(error)


@contextmanager
def _converted() -> Iterator[None]:
    from mailsync.adapters.azure_sdk import converted

    try:
        with converted("key_vault"):
            yield
    except Throttled as error:
        emit(Event.KEY_VAULT_THROTTLED, retry_after=error.retry_after)
        raise
    except _MALFORMED as error:
        # Nothing is chained: the SDK's message may quote what it met, which may be a secret.
        message = f"Key Vault gave an answer that cannot be read ({type(error).__name__})."
        raise RetryLater(Reason.KEY_VAULT_UNAVAILABLE, message) from None
