"""What every Graph operation shares: a call, an answer, an error body.

Error bodies: https://learn.microsoft.com/graph/errors
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.entra.directory import User
from sandbox.entra.tokens import AccessClaims
from sandbox.exchange.mailboxes import Mailbox

CONTENT_TYPE = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, alone or out of a batch. `path` has neither version nor query; `prefer` has lower-case names."""

    method: str
    path: str
    query: Mapping[str, str]
    prefer: Mapping[str, str]
    claims: AccessClaims
    user: User
    mailbox: Mailbox
    body: bytes = b""

    @property
    def immutable(self) -> bool:
        """Whether ids are of the immutable kind: https://learn.microsoft.com/graph/outlook-immutable-id."""
        return self.prefer.get("idtype", "").lower() == "immutableid"

    @property
    def body_type(self) -> str | None:
        """`text` or `html`, where the caller asked for one."""
        wanted = self.prefer.get("outlook.body-content-type", "").lower()
        return wanted if wanted in {"text", "html"} else None

    def page_size(self, default: int) -> int:
        """`odata.maxpagesize`, at most 1,000."""
        wanted = self.prefer.get("odata.maxpagesize", "")
        return min(int(wanted), 1000) if wanted.isdecimal() and int(wanted) > 0 else default


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; `body` is None, JSON (as it is, or as bytes), or the text of a page that is none of Graph's."""

    status: int
    body: Mapping[str, Any] | bytes | str | None
    headers: Mapping[str, str] = field(default_factory=dict)


class GraphError(Exception):
    """An error response."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


def not_implemented(what: str) -> GraphError:
    """What Graph has, or may have, and the stand-in has not; no service of Microsoft's answers so."""
    return GraphError(501, "NotImplementedBySandbox", f"The sandbox's Graph does not implement {what}.")


class GatewayPage(GraphError):
    """What stands before Graph answers in its place, with a page and no code."""

    def __init__(self, status: int) -> None:
        super().__init__(status, "", "")


@dataclass(frozen=True, slots=True)
class RequestIds:
    """The ids that an answer carries: the server's, and the client's where it sent one."""

    request: str
    client: str

    @classmethod
    def new(cls, client: str | None = None) -> "RequestIds":
        """Fresh ids; without a client's the two are the same, as in Graph."""
        request = str(uuid.uuid4())
        return cls(request, client or request)


def error_answer(error: GraphError, ids: RequestIds, now: datetime) -> Answer:
    """An error as Graph words it."""
    if isinstance(error, GatewayPage):
        return Answer(error.status, f"<html><head><title>{error.status}</title></head><body>Sorry</body></html>")
    inner = {
        "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": ids.request,
        "client-request-id": ids.client,
    }
    body = {"error": {"code": error.code, "message": error.message, "innerError": inner}}
    return Answer(error.status, body, error.headers)


def parse_prefer(values: list[str]) -> dict[str, str]:
    """`Prefer` headers (RFC 7240) as a mapping of lower-case names to values without quotes."""
    found: dict[str, str] = {}
    for preference in ",".join(values).split(","):
        name, _, value = preference.partition("=")
        if name.strip():
            found.setdefault(name.strip().lower(), value.partition(";")[0].strip().strip('"'))
    return found
