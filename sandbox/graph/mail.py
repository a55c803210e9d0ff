"""`/me`, mail folders, message lists and single messages."""

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from sandbox.exchange.mailboxes import Folder, Mailbox, Message
from sandbox.graph import query as odata
from sandbox.graph.protocol import Answer, Call, GraphError

_USER_PROPERTIES = (
    *("businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation"),
    *("preferredLanguage", "surname", "userPrincipalName", "id"),
)
_FOLDER_PROPERTIES = (
    *("id", "displayName", "parentFolderId", "childFolderCount", "unreadItemCount", "totalItemCount"),
    *("sizeInBytes", "isHidden"),
)
_LIST_OPTIONS = {"$select", "$filter", "$orderby", "$top", "$skip", "$count"}
_ID = re.compile(r"[A-Za-z0-9_=-]{20,512}")


def me(call: Call, root: str) -> Answer:
    """https://learn.microsoft.com/graph/api/user-get."""
    odata.check_options(call.query, {"$select"}, odata.FURTHER_OPTIONS)
    user = call.user
    everything: dict[str, Any] = {
        **dict.fromkeys(_USER_PROPERTIES),
        "businessPhones": [],
        "displayName": user.display_name,
        "mail": user.mail,
        "userPrincipalName": user.user_principal_name,
        "id": user.user_id,
    }
    names = odata.select(call.query, set(_USER_PROPERTIES), "microsoft.graph.user")
    shown = {name: everything[name] for name in names or _USER_PROPERTIES}
    return Answer(200, {"@odata.context": f"{root}/$metadata#users{_selected(names)}/$entity", **shown})


def find_folder(mailbox: Mailbox, name: str) -> Folder:
    """A folder by well-known name or id, else the error that Graph has for it."""
    if folder := mailbox.folder(name):
        return folder
    if _ID.fullmatch(name):
        raise GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    raise GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")


def folder(call: Call, root: str, name: str) -> Answer:
    """https://learn.microsoft.com/graph/api/mailfolder-get."""
    odata.check_options(call.query, {"$select"}, odata.FURTHER_OPTIONS)
    found = find_folder(call.mailbox, name)
    everything = {
        "id": found.id,
        "displayName": found.display_name,
        "parentFolderId": call.mailbox.root_id,
        "childFolderCount": 0,
        "unreadItemCount": sum(not message.properties["isRead"] for message in found.messages.values()),
        "totalItemCount": len(found.messages),
        "sizeInBytes": sum(len(message.properties["body"]["content"]) for message in found.messages.values()),
        "isHidden": False,
    }
    names = odata.select(call.query, set(_FOLDER_PROPERTIES), "microsoft.graph.mailFolder")
    shown = {name: everything[name] for name in names or _FOLDER_PROPERTIES}
    context = f"{root}/$metadata#users('{call.user.user_id}')/mailFolders{_selected(names)}/$entity"
    return Answer(200, {"@odata.context": context, **shown, "id": found.id})


PageCheck = Callable[[Call, Iterable[Message], tuple[str, ...] | None], None]
"""Raises where a page with these messages, in these properties, can't be had."""


def messages(call: Call, root: str, name: str, check: PageCheck) -> Answer:
    """https://learn.microsoft.com/graph/api/mailfolder-list-messages."""
    odata.check_options(call.query, _LIST_OPTIONS, odata.FURTHER_OPTIONS)
    found = find_folder(call.mailbox, name)
    names, clauses = odata.select_message(call.query), odata.filters(call.query)
    odata.check_order(call.query, clauses)
    low, high = odata.window(clauses)
    rows = [m for m in found.received_between(low, high) if all(clause.holds(m) for clause in clauses)]
    if odata.descending(call.query):
        rows.reverse()
    size = odata.number(call.query, "$top", call.page_size(10), 1, 1000)
    begin = odata.number(call.query, "$skip", 0, 0, 2**31 - 1)
    body: dict[str, Any] = {"@odata.context": _context(call, root, found, names)}
    if call.query.get("$count") == "true":
        body["@odata.count"] = len(rows)
    shown = rows[begin : begin + size]
    check(call, shown, names)
    body["value"] = [_shown(call, message, names) for message in shown]
    if begin + size < len(rows):
        following = {**call.query, "$skip": str(begin + size)}
        body["@odata.nextLink"] = f"{root}/me/mailFolders/{quote(name)}/messages?{encode(following)}"
    return Answer(200, body, applied(call))


def message(call: Call, root: str, message_id: str) -> Answer:
    """https://learn.microsoft.com/graph/api/message-get."""
    odata.check_options(call.query, {"$select"}, odata.FURTHER_OPTIONS)
    names = odata.select_message(call.query)
    if not _ID.fullmatch(message_id):
        raise GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")
    found = call.mailbox.find(message_id, immutable=call.immutable)
    if found is None:
        raise GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    context = f"{root}/$metadata#users('{call.user.user_id}')/messages{_selected(names)}/$entity"
    return Answer(200, {"@odata.context": context, **_shown(call, found, names)}, applied(call))


def _shown(call: Call, found: Message, names: tuple[str, ...] | None) -> dict[str, Any]:
    return odata.render(found, names, immutable=call.immutable, body_type=call.body_type)


def _context(call: Call, root: str, found: Folder, names: tuple[str, ...] | None) -> str:
    where = f"users('{call.user.user_id}')/mailFolders('{quote(found.id)}')/messages"
    return f"{root}/$metadata#{where}{_selected(names)}"


def _selected(names: tuple[str, ...] | None) -> str:
    return f"({','.join(names)})" if names else ""


def encode(query: dict[str, str]) -> str:
    """A query string as Graph writes its links."""
    return "&".join(f"{quote(name, safe='$')}={quote(value)}" for name, value in query.items())


def applied(call: Call) -> dict[str, str]:
    """`Preference-Applied`, for the preferences that were."""
    parts = []
    if "odata.maxpagesize" in call.prefer:
        parts.append(f"odata.maxpagesize={call.page_size(10)}")
    if call.body_type:
        parts.append(f'outlook.body-content-type="{call.body_type}"')
    if call.immutable:
        parts.append('IdType="ImmutableId"')
    return {"Preference-Applied": ", ".join(parts)} if parts else {}
