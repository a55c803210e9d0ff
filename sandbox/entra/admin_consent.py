"""The admin consent endpoint.

https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
Answered by GET to the redirect URI: `admin_consent=True`, `tenant`, `scope`, `state`.
"""

from starlette.requests import Request
from starlette.responses import Response

from sandbox.entra.directory import User
from sandbox.entra.errors import EntraError, missing
from sandbox.entra.pages import page, reply
from sandbox.entra.request import ReplyTo, check_account, check_tenant, parse_form, parse_reply_to, read_form
from sandbox.entra.scopes import OPENID_SCOPES, parse_scopes
from sandbox.entra.sign_in import describe
from sandbox.entra.tokens import GRAPH_AUDIENCE
from sandbox.microsoft365.world import World


class AdminConsent:
    """The endpoint and the two forms behind it, on one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def begin(self, request: Request) -> Response:
        """GET /{tenant}/v2.0/adminconsent: the account picker."""
        tenant, query = request.path_params["tenant"], request.url.query
        self._parse(tenant, query)
        users = sorted(
            (user for user in self._world.users.values() if user.is_administrator),
            key=lambda user: user.user_principal_name.casefold(),
        )
        return page(
            "accounts.html",
            action=f"/{tenant}/adminconsent/login",
            request=query,
            users=users,
            app_name=self._world.app.display_name,
            problem="",
        )

    async def login(self, request: Request) -> Response:
        """POST /{tenant}/adminconsent/login, fields `request`, `address`: the consent page."""
        tenant, form = request.path_params["tenant"], await read_form(request)
        _, scopes = self._parse(tenant, form.get("request", ""))
        user = self._administrator(tenant, form.get("address", ""))
        return page(
            "consent.html",
            action=f"/{tenant}/adminconsent/consent",
            request=form["request"],
            address=user.user_principal_name,
            app_name=self._world.app.display_name,
            scopes=describe(scopes),
            for_organization=True,
        )

    async def consent(self, request: Request) -> Response:
        """POST /{tenant}/adminconsent/consent, fields `request`, `address`, `decision`: the answer to the app."""
        tenant, form = request.path_params["tenant"], await read_form(request)
        reply_to, scopes = self._parse(tenant, form.get("request", ""))
        user = self._administrator(tenant, form.get("address", ""))
        answer = {"admin_consent": "True", "tenant": user.tenant_id}
        if form.get("decision") != "accept":
            refusal = {"error": "access_denied", "error_description": "AADSTS65004: The admin canceled the request"}
            return reply(reply_to, answer | refusal)
        self._world.tenant(user.tenant_id).admin_consented |= scopes
        names = (scope if scope in OPENID_SCOPES else f"{GRAPH_AUDIENCE}/{scope}" for scope in sorted(scopes))
        return reply(reply_to, answer | {"scope": " ".join(names)})

    def _parse(self, tenant: str, query: str) -> tuple[ReplyTo, frozenset[str]]:
        check_tenant(self._world, tenant)
        parameters = parse_form(query)
        reply_to = parse_reply_to(self._world, parameters)
        if not parameters.get("scope"):
            raise missing("scope")
        return ReplyTo(reply_to.redirect_uri, "query", reply_to.state), parse_scopes(
            self._world.app, parameters["scope"]
        )

    def _administrator(self, tenant: str, address: str) -> User:
        user = self._world.find_user(address)
        if user is None:
            raise EntraError("invalid_request", 50034, "The user account does not exist in this directory.")
        check_account(tenant, user)
        if not user.is_administrator:
            raise EntraError("access_denied", 90093, "Only an administrator can grant these permissions.")
        return user
