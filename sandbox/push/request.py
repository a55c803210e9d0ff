"""What a request about a subscription asks for, or the 400 that Graph answers.

https://learn.microsoft.com/graph/api/resources/subscription
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from sandbox.graph.mail import find_folder
from sandbox.graph.protocol import Call, GraphError

MAX_CLIENT_STATE = 128
MIN_LIFE = timedelta(minutes=45)
"""A shorter life is raised to this."""
MAX_LIFE_MINUTES = 10_080

_KNOWN = {
    *("changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "expirationDateTime", "clientState"),
    *("latestSupportedTlsVersion", "includeResourceData", "@odata.type"),
}
_CHANGE_TYPES = {"created", "updated", "deleted"}
_TLS_VERSIONS = {"v1_0", "v1_1", "v1_2", "v1_3"}
_RESOURCE = re.compile(
    r"/?(?:me|users(?:/(?P<user>[^/()]+)|\('(?P<named>[^']+)'\)))"
    r"(?:/mailFolders(?:/(?P<folder>[^/()]+)|\('(?P<quoted>[^']+)'\)))?/messages/?",
    re.IGNORECASE,
)


def body(call: Call) -> dict[str, Any]:
    """The JSON object that was sent."""
    try:
        content = json.loads(call.body)
    except ValueError as error:
        raise _bad("Unable to read JSON request payload. Please ensure Content-Type header is set.") from error
    if not isinstance(content, dict):
        raise _bad("Unable to read JSON request payload.")
    if unknown := sorted(content.keys() - _KNOWN):
        raise _bad(f"The property '{unknown[0]}' does not exist on type 'microsoft.graph.subscription'.")
    return content


def change_types(content: Mapping[str, Any]) -> frozenset[str]:
    """`changeType`: one or more, with commas between."""
    types = [part.strip().lower() for part in _text(content, "changeType").split(",")]
    if len(set(types)) != len(types) or not _CHANGE_TYPES.issuperset(types):
        raise _invalid("Subscription change type is invalid.")
    return frozenset(types)


def folder(call: Call, content: Mapping[str, Any]) -> str | None:
    """The id of the folder that `resource` names; None for all messages of the mailbox."""
    match = _RESOURCE.fullmatch(_text(content, "resource"))
    if match is None:
        raise _invalid("Resource is not supported for change notifications.")
    named = match["user"] or match["named"]
    if named and unquote(named).lower() not in {call.user.user_id, call.user.user_principal_name.lower()}:
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    name = match["folder"] or match["quoted"]
    return find_folder(call.mailbox, unquote(name)).id if name else None


def url(content: Mapping[str, Any], name: str) -> str:
    """A notification URL, which must be HTTPS."""
    text = _text(content, name)
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        usable = False
    if not usable or parts.scheme.lower() != "https" or not text.isascii() or " " in text:
        raise _invalid(f"The {name} must be an absolute https URL.")
    return text


def lifecycle_url(content: Mapping[str, Any]) -> str | None:
    """`lifecycleNotificationUrl`, where there is one."""
    return url(content, "lifecycleNotificationUrl") if content.get("lifecycleNotificationUrl") is not None else None


def client_state(content: Mapping[str, Any]) -> str | None:
    """`clientState`, where there is one."""
    state = content.get("clientState")
    if state is None:
        return None
    if not isinstance(state, str) or len(state) > MAX_CLIENT_STATE:
        raise _invalid(f"The clientState must be a string of at most {MAX_CLIENT_STATE} characters.")
    return state


def tls_version(content: Mapping[str, Any]) -> str:
    """`latestSupportedTlsVersion`."""
    version = content.get("latestSupportedTlsVersion", "v1_2")
    if version not in _TLS_VERSIONS:
        raise _invalid("The latestSupportedTlsVersion is invalid.")
    return str(version)


def refuse_resource_data(content: Mapping[str, Any]) -> None:
    """Notifications with resource data need a certificate to encrypt them with, which the app does not have."""
    if content.get("includeResourceData"):
        raise _invalid("The encryptionCertificate is required when includeResourceData is true.")


def expiration(content: Mapping[str, Any], now: datetime, max_minutes: int) -> datetime:
    """`expirationDateTime`, at least 45 minutes away, at most so many minutes."""
    text = content.get("expirationDateTime")
    if text is None:
        raise _invalid("expirationDateTime is a required property for subscription creation.")
    try:
        wanted = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise _bad("Cannot convert the literal to the expected type 'Edm.DateTimeOffset'.") from error
    if wanted.tzinfo is None:
        raise _bad("Cannot convert the literal to the expected type 'Edm.DateTimeOffset'.")
    if wanted <= now:
        raise extension_error(400, "Subscription expiration must be in the future.")
    if wanted > now + timedelta(minutes=max_minutes):
        raise extension_error(400, f"Subscription expiration can only be {max_minutes} minutes in the future.")
    return max(wanted, now + MIN_LIFE)


def extension_error(status: int, message: str) -> GraphError:
    """An error of the service that keeps subscriptions."""
    return GraphError(status, "ExtensionError", message)


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise _invalid(f"{name} is a required property for subscription creation.")
    return value


def _bad(message: str) -> GraphError:
    return GraphError(400, "BadRequest", message)


def _invalid(message: str) -> GraphError:
    return GraphError(400, "InvalidRequest", message)
