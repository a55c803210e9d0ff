"""What a refusal by Entra means: at sign-in for whoever signs in, at renewal for the mailbox.

`error` decides. Microsoft may change the numbers (AADSTS…), so they only refine an `error` that says too
little: https://learn.microsoft.com/entra/identity-platform/reference-error-codes. Entra's sentence is never
carried over: it may name the user.
"""

import re
from collections.abc import Mapping

from mailsync.errors import MailsyncError, Misconfigured, ReconnectRequired, Rejected, RetryLater

_OUR_FAULT = {"invalid_client", "unauthorized_client"}
_BUSY = {"temporarily_unavailable", "server_error"}
_INTERACTION = {"interaction_required", "login_required"}

_NOT_IN_TENANT = {700016, 7000112}
"""The tenant knows no such application, or has it disabled."""
_NEEDS_ADMIN = {65001, 90093, 90094, 90095, 90097, 90099}
_NEEDS_CONSENT = {65001, 65004, 90094, 90095}
_CONDITIONS = {
    50005,
    50076,
    50079,
    50097,
    50105,
    50131,
    50158,
    53000,
    53001,
    53002,
    53003,
    53004,
    53009,
    530031,
    530032,
}


def of_browser(answer: Mapping[str, object]) -> MailsyncError:
    """The authorization endpoint's error, which came through the browser and so may have been made up there.

    Hence it never accuses the operator's settings.
    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-response
    """
    error, numbers, said = _read(answer)
    if error in _BUSY:
        return RetryLater("entra_unavailable", said)
    if error == "consent_required" or (error == "access_denied" and numbers & _NEEDS_ADMIN):
        return Rejected("admin_approval_required", said)
    if error in _INTERACTION or (error == "access_denied" and numbers & _CONDITIONS):
        return Rejected("conditional_access", said)
    return Rejected("consent_declined" if error == "access_denied" else "sign_in_failed", said)


def of_code(answer: Mapping[str, object]) -> MailsyncError:
    """The token endpoint's error to an authorization code.

    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-codes-for-token-endpoint-errors
    """
    error, numbers, said = _read(answer)
    if error in _OUR_FAULT:
        return Misconfigured("invalid_client", said)
    if error in _BUSY:
        return RetryLater("entra_unavailable", said)
    if error == "consent_required" or (error == "invalid_grant" and numbers & _NEEDS_ADMIN):
        return Rejected("admin_approval_required", said)
    if error in _INTERACTION or (error == "invalid_grant" and numbers & _CONDITIONS):
        return Rejected("conditional_access", said)
    return Rejected("code_expired" if error == "invalid_grant" else "sign_in_failed", said)


def of_refresh(answer: Mapping[str, object]) -> MailsyncError:
    """The token endpoint's error to a refresh token.

    Where the tenant's administrator has removed or disabled the application, the operator's settings are right
    and nobody else's mailbox is concerned. A wrong ENTRA_CLIENT_ID looks the same, so no mailbox is disconnected.
    https://learn.microsoft.com/entra/identity-platform/refresh-tokens
    """
    error, numbers, said = _read(answer)
    if error == "unauthorized_client" and numbers & _NOT_IN_TENANT:
        return Rejected("app_not_in_tenant", said)
    if error in _OUR_FAULT:
        return Misconfigured("invalid_client", said)
    if error == "consent_required" or (error == "invalid_grant" and numbers & _NEEDS_CONSENT):
        return ReconnectRequired("consent_required", said)
    if error in _INTERACTION or (error == "invalid_grant" and numbers & _CONDITIONS):
        return ReconnectRequired("interaction_required", said)
    if error == "invalid_grant":
        return ReconnectRequired("grant_revoked", said)
    return RetryLater("entra_unavailable", said)


def _read(answer: Mapping[str, object]) -> tuple[str, frozenset[int], str]:
    """`error`, the numbers, and a sentence of what is safe to repeat."""
    error = _plain(answer.get("error")) or "no_error_code"
    codes = answer.get("error_codes")
    found = [str(code) for code in codes] if isinstance(codes, list) else []
    found += re.findall(r"AADSTS(\d{4,8})", str(answer.get("error_description") or ""))[:1]
    numbers = frozenset(int(code) for code in found if re.fullmatch(r"[0-9]{4,8}", code))
    details = [f"AADSTS{number}" for number in sorted(numbers)]
    details += [f"{name} {value}" for name in ("suberror", "correlation_id") if (value := _plain(answer.get(name)))]
    return error, numbers, f"Entra answered {error} ({', '.join(details) or 'no details'})"


def _plain(value: object) -> str:
    """A code or id, and nothing that is longer or stranger than one."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.\-]{1,64}", value) else ""
