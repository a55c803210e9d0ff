"""What a refusal by Entra means: one table for all three ways by which one comes.

The `error` of the answer decides, as OAuth has it. Microsoft may change the numbers (AADSTS…), so they only refine
an `error` that says too little: https://learn.microsoft.com/entra/identity-platform/reference-error-codes. Entra's
sentence is never carried over: it may name the user, or be somebody else's.

| what it is | in the browser's answer | of a code | of a refresh token |
|---|---|---|---|
| it passes | RetryLater | RetryLater | RetryLater |
| a setting of ours | Misconfigured, as hearsay | Misconfigured | Misconfigured |
| the app is not in the tenant | Misconfigured, as hearsay | Misconfigured | Rejected |
| consent is lacking | Rejected | Rejected | ReconnectRequired |
| a policy wants the user | Rejected | Rejected | ReconnectRequired |
| the code or grant is gone | Rejected | Rejected | ReconnectRequired |
| the wrong account | Rejected | Rejected | Misconfigured: ENTRA_TENANT was changed |
| not known here | Rejected | Misconfigured | Misconfigured |

What is not known here is given to the operator, because an owner cannot mend it and nobody would see a mailbox that
is tried again for ever; no owner is disconnected by it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from mailsync.errors import MailsyncError, Misconfigured, ReconnectRequired, Rejected, RetryLater
from mailsync.mailboxes.ids import is_guid
from mailsync.reasons import Reason


class Cause(Enum):
    """What is behind a refusal."""

    PASSING = auto()
    OUR_PROOF = auto()
    OUR_TENANT = auto()
    OUR_PERMISSIONS = auto()
    OUR_REDIRECT_URI = auto()
    OUR_REQUEST = auto()
    NOT_IN_TENANT = auto()
    DECLINED = auto()
    CONSENT = auto()
    POLICY = auto()
    GRANT = auto()
    WRONG_TENANT = auto()
    PERSONAL_ACCOUNT = auto()
    UNKNOWN = auto()


_REMEDIES = {
    Cause.OUR_PROOF: "check the federated credential of the app registration (its subject is the principal of the"
    " managed identity AZURE_CLIENT_ID), ENTRA_CLIENT_ID, and ENTRA_CLIENT_SECRET where it is set",
    Cause.OUR_TENANT: "check ENTRA_TENANT; a registration for one tenant wants that tenant's id there",
    Cause.OUR_PERMISSIONS: "check the API permissions of the app registration: openid, offline_access, User.Read and"
    " Mail.Read, delegated, of Microsoft Graph",
    Cause.OUR_REDIRECT_URI: "check PUBLIC_BASE_URL and the redirect URIs of the app registration",
    Cause.OUR_REQUEST: "check ENTRA_CLIENT_ID and the app registration; if they are right, report it",
    Cause.NOT_IN_TENANT: "check ENTRA_CLIENT_ID; if it is right, the organization has removed or disabled the app",
    Cause.WRONG_TENANT: "check ENTRA_TENANT: this mailbox's tenant is another",
    Cause.PERSONAL_ACCOUNT: "check ENTRA_TENANT: this mailbox's tenant is another",
    Cause.UNKNOWN: "check the app registration, and report it",
}

_BY_ERROR = {
    "temporarily_unavailable": Cause.PASSING,
    "server_error": Cause.PASSING,
    "invalid_client": Cause.OUR_PROOF,
    "unauthorized_client": Cause.OUR_PROOF,
    "invalid_tenant": Cause.OUR_TENANT,
    "invalid_scope": Cause.OUR_PERMISSIONS,
    "invalid_resource": Cause.OUR_PERMISSIONS,
    "invalid_target": Cause.OUR_PERMISSIONS,
    "invalid_request": Cause.OUR_REQUEST,
    "unsupported_grant_type": Cause.OUR_REQUEST,
    "unsupported_response_type": Cause.OUR_REQUEST,
    "access_denied": Cause.DECLINED,
    "consent_required": Cause.CONSENT,
    "interaction_required": Cause.POLICY,
    "login_required": Cause.POLICY,
    "invalid_grant": Cause.GRANT,
}

_POLICIES = {50005, 50076, 50079, 50097, 50105, 50131, 50158} | {53000, 53001, 53002, 53003, 53004, 53009}
_POLICIES |= {530031, 530032}
_NEEDS_ADMIN = {90093, 90094, 90095, 90097, 90099}
_TRANSIENT = {50196, 90006, 90012, 90024, 90033, 90055}
"""A loop that Entra stopped for some minutes, and times-out and budgets of its own stores."""

_PROOFS = {50012, 50013, 50027, 70021, 700024, 700027, 700211, 700212, 700213, 7000215, 7000218, 7000222}
_TENANTS = {50059, 50194, 90002, 900021, 900023}

_SUBERRORS = {"bad_token", "token_expired", "consent_required", "message_only", "basic_action", "additional_action"}
_SUBERRORS |= {"user_password_expired", "client_mismatch", "protection_policies_required"}

_REFINED: dict[str, tuple[tuple[set[int], Cause], ...]] = {
    "unauthorized_client": (({700016, 7000112}, Cause.NOT_IN_TENANT), (_TENANTS, Cause.OUR_TENANT)),
    "invalid_client": ((_TENANTS, Cause.OUR_TENANT),),
    "invalid_request": (
        (_TRANSIENT, Cause.PASSING),
        (_PROOFS, Cause.OUR_PROOF),
        (_TENANTS, Cause.OUR_TENANT),
        ({70011, 500011, 650053, 650057}, Cause.OUR_PERMISSIONS),
        ({50011}, Cause.OUR_REDIRECT_URI),
        ({50020}, Cause.WRONG_TENANT),
        ({500200, 9002346}, Cause.PERSONAL_ACCOUNT),
    ),
    "access_denied": ((_NEEDS_ADMIN | {65001}, Cause.CONSENT), (_POLICIES, Cause.POLICY)),
    "invalid_grant": (
        (_TRANSIENT, Cause.PASSING),
        (_NEEDS_ADMIN | {65001, 65004}, Cause.CONSENT),
        (_POLICIES, Cause.POLICY),
    ),
}
"""By `error`: the numbers under which it means something else, the first that fits."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refusal as it was read. `said`: a sentence of what is safe to repeat."""

    cause: Cause
    said: str

    def ours(self, *, hearsay: bool = False) -> Misconfigured:
        return Misconfigured(_OURS[self.cause], f"{self.said}: {_REMEDIES[self.cause]}.", hearsay=hearsay)


_OURS = {
    Cause.OUR_PROOF: Reason.INVALID_CLIENT,
    Cause.OUR_TENANT: Reason.BAD_AUTHORITY,
    Cause.OUR_PERMISSIONS: Reason.BAD_PERMISSIONS,
    Cause.OUR_REDIRECT_URI: Reason.BAD_REDIRECT_URI,
    Cause.OUR_REQUEST: Reason.ENTRA_REFUSED,
    Cause.NOT_IN_TENANT: Reason.INVALID_CLIENT,
    Cause.WRONG_TENANT: Reason.BAD_AUTHORITY,
    Cause.PERSONAL_ACCOUNT: Reason.BAD_AUTHORITY,
    Cause.UNKNOWN: Reason.ENTRA_REFUSED,
}
"""The reason that the operator is given."""

_OF_GRANTS = {
    Cause.CONSENT: Reason.CONSENT_REQUIRED,
    Cause.POLICY: Reason.INTERACTION_REQUIRED,
    Cause.GRANT: Reason.GRANT_REVOKED,
}
"""The reason of a grant that works no longer."""

AT_SIGN_IN = {
    Cause.CONSENT: Reason.ADMIN_APPROVAL_REQUIRED,
    Cause.POLICY: Reason.CONDITIONAL_ACCESS,
    Cause.DECLINED: Reason.CONSENT_DECLINED,
    Cause.GRANT: Reason.CODE_EXPIRED,
    Cause.WRONG_TENANT: Reason.WRONG_ORGANIZATION,
    Cause.PERSONAL_ACCOUNT: Reason.PERSONAL_ACCOUNT,
}
"""The reason that whoever signs in is given."""


def of_browser(answer: Mapping[str, object]) -> MailsyncError:
    """The authorization endpoint's error, which came through the browser and so may have been made up there.

    Where it accuses our settings, it does so as hearsay: whoever signs in is told, and no alarm is raised.
    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-response
    """
    refusal = _read(answer)
    if refusal.cause in (Cause.UNKNOWN, Cause.GRANT):
        return Rejected(Reason.SIGN_IN_FAILED, refusal.said)
    return _at_sign_in(refusal, hearsay=True)


def of_code(answer: Mapping[str, object]) -> MailsyncError:
    """The token endpoint's error to an authorization code.

    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-codes-for-token-endpoint-errors
    """
    return _at_sign_in(_read(answer), hearsay=False)


def of_refresh(answer: Mapping[str, object]) -> MailsyncError:
    """The token endpoint's error to a refresh token.

    Where the tenant's administrator has removed or disabled the application, the operator's settings are right
    and nobody else's mailbox is concerned. A wrong ENTRA_CLIENT_ID looks the same, so no mailbox is disconnected.
    https://learn.microsoft.com/entra/identity-platform/refresh-tokens
    """
    refusal = _read(answer)
    if refusal.cause is Cause.PASSING:
        return RetryLater(Reason.ENTRA_UNAVAILABLE, refusal.said)
    if refusal.cause is Cause.NOT_IN_TENANT:
        return Rejected(Reason.APP_NOT_IN_TENANT, f"{refusal.said}: {_REMEDIES[refusal.cause]}.")
    if reason := _OF_GRANTS.get(refusal.cause):
        return ReconnectRequired(reason, refusal.said)
    if refusal.cause is Cause.DECLINED:  # no refresh is declined by anybody
        return _Refusal(Cause.UNKNOWN, refusal.said).ours()
    return refusal.ours()


def _at_sign_in(refusal: _Refusal, *, hearsay: bool) -> MailsyncError:
    if refusal.cause is Cause.PASSING:
        return RetryLater(Reason.ENTRA_UNAVAILABLE, refusal.said)
    if reason := AT_SIGN_IN.get(refusal.cause):
        return Rejected(reason, refusal.said)
    return refusal.ours(hearsay=hearsay)


def _read(answer: Mapping[str, object]) -> _Refusal:
    """What the answer means. Of its own words only those are repeated that are known, or a number or GUID."""
    error = answer.get("error")
    known = error if isinstance(error, str) and error in _BY_ERROR else ""
    codes = answer.get("error_codes")
    found = [str(code) for code in codes] if isinstance(codes, list) else []
    found += re.findall(r"AADSTS([0-9]{4,8})", str(answer.get("error_description") or ""))[:1]
    numbers = frozenset(int(code) for code in found[:8] if re.fullmatch(r"[0-9]{4,8}", code))
    details = [f"AADSTS{number}" for number in sorted(numbers)]
    suberror = answer.get("suberror")
    if isinstance(suberror, str) and suberror in _SUBERRORS:
        details.append(f"suberror {suberror}")
    if is_guid(correlation := str(answer.get("correlation_id")).lower()):
        details.append(f"correlation id {correlation}")
    cause = next((cause for some, cause in _REFINED.get(known, ()) if numbers & some), None)
    cause = cause or _BY_ERROR.get(known, Cause.UNKNOWN)
    name = known or "with an error that is not known here"
    return _Refusal(cause, f"Entra answered {name} ({', '.join(details) or 'no details'})")
