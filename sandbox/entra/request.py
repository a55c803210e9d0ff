"""What arrives at the authorize endpoint, checked.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#request-an-authorization-code
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from sandbox import constants
from sandbox.entra.directory import User
from sandbox.entra.errors import EntraError, missing, unknown_app, unknown_tenant
from sandbox.entra.scopes import parse_scopes
from sandbox.microsoft365.world import World

RESPONSE_MODES = {"query", "form_post"}
PROMPTS = {"", "login", "select_account", "consent", "none"}
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where the answer goes, and how."""

    redirect_uri: str
    response_mode: str
    state: str | None


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request for an authorization code that may go on to the user."""

    reply_to: ReplyTo
    scopes: frozenset[str]
    code_challenge: str
    nonce: str | None
    prompt: str
    wants_client_info: bool


def parse_form(text: str) -> dict[str, str]:
    """The parameters of a query or form. Raises EntraError where one is given twice."""
    pairs = parse_qsl(text, keep_blank_values=True)
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise EntraError("invalid_request", 9000411, "A parameter is duplicated in the request.")
    return parameters


async def read_form(request: Request) -> dict[str, str]:
    """The parameters of a form that was posted. Raises EntraError for anything that is not one."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise EntraError("invalid_request", 900144, "The request body must be application/x-www-form-urlencoded.")
    try:
        return parse_form((await request.body()).decode())
    except UnicodeDecodeError as error:
        raise EntraError("invalid_request", 900144, "The request body is not UTF-8.") from error


def check_tenant(world: World, tenant: str) -> None:
    """Raises EntraError unless the path names a tenant or `organizations` or `common`."""
    if tenant == "consumers":
        raise EntraError(
            "invalid_request", 9002346, "The application is configured for use by work or school accounts only."
        )
    if tenant not in {"organizations", "common"} and tenant.lower() not in world.tenants:
        raise unknown_tenant(tenant)


def check_account(tenant: str, user: User) -> None:
    """Raises EntraError for a user who has no business at that tenant."""
    if user.tenant_id == constants.CONSUMER_TENANT_ID:
        raise EntraError(
            "invalid_request",
            500200,
            "You can't sign in here with a personal account. Use your work or school account instead.",
        )
    if tenant not in {"organizations", "common"} and tenant.lower() != user.tenant_id:
        raise EntraError("invalid_request", 50020, "The account does not exist in this tenant.")


def parse_reply_to(world: World, parameters: dict[str, str]) -> ReplyTo:
    """Raises EntraError for what must not be answered by a redirect: a wrong app or redirect URI."""
    if "client_id" not in parameters:
        raise missing("client_id")
    if parameters["client_id"] != world.app.client_id:
        raise unknown_app(parameters["client_id"])
    redirect_uri = parameters.get("redirect_uri", "")
    if redirect_uri not in world.app.redirect_uris:
        raise EntraError(
            "invalid_request",
            50011,
            f"The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured "
            f"for the application '{world.app.client_id}'.",
        )
    mode = parameters.get("response_mode", "query")
    if mode not in RESPONSE_MODES:
        raise EntraError("invalid_request", 900144, "The response_mode is not supported.")
    return ReplyTo(redirect_uri, mode, parameters.get("state"))


def parse_authorization(world: World, reply_to: ReplyTo, parameters: dict[str, str]) -> AuthorizationRequest:
    """Raises EntraError for what is answered to the redirect URI.

    PKCE is required here, though the service only recommends it to web apps: RFC 9700 section 2.1.1.
    """
    if parameters.get("response_type") != "code":
        raise EntraError("unsupported_response_type", 700054, "The response_type must be 'code'.")
    if parameters.get("code_challenge_method") != "S256":
        raise EntraError("invalid_request", 50147, "The code_challenge_method must be 'S256'.")
    challenge = parameters.get("code_challenge", "")
    if not _CHALLENGE.fullmatch(challenge):
        raise EntraError("invalid_request", 50147, "Missing or invalid code_challenge.")
    prompt = parameters.get("prompt", "")
    if prompt not in PROMPTS:
        raise EntraError("invalid_request", 90023, "The prompt is not supported.")
    if prompt == "none":
        raise EntraError("login_required", 50058, "A silent sign-in request was sent but no user is signed in.")
    if not parameters.get("scope"):
        raise missing("scope")
    return AuthorizationRequest(
        reply_to=reply_to,
        scopes=parse_scopes(world.app, parameters["scope"]),
        code_challenge=challenge,
        nonce=parameters.get("nonce"),
        prompt=prompt,
        wants_client_info=parameters.get("client_info") == "1",
    )
