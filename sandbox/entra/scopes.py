"""The delegated permissions of the stand-in's app registration, and what the consent page says of them."""

from sandbox.entra.directory import AppRegistration
from sandbox.entra.errors import EntraError
from sandbox.entra.tokens import GRAPH_AUDIENCE

WORDS = {
    "openid": "Sign you in",
    "offline_access": "Maintain access to data you have given it access to",
    "User.Read": "Read your profile",
    "Mail.Read": "Read your mail",
}
"""A scope in the words of the consent page."""

OPENID_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
"""Scopes that ask for sign-in itself, and name no resource."""


def parse_scopes(app: AppRegistration, text: str) -> frozenset[str]:
    """The scopes that a request names, spelled as registered.

    Raises EntraError for one that the app registration does not have. The service would let an app ask for
    more than it has registered; the stand-in does not, so that nobody asks for more unnoticed.
    """
    registered = {scope.lower(): scope for scope in app.delegated_scopes}
    names = [scope.removeprefix(f"{GRAPH_AUDIENCE}/") for scope in text.split()]
    unknown = [name for name in names if name.lower() not in registered]
    if unknown:
        raise EntraError(
            "invalid_scope",
            650053,
            f"The application '{app.display_name}' asked for scope '{unknown[0]}' that doesn't exist on the resource.",
        )
    return frozenset(registered[name.lower()] for name in names)


def granted_text(scopes: frozenset[str]) -> str:
    """`scope` of a token response: like the service's, it never names offline_access."""
    return " ".join(sorted(scopes - {"offline_access"}))
