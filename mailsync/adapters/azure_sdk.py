"""What the Azure SDK clients share: connections, timeouts, bounded retries, the identity, and errors.

Imports the SDK, which is heavy: the adapters import this module when they are built, not before.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import requests
import requests.utils
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import RequestsTransport

from mailsync.adapters.deadlines import DeadlineAdapter, Session
from mailsync.adapters.http import retry_after
from mailsync.errors import MailsyncError, Misconfigured, Rejected, RetryLater, StaleWrite, Throttled
from mailsync.reasons import Reason

if TYPE_CHECKING:
    from mailsync.adapters.azure_identity import Identity

CONNECT_TIMEOUT = 10
"""Seconds to connect."""
READ_TIMEOUT = 20
"""Seconds between two bytes of an answer; a whole answer has `deadlines.PATIENCE` times as long."""
RETRIES = 3
"""Attempts after the first, by the SDK's own policy."""
LONGEST_WAIT = 10
"""Seconds that a thread waits because a service asks for it, at the most. A longer wait is spent on the queue."""

type Service = Literal["storage", "key_vault"]
"""The service whose answers and errors are converted."""


class _Reasons(NamedTuple):
    throttled: Reason
    unavailable: Reason
    forbidden: Reason
    missing: Reason
    refused: Reason


_REASONS: dict[Service, _Reasons] = {
    "storage": _Reasons(
        Reason.STORAGE_THROTTLED,
        Reason.STORAGE_UNAVAILABLE,
        Reason.STORAGE_FORBIDDEN,
        Reason.STORAGE_MISSING,
        Reason.STORAGE_REFUSED,
    ),
    "key_vault": _Reasons(
        Reason.KEY_VAULT_THROTTLED,
        Reason.KEY_VAULT_UNAVAILABLE,
        Reason.KEY_VAULT_FORBIDDEN,
        Reason.KEY_VAULT_MISSING,
        Reason.KEY_VAULT_REFUSED,
    ),
}

_WAITS = ("Retry-After", "retry-after-ms", "x-ms-retry-after-ms")
"""Headers by which the SDK's retry policies wait."""

_BUSY = {408, 429, 500, 502, 503, 504}


class Transport(RequestsTransport):  # type: ignore[misc]  # the SDK exports it untyped
    """The SDK's transport on the process's one session, which raises RetryLater for a wait over LONGEST_WAIT.

    The SDK's retry policies sleep for as long as an error's Retry-After says, whatever the status and without a limit
    of their own, and fall over one that they cannot read. So they see only that of a busy service, within the limit.
    """

    def __init__(
        self, service: Service, connect_timeout: int = CONNECT_TIMEOUT, read_timeout: int = READ_TIMEOUT
    ) -> None:
        super().__init__(
            session=session(), session_owner=False, connection_timeout=connect_timeout, read_timeout=read_timeout
        )
        self._service = service

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Sends one request."""
        response = stay(super().send(request, **kwargs))
        status = response.status_code
        if status >= 400:
            seconds = _retry_after(response)
            for name in _WAITS:
                response.headers.pop(name, None)
            if seconds is not None and (status in _BUSY or status >= 500):
                if seconds > LONGEST_WAIT:
                    raise _busy(self._service, status, seconds)
                response.headers["Retry-After"] = str(seconds)
        return response


def stay(response: Any) -> Any:
    """The response without the address that it would lead to.

    The SDK's policies follow it to any host, with the body of the request, which may be a refresh token, and what comes
    from there would count as the service's word. None of these services redirects.
    """
    response.headers.pop("Location", None)
    return response


@cache
def credential(client_id: str, kind: str = "managedidentity") -> "Identity":
    """The managed identity of this client id ("": the system-assigned one); it keeps its tokens in memory.

    `azurecli`: who is signed in to the Azure CLI on this machine: an operator, or who develops here.
    """
    from mailsync.adapters.azure_identity import Identity

    return Identity(client_id, kind)


def authorities() -> str:
    """The file of certificate authorities that `requests` trusts, for clients that do not use `requests`."""
    verify = session().merge_environment_settings("https://", {}, None, None, None)["verify"]
    return requests.utils.DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)


@contextmanager
def converted(service: Service) -> Iterator[None]:
    """Turns the SDK's errors into the program's; with the reasons of `service`."""
    try:
        yield
    except AzureError as error:
        raise convert(error, service) from error


def convert(error: AzureError, service: Service) -> MailsyncError:
    """The program's error for one of the SDK's. Its text holds codes only: the SDK's own may quote data."""
    response: Any = error.response if isinstance(error, HttpResponseError) else None
    if response is None:
        if isinstance(error, ClientAuthenticationError):
            return RetryLater(
                Reason.IDENTITY_UNAVAILABLE, "The managed identity gave no token; is AZURE_CLIENT_ID right?"
            )
        return RetryLater(_REASONS[service].unavailable, f"No answer from {service} ({type(error).__name__}).")
    status = response.status_code or 0
    if 200 <= status < 300:
        return RetryLater(_REASONS[service].unavailable, f"{service} gave an answer that cannot be read.")
    if isinstance(error, ClientAuthenticationError) and status < 500 and status not in _BUSY:
        status = 403
    return refusal(service, status, code_of(error), response.headers)


def refusal(service: Service, status: int, code: str, headers: Mapping[str, str]) -> MailsyncError:
    """The program's error for an answer of this status, with the service's own code."""
    reasons = _REASONS[service]
    if status in _BUSY or status >= 500:
        return _busy(service, status, retry_after(headers, datetime.now(UTC)))
    if status in (401, 403):
        return Misconfigured(reasons.forbidden, f"{service} refused the app ({code}); check its role assignments.")
    if status == 404:
        return Misconfigured(reasons.missing, f"{service} lacks a table, queue or container ({code}).")
    if status in (409, 412):
        return StaleWrite(f"{service} holds another version ({code})")
    return Rejected(reasons.refused, f"{service} did not accept the request ({status}, {code}).")


def _retry_after(response: Any) -> float | None:
    return retry_after(response.headers, datetime.now(UTC))


def _busy(service: Service, status: int, seconds: float | None) -> RetryLater:
    said = f"{service} answered {status}."
    if status == 429:
        return Throttled(_REASONS[service].throttled, said, seconds)
    return RetryLater(_REASONS[service].unavailable, said, seconds)


def code_of(error: AzureError) -> str:
    """The service's own error code, such as `TableNotFound`; of Key Vault's the inner one, `SecretDisabled`."""
    code = getattr(error, "error_code", None)
    told = getattr(error, "error", None)
    if code is None and told is not None:
        inner = getattr(told, "innererror", None)
        code = (inner.get("code") if isinstance(inner, Mapping) else None) or getattr(told, "code", None)
    text = str(getattr(code, "value", code))
    return text if code and text.isalnum() and text.isascii() else "no code"


@cache
def session() -> requests.Session:
    """The process's one session for the SDK's clients."""
    shared = Session()
    for scheme in ("https://", "http://"):  # the identity endpoint of a real instance is plain HTTP on its loopback
        shared.mount(scheme, DeadlineAdapter(pool_connections=8, pool_maxsize=32))
    # The SDK sets the header itself; with an `auth` present, requests does not look into .netrc files for another.
    shared.auth = _unchanged
    return shared


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
