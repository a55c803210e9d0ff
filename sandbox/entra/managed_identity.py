"""The App Service endpoint for managed identities, as Functions has it in IDENTITY_ENDPOINT.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

import uuid

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from sandbox import constants
from sandbox.control.faults import register
from sandbox.control.parameters import whole
from sandbox.entra.tokens import TokenError, managed_identity_token
from sandbox.microsoft365.world import World

API_VERSION = "2019-08-01"

_OUTAGE = register(
    "identity-outage",
    "The managed-identity endpoint answers `status`, with `html` as a gateway before it would",
    status=whole(500, 200, 599),
    html=False,
)


class ManagedIdentityEndpoint:
    """GET /msi/token on one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def token(self, request: Request) -> Response:
        """The token for `resource` of the identity `client_id`; without one there is no system-assigned identity."""
        if request.headers.get("X-IDENTITY-HEADER") != constants.IDENTITY_HEADER:
            return _error(401, "The X-IDENTITY-HEADER is missing or wrong.")
        if fault := self._world.faults.take(_OUTAGE):
            if fault["html"]:
                return HTMLResponse("<html><title>Error</title></html>", status_code=fault["status"])
            return _error(fault["status"], "An unexpected error occurred while fetching the token.")
        query = request.query_params
        if query.get("api-version") != API_VERSION:
            return _error(400, f"The api-version must be {API_VERSION}.")
        if not query.get("resource"):
            return _error(400, "The parameter resource is missing.")
        found = [identity for identity in self._world.identities if identity.client_id == query.get("client_id")]
        if not found:
            return _error(400, "No User Assigned or Delegated Managed Identity found for specified ClientId.")
        try:
            token, expires_on = managed_identity_token(self._world, found[0], query["resource"])
        except TokenError as error:
            return _error(500, str(error))
        return JSONResponse(
            {
                "access_token": token,
                "client_id": found[0].client_id,
                "expires_on": str(expires_on),
                "resource": query["resource"],
                "token_type": "Bearer",
            }
        )


def _error(status: int, message: str) -> Response:
    content = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return JSONResponse(content, status_code=status)
