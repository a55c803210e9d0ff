"""Counts remote calls, at the two doors that they pass.

Graph's, Entra's and the Azure SDKs' are `requests`; what the webhook queues goes by aiohttp.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import aiohttp
import requests
from requests.adapters import HTTPAdapter


@dataclass(slots=True)
class Calls:
    """Remote calls in order: service, method and path."""

    made: list[tuple[str, str, str]] = field(default_factory=list)

    def by_service(self) -> dict[str, int]:
        """How many went to each service."""
        return dict(Counter(service for service, _, _ in self.made))


@contextmanager
def counted(services: Mapping[str, str]) -> Iterator[Calls]:
    """Notes the calls made meanwhile, by any thread; `services` names what is at a `host:port`."""
    calls = Calls()
    send = HTTPAdapter.send
    request_async = aiohttp.ClientSession._request  # noqa: SLF001 - what every method of it calls

    def note(method: str, url: str) -> None:
        parts = urlsplit(url)
        calls.made.append((services.get(parts.netloc, parts.netloc), method, parts.path))

    def noted(self: Any, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        note(request.method or "", str(request.url or ""))
        return send(self, request, *arguments, **more)

    async def noted_async(self: Any, method: str, url: Any, **more: Any) -> aiohttp.ClientResponse:
        note(method, str(url))
        return await request_async(self, method, url, **more)

    with patch.object(HTTPAdapter, "send", noted), patch.object(aiohttp.ClientSession, "_request", noted_async):
        yield calls
