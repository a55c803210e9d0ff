"""Authorize: pick an account, consent, answer with a code.

Three steps, each a plain form that a script can post as well as a browser; the query of the first request
travels along in the hidden field `request` and is checked again at every step.
"""

import uuid

from starlette.requests import Request
from starlette.responses import Response

from sandbox.control.faults import register
from sandbox.control.parameters import one_of
from sandbox.entra.directory import User
from sandbox.entra.errors import EntraError, blocked_by_policy
from sandbox.entra.pages import page, reply
from sandbox.entra.request import (
    AuthorizationRequest,
    check_account,
    check_tenant,
    parse_authorization,
    parse_form,
    parse_reply_to,
    read_form,
)
from sandbox.entra.scopes import WORDS
from sandbox.entra.tokens import client_info
from sandbox.microsoft365.world import World

CONDITIONAL_ACCESS = register(
    "conditional-access",
    "A Conditional Access policy blocks the user (AADSTS53003); `endpoint`: only authorize or token",
    address=None,
    endpoint=one_of("authorize", "token", nullable=True),
)
_ADMIN_CONSENT_SAID = register(
    "admin-consent-said", "Who comes back from 'Need admin approval' is told apart from a decline (AADSTS90094)"
)


class SignIn:
    """The three endpoints on one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def authorize(self, request: Request) -> Response:
        """GET /{tenant}/oauth2/v2.0/authorize: the account picker."""
        tenant, query = request.path_params["tenant"], request.url.query
        parsed = self._parse(tenant, query)
        return parsed if isinstance(parsed, Response) else self._accounts(tenant, query)

    async def login(self, request: Request) -> Response:
        """POST /{tenant}/login, fields `request`, `address`: consent page, or the answer at once."""
        tenant, form = request.path_params["tenant"], await read_form(request)
        step = self._step(tenant, form)
        if isinstance(step, Response):
            return step
        parsed, user = step
        if self._world.faults.take(CONDITIONAL_ACCESS, address=user.user_principal_name, endpoint="authorize"):
            return self._refuse(parsed, blocked_by_policy())
        missing = parsed.scopes - self._consented(user)
        if not missing and parsed.prompt != "consent":
            return self._accept(parsed, user)
        template = "consent.html" if self._may_consent(user, missing) else "approval.html"
        return page(
            template,
            action=f"/{tenant}/consent",
            request=form["request"],
            address=user.user_principal_name,
            app_name=self._world.app.display_name,
            scopes=describe(parsed.scopes),
            for_organization=False,
        )

    async def consent(self, request: Request) -> Response:
        """POST /{tenant}/consent, fields `request`, `address`, `decision`: the answer to the app."""
        tenant, form = request.path_params["tenant"], await read_form(request)
        step = self._step(tenant, form)
        if isinstance(step, Response):
            return step
        parsed, user = step
        # Who comes back from the page "Need admin approval" has, to the app, declined:
        # https://learn.microsoft.com/answers/questions/2237594
        needs_admin = not self._may_consent(user, parsed.scopes - self._consented(user))
        if needs_admin and self._world.faults.take(_ADMIN_CONSENT_SAID):
            return self._refuse(parsed, EntraError("access_denied", 90094, "Admin consent is required."))
        if needs_admin or form.get("decision") != "accept":
            return self._refuse(
                parsed, EntraError("access_denied", 65004, "User declined to consent to access the app.")
            )
        return self._accept(parsed, user)

    def _step(self, tenant: str, form: dict[str, str]) -> tuple[AuthorizationRequest, User] | Response:
        """The request and who signs in, checked again, or the answer instead. Raises EntraError as `_parse` does."""
        parsed = self._parse(tenant, form.get("request", ""))
        if isinstance(parsed, Response):
            return parsed
        user = self._find(tenant, form)
        if user is None:
            return self._accounts(tenant, form["request"], f"There is no account {form.get('address', '')} here.")
        check_account(tenant, user)
        return parsed, user

    def _parse(self, tenant: str, query: str) -> AuthorizationRequest | Response:
        """The request, or the answer that the app gets for it. Raises EntraError for what is shown to the user."""
        check_tenant(self._world, tenant)
        parameters = parse_form(query)
        reply_to = parse_reply_to(self._world, parameters)
        try:
            return parse_authorization(self._world, reply_to, parameters)
        except EntraError as error:
            body = error.body(self._world.now(), str(uuid.uuid4()))
            return reply(reply_to, {"error": error.error, "error_description": body["error_description"]})

    def _find(self, tenant: str, form: dict[str, str]) -> User | None:
        """Who signs in: the user of that address in that tenant, if it has one; else whoever has it elsewhere."""
        address = form.get("address", "")
        return self._world.find_user(address, tenant.lower()) or self._world.find_user(address)

    def _consented(self, user: User) -> frozenset[str]:
        grant = self._world.grants.of_user(user.user_id)
        return self._world.tenant(user.tenant_id).admin_consented | (grant.scopes if grant else frozenset())

    def _may_consent(self, user: User, missing: frozenset[str]) -> bool:
        tenant = self._world.tenant(user.tenant_id)
        return not missing or (user.user_consent_allowed and tenant.lets_users_consent_to(missing))

    def _accounts(self, tenant: str, query: str, problem: str = "") -> Response:
        users = sorted(self._world.users.values(), key=lambda user: user.user_principal_name.casefold())
        return page(
            "accounts.html",
            action=f"/{tenant}/login",
            request=query,
            users=users[:20],
            app_name=self._world.app.display_name,
            problem=problem,
        )

    def _accept(self, parsed: AuthorizationRequest, user: User) -> Response:
        grant = self._world.grants.consent(user.user_id, parsed.scopes)
        code = self._world.grants.issue_code(
            grant,
            scopes=parsed.scopes,
            redirect_uri=parsed.reply_to.redirect_uri,
            code_challenge=parsed.code_challenge,
            nonce=parsed.nonce,
        )
        answer = {"code": code, "session_state": str(uuid.uuid4())}
        if parsed.wants_client_info:
            answer["client_info"] = client_info(user)
        return reply(parsed.reply_to, answer)

    def _refuse(self, parsed: AuthorizationRequest, error: EntraError) -> Response:
        body = error.body(self._world.now(), str(uuid.uuid4()))
        answer = {"error": error.error, "error_description": body["error_description"]}
        if error.error == "access_denied":
            answer["error_subcode"] = "cancel"
        return reply(parsed.reply_to, answer)


def describe(scopes: frozenset[str]) -> list[tuple[str, str]]:
    """Each scope with its words, in a fixed order, for the consent page."""
    order = [*WORDS, *sorted(scopes - WORDS.keys())]
    return [(scope, WORDS.get(scope, scope)) for scope in order if scope in scopes]
