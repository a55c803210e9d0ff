"""Tokens of the app's own identity, with the errors of its endpoint in the program's own terms.

One classifier for whoever needs such a token: vault, storage, and the proof to Entra. azure-identity itself raises
one error for every answer that is not a token, and lets the JSON parser's out where the answer is a gateway's page.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from azure.core.credentials import AccessToken, AccessTokenInfo
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import AzureCliCredential, ManagedIdentityCredential

from mailsync.adapters.azure_sdk import CONNECT_TIMEOUT, LONGEST_WAIT, READ_TIMEOUT, RETRIES, session, stay
from mailsync.adapters.http import retry_after
from mailsync.errors import MailsyncError, Misconfigured, RetryLater
from mailsync.reasons import Reason


def is_passing(status: int) -> bool:
    """Whether an answer of the endpoint passes by itself: it is being updated (404, 410), busy, or away.

    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
    """
    return status in (404, 408, 410, 429) or status >= 500


class Identity:
    """A credential of azure-identity that raises RetryLater or Misconfigured, `identity_unavailable`, and no other.

    `client_id`: of the managed identity, "" for the system-assigned one. `kind`: `managedidentity`, or `azurecli`.
    """

    def __init__(self, client_id: str, kind: str = "managedidentity") -> None:
        self._credential: ManagedIdentityCredential | AzureCliCredential
        if kind == "azurecli":
            self._credential = AzureCliCredential(process_timeout=READ_TIMEOUT)
            self._remedy = "sign in with `az login`"
        else:
            self._credential = ManagedIdentityCredential(
                client_id=client_id or None,
                transport=_Transport(),
                retry_total=RETRIES,
                retry_backoff_max=LONGEST_WAIT,
            )
            self._remedy = "check AZURE_CLIENT_ID, and that the identity is assigned to the app"

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """As the SDK's clients call it."""
        with self._converted():
            token: AccessToken = self._credential.get_token(*scopes, **options)
        return token

    def get_token_info(self, *scopes: str, **options: Any) -> AccessTokenInfo:
        """As the SDK's newer clients call it."""
        with self._converted():
            token: AccessTokenInfo = self._credential.get_token_info(*scopes, **options)
        return token

    @contextmanager
    def _converted(self) -> Iterator[None]:
        try:
            yield
        except MailsyncError:
            raise
        except _Passing as error:
            raise RetryLater(Reason.IDENTITY_UNAVAILABLE, str(error)) from error
        except ClientAuthenticationError as error:
            raise Misconfigured(
                Reason.IDENTITY_UNAVAILABLE, f"The app's identity gave no token; {self._remedy}."
            ) from error
        except AzureError as error:
            raise RetryLater(
                Reason.IDENTITY_UNAVAILABLE, f"The identity endpoint is out of reach ({type(error).__name__})."
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise RetryLater(
                Reason.IDENTITY_UNAVAILABLE, "The identity endpoint gave an answer that cannot be read."
            ) from error


class _Passing(ServiceResponseError):
    """An answer that passes: the SDK's retry policy tries again on errors of this kind."""


class _Transport(RequestsTransport):  # type: ignore[misc]  # the SDK exports it untyped
    """Judges each answer by its status, before anybody reads a token out of it."""

    def __init__(self) -> None:
        super().__init__(
            session=session(), session_owner=False, connection_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT
        )

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Sends one request."""
        response = stay(super().send(request, **kwargs))
        status = response.status_code
        if status < 400:
            return response
        if not is_passing(status):
            raise Misconfigured(
                Reason.IDENTITY_UNAVAILABLE,
                f"The identity endpoint refused ({status}); check AZURE_CLIENT_ID, and that it is assigned.",
            )
        wait = retry_after(response.headers, datetime.now(UTC))
        if wait is not None and wait > LONGEST_WAIT:
            raise RetryLater(Reason.IDENTITY_UNAVAILABLE, f"The identity endpoint answered {status}.", wait)
        raise _Passing(f"The identity endpoint answered {status}.")
