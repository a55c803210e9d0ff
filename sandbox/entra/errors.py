"""The errors of Entra.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

import uuid
from datetime import datetime
from typing import Any


class EntraError(Exception):
    """One refusal: the OAuth `error`, the AADSTS number, its sentence, the HTTP status, the `suberror`."""

    def __init__(self, error: str, code: int, message: str, *, status: int = 400, suberror: str | None = None) -> None:
        super().__init__(f"AADSTS{code}: {message}")
        self.error = error
        self.code = code
        self.message = message
        self.status = status
        self.suberror = suberror

    def body(self, now: datetime, correlation_id: str) -> dict[str, Any]:
        """The JSON body of the token endpoint."""
        trace_id, timestamp = str(uuid.uuid4()), now.strftime("%Y-%m-%d %H:%M:%SZ")
        description = (
            f"AADSTS{self.code}: {self.message} "
            f"Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
        )
        body: dict[str, Any] = {
            "error": self.error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
        }
        return body if self.suberror is None else body | {"suberror": self.suberror}


def missing(parameter: str) -> EntraError:
    """A required parameter is not there."""
    return EntraError(
        "invalid_request", 900144, f"The request body must contain the following parameter: '{parameter}'."
    )


def unknown_app(client_id: str) -> EntraError:
    """No such app registration."""
    return EntraError(
        "unauthorized_client", 700016, f"Application with identifier '{client_id}' was not found in the directory."
    )


def unknown_tenant(tenant: str) -> EntraError:
    """No such tenant."""
    return EntraError("invalid_tenant", 90002, f"Tenant '{tenant}' not found. Check that it is the correct tenant ID.")


def blocked_by_policy() -> EntraError:
    """A Conditional Access policy is in the way."""
    return EntraError(
        "interaction_required",
        53003,
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
        suberror="message_only",
    )


def grant_revoked() -> EntraError:
    """The consent, and every token that came of it, has been taken back."""
    return EntraError(
        "invalid_grant",
        50173,
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have "
        "changed or reset their password.",
        suberror="bad_token",
    )
