"""Counts remote calls, at the one door that all of them pass: Graph's, Entra's and the Azure SDKs' are `requests`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

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

    def noted(self: Any, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        calls.made.append((services.get(str(parts.netloc), str(parts.netloc)), request.method or "", str(parts.path)))
        return send(self, request, *arguments, **more)

    with patch.object(HTTPAdapter, "send", noted):
        yield calls
