"""How the app proves itself at the token endpoint: a federated client assertion, or a client secret."""

import hmac
from datetime import UTC, datetime

import jwt

from sandbox.entra.errors import EntraError, missing, unknown_app
from sandbox.entra.tokens import TokenError, issuer, verify
from sandbox.microsoft365.world import World

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def authenticate(world: World, form: dict[str, str]) -> None:
    """Raises EntraError (`invalid_client`, 401) unless the request proves that it comes from the app."""
    if "client_id" not in form:
        raise missing("client_id")
    if form["client_id"] != world.app.client_id:
        raise unknown_app(form["client_id"])
    if "client_assertion" in form:
        if form.get("client_assertion_type") != JWT_BEARER:
            raise _invalid(50027, "The client_assertion_type is not supported.")
        _check_assertion(world, form["client_assertion"])
    elif "client_secret" in form:
        if not any(hmac.compare_digest(secret, form["client_secret"]) for secret in world.app.secrets):
            raise _invalid(7000215, "Invalid client secret provided.")
    else:
        raise _invalid(
            7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        )


def _check_assertion(world: World, assertion: str) -> None:
    """Verifies the assertion, then finds the federated credential it belongs to.

    https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
    """
    try:
        presented = jwt.decode(assertion, options={"verify_signature": False})
        audience = str(presented["aud"])
        claims = verify(world, assertion, {audience}, datetime.now(UTC))
    except (jwt.InvalidTokenError, KeyError) as error:
        raise _invalid(50027, "JWT token is invalid or malformed.") from error
    except TokenError as error:
        if "Lifetime" in str(error):
            raise _invalid(700024, "Client assertion is not within its valid time range.") from error
        raise _invalid(50013, "Assertion failed signature validation.") from error
    trusted = world.app.federated_credentials
    by_issuer = [credential for credential in trusted if issuer(world, credential.issuer_tenant_id) == claims["iss"]]
    by_subject = [credential for credential in by_issuer if credential.subject == claims.get("sub")]
    for found, code, what in ((by_issuer, 700211, "issuer"), (by_subject, 700213, "subject")):
        if not found:
            raise _invalid(code, f"No matching federated identity record found for presented assertion {what}.")
    if not any(credential.audience == audience for credential in by_subject):
        raise _invalid(700212, "No matching federated identity record found for presented assertion audience.")


def _invalid(code: int, message: str) -> EntraError:
    return EntraError("invalid_client", code, message, status=401)
