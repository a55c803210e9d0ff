"""OData query options of messages, with the rules that Outlook puts on them.

https://learn.microsoft.com/graph/query-parameters, https://learn.microsoft.com/graph/api/user-list-messages
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.exchange.mailboxes import Message
from sandbox.exchange.mime_text import html_to_text, text_to_html
from sandbox.graph.protocol import GraphError, not_implemented

PROPERTIES = (
    *("id", "createdDateTime", "lastModifiedDateTime", "changeKey", "categories", "receivedDateTime", "sentDateTime"),
    *("hasAttachments", "internetMessageId", "subject", "bodyPreview", "importance", "parentFolderId"),
    *("conversationId", "isDeliveryReceiptRequested", "isReadReceiptRequested", "isRead", "isDraft", "webLink"),
    *("inferenceClassification", "body", "sender", "from", "toRecipients", "ccRecipients", "bccRecipients"),
    *("replyTo", "flag"),
)
"""What Graph returns of a message unless told otherwise."""

ON_REQUEST = ("internetMessageHeaders",)
"""What it returns only where `$select` names it: https://learn.microsoft.com/graph/api/resources/message."""

FURTHER_OPTIONS = frozenset({"$search", "$expand", "$format", "$filter", "$orderby", "$top", "$skip", "$count"})
"""What Graph may take of one resource or another: https://learn.microsoft.com/graph/query-parameters."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}
_CLAUSE = re.compile(r"(\w+)\s+(eq|ge|gt|le|lt)\s+(\S+)")
_BOOLEANS = {"isRead", "hasAttachments", "isDraft"}


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison of a `$filter`; `value` is a time or a bool."""

    name: str
    operator: str
    value: Any

    def holds(self, message: Message) -> bool:
        """Whether a message satisfies it. Times are compared with all their fractions."""
        if self.name != "receivedDateTime":
            return bool(message.properties[self.name] == self.value)
        return _COMPARE[self.operator](message.received, self.value)


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """A 400."""
    return GraphError(400, code, message)


def check_options(query: Mapping[str, str], known: set[str], further: frozenset[str] = frozenset()) -> None:
    """Refuses query options that the operation does not have; names without `$` are accepted as Graph does.

    `further`: options that Graph may have for it, and the stand-in has not.
    """
    for name in query:
        if name.startswith("$") and name not in known:
            if name in further:
                raise not_implemented(f"the query option {name} here")
            raise bad_request(f"Query option '{name}' is not allowed.", "ErrorInvalidUrlQuery")


def select(query: Mapping[str, str], allowed: set[str], typename: str) -> tuple[str, ...] | None:
    """The properties that `$select` names, or None."""
    text = query.get("$select", "")
    if not text:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in allowed:
            reason = f"Could not find a property named '{name}' on type '{typename}'."
            raise bad_request(f"Parsing OData Select and Expand failed: {reason}")
    return names


def select_message(query: Mapping[str, str]) -> tuple[str, ...] | None:
    """`$select` of a message."""
    return select(query, {*PROPERTIES, *ON_REQUEST}, "microsoft.graph.message")


def number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number such as `$top`."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise bad_request(f"Invalid value '{text}' for {name} query option found. It must be from {low} to {high}.")
    return int(text)


def filters(query: Mapping[str, str]) -> tuple[Clause, ...]:
    """The clauses of `$filter`, joined by `and`."""
    text = query.get("$filter", "").strip()
    return tuple(_clause(part) for part in re.split(r"\s+and\s+", text)) if text else ()


def _clause(text: str) -> Clause:
    match = _CLAUSE.fullmatch(text.strip())
    if match is None and re.search(r"[('/]|\s(or|ne|not|in)\s", text):
        raise not_implemented("this $filter, only comparisons joined by `and`")
    if match is None:
        raise bad_request(f"Invalid filter clause: Syntax error in '{text}'.")
    name, comparison, literal = match.groups()
    if name == "receivedDateTime":
        return Clause(name, comparison, parse_time(literal))
    if name in _BOOLEANS and comparison == "eq" and literal in {"true", "false"}:
        return Clause(name, comparison, literal == "true")
    if name in PROPERTIES and name not in _BOOLEANS:
        raise not_implemented(f"a $filter by {name}, only by receivedDateTime and flags")
    raise bad_request("Invalid filter clause", "ErrorInvalidUrlQueryFilter")


def parse_time(literal: str) -> datetime:
    """An OData DateTimeOffset, or a date."""
    try:
        when = datetime.fromisoformat(literal)
    except ValueError:
        when = None
    if when is None or (when.tzinfo is None and len(literal) != 10):
        raise bad_request(f"Invalid filter clause: The DateTimeOffset text '{literal}' is not in the expected format.")
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def descending(query: Mapping[str, str]) -> bool:
    """The order of a message list: by received time, newest first unless `$orderby` says otherwise."""
    text = query.get("$orderby")
    if text is None:
        return True
    match = re.fullmatch(r"receivedDateTime(\s+(asc|desc))?", text.strip())
    if match is None:
        raise bad_request("The restriction or sort order is too complex for this operation.", "InefficientFilter")
    return match[2] == "desc"


def check_order(query: Mapping[str, str], clauses: tuple[Clause, ...]) -> None:
    """Whatever is sorted by must come first in the filter, where there is one."""
    if "$orderby" in query and clauses and clauses[0].name != "receivedDateTime":
        raise bad_request("The restriction or sort order is too complex for this operation.", "InefficientFilter")


def window(clauses: tuple[Clause, ...]) -> tuple[datetime | None, datetime | None]:
    """Bounds that hold everything the clauses admit, to search by; the clauses decide."""
    low = [c.value for c in clauses if c.name == "receivedDateTime" and c.operator in {"ge", "gt", "eq"}]
    high = [c.value for c in clauses if c.name == "receivedDateTime" and c.operator in {"le", "lt", "eq"}]
    return max(low, default=None), min(high, default=None)


def render(
    message: Message, names: tuple[str, ...] | None, *, immutable: bool, body_type: str | None
) -> dict[str, Any]:
    """A message as Graph shows it. What it does not have (`from` of a message by nobody) is left out.

    `body_type`: as asked for; where nothing is asked for, bodies are HTML, also those that came as plain text:
    https://learn.microsoft.com/graph/api/message-get#request-headers. Delta says nothing of it, and does the same.
    """
    shown: dict[str, Any] = {
        "@odata.etag": f'W/"{message.properties["changeKey"]}"',
        "id": message.immutable_id if immutable else message.id,
    }
    own = message.properties
    for name in PROPERTIES if names is None else names:
        if name in own:
            shown[name] = own[name]
        elif name == "parentFolderId":
            shown[name] = message.folder_id
    if "body" in shown:
        shown["body"] = _converted(own["body"], body_type or "html")
    return shown


def _converted(body: dict[str, str], wanted: str) -> dict[str, str]:
    if body["contentType"] == wanted:
        return body
    convert: Callable[[str], str] = html_to_text if wanted == "text" else text_to_html
    return {"contentType": wanted, "content": convert(body["content"])}
