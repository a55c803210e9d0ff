"""What the program checks of Microsoft's answer itself, because MSAL (since 1.38) checks only the nonce.

https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
https://learn.microsoft.com/entra/identity-platform/claims-validation
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeIs

from mailsync.errors import Rejected
from mailsync.mailboxes.ids import is_guid
from mailsync.mailboxes.records import Profile
from mailsync.reasons import Reason
from mailsync.settings import Settings
from mailsync.tokens.records import GRAPH_SCOPES, Grant

CONSUMER_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of personal Microsoft accounts, which have no place here."""

CLOCK_SKEW = 300
"""Seconds by which Microsoft's clock and ours may differ."""


def checked_tenant(id_token_claims: Mapping[str, object], settings: Settings, now: datetime) -> str:
    """The tenant id that the id_token proves, lower case: the one in its issuer.

    The id_token claim `tid` may be missing (docs/decisions.md, Identity); where it is there, it must agree.

    Raises Rejected: `bad_id_token` (audience, issuer, tenant or times are not right), `personal_account`,
    `wrong_organization` (ENTRA_TENANT names another tenant).
    """
    if id_token_claims.get("aud") != settings.client_id:
        raise _bad("aud")
    issuer = str(id_token_claims.get("iss"))
    named = issuer.removeprefix(f"{settings.authority_host}/").removesuffix("/v2.0")
    tenant = named.lower()
    if not is_guid(tenant) or issuer != f"{settings.authority_host}/{named}/v2.0":
        raise _bad("iss")
    if str(id_token_claims.get("tid", tenant)).lower() != tenant:
        raise _bad("tid")
    _check_times(id_token_claims, now)
    if tenant == CONSUMER_TENANT:
        raise Rejected(Reason.PERSONAL_ACCOUNT, "A personal Microsoft account cannot be connected.")
    if settings.tenant not in ("organizations", tenant):
        raise Rejected(Reason.WRONG_ORGANIZATION, "The inbox belongs to an organization that this app does not serve.")
    return tenant


def check_grant(grant: Grant) -> str:
    """The refresh token of a grant that holds all that is needed.

    Raises Rejected `missing_permission` or `no_refresh_token`.
    """
    # Graph's scopes come back bare or as URIs (https://graph.microsoft.com/Mail.Read), in any case.
    granted = {scope.rsplit("/", 1)[-1].lower() for scope in grant.scopes}
    missing = [scope for scope in GRAPH_SCOPES if scope.lower() not in granted]
    if missing:
        raise Rejected(Reason.MISSING_PERMISSION, f"Microsoft did not grant {' and '.join(missing)}.")
    if not grant.refresh_token:
        raise Rejected(Reason.NO_REFRESH_TOKEN, "Microsoft gave no lasting access (offline_access).")
    return grant.refresh_token


def check_profile(profile: Profile, id_token_claims: Mapping[str, object]) -> None:
    """Checks that the user whom Graph names is the one who signed in, and a member of the tenant.

    The id_token claim `oid` may be missing (docs/decisions.md, Identity); where it is there, it must agree.
    The domain of a user principal name is ASCII, by Entra's own rule. A domain that is not may look like somebody
    else's, and no id_token claim proves it. Raises Rejected `identity_mismatch`, `guest_account` or `odd_address`.
    """
    object_id = id_token_claims.get("oid")
    if object_id is not None and str(object_id).lower() != profile.user_id.lower():
        raise Rejected(Reason.IDENTITY_MISMATCH, "Microsoft's two answers name different users.")
    if "#ext#" in profile.address.lower():
        raise Rejected(Reason.GUEST_ACCOUNT, "A guest's account holds no inbox of this organization.")
    if not profile.address.rpartition("@")[2].isascii():
        raise Rejected(Reason.ODD_ADDRESS, "The user principal name's domain is not in ASCII.")


def _check_times(id_token_claims: Mapping[str, object], now: datetime) -> None:
    seconds = now.timestamp()
    expires, begins = id_token_claims.get("exp"), id_token_claims.get("nbf", 0)
    # Each condition is negated, so that NaN, which compares false with everything, does not pass.
    if not (_is_number(expires) and seconds < expires + CLOCK_SKEW):
        raise _bad("exp")
    if not (_is_number(begins) and seconds >= begins - CLOCK_SKEW):
        raise _bad("nbf")


def _is_number(value: object) -> TypeIs[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bad(name: str) -> Rejected:
    return Rejected(Reason.BAD_ID_TOKEN, f"Microsoft's answer did not pass the check of its id_token claim `{name}`.")
