"""Graph calls a notification URL and expects an opaque token back before it makes a subscription.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation
"""

import asyncio
import uuid
from urllib.parse import quote

import httpx

from sandbox.graph.protocol import GraphError
from sandbox.push.timing import HANDSHAKE_SECONDS, Timing


async def validate(client: httpx.AsyncClient, url: str, timing: Timing) -> None:
    """Raises the 400 that Graph answers where the URL does not pass."""
    # What a second round of decoding would change is in it, since the token is to be decoded exactly once.
    token = f"Validation: Testing client application reachability for subscription Request-Id: {uuid.uuid4()} +%2B"
    whole = f"{url}{'&' if '?' in url else '?'}validationToken={quote(token, safe='')}"
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS * timing.deadlines):
            response = await client.post(whole, headers=headers, timeout=None)
    except TimeoutError as error:
        raise _failed("Subscription validation request timed out.") from error
    except httpx.HTTPError as error:
        raise _failed("Subscription validation request failed. The notification endpoint was not reached.") from error
    if response.status_code != httpx.codes.OK:
        raise _failed(
            f"Subscription validation request failed. HTTP status code is '{response.status_code}'."
            " Notification endpoint must respond with 200 OK to validation request."
        )
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "text/plain" or response.text != token:
        raise _failed(
            "Subscription validation request failed. Response must exactly match validationToken query parameter."
        )


def _failed(message: str) -> GraphError:
    return GraphError(400, "ValidationError", message)
