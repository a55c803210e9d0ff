"""Delta queries of the messages in a folder.

https://learn.microsoft.com/graph/delta-query-messages, https://learn.microsoft.com/graph/api/message-delta and
https://learn.microsoft.com/graph/delta-query-overview
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

from sandbox.exchange.mailboxes import Change, Folder, Message
from sandbox.graph import faults
from sandbox.graph import query as odata
from sandbox.graph.delta_tokens import DeltaTokens
from sandbox.graph.mail import PageCheck, applied, find_folder
from sandbox.graph.protocol import Answer, Call, GraphError
from sandbox.microsoft365.world import World

FILTERED_CAP = 5000
"""How many messages a filtered enumeration returns at the most."""

_EMPTY_PAGE_EVERY = 8
_OPTIONS = {"$select", "$filter", "$orderby", "$top"}
_TOKENS = {"$skiptoken", "$deltatoken"}
_KINDS = {"created": "created", "updated": "updated", "deleted": "removed"}


@dataclass(frozen=True, slots=True)
class Query:
    """What a client asked for at the start; tokens carry it from then on."""

    names: tuple[str, ...] | None = None
    clauses: tuple[odata.Clause, ...] = ()
    newest_first: bool = False
    page_size: int = 10
    kinds: frozenset[str] = frozenset(_KINDS.values())


@dataclass(frozen=True, slots=True)
class Entry:
    """What a round has to say of a message. `shown_id`: its mutable id when it left the folder."""

    kind: Literal["created", "updated", "removed"]
    message: Message
    shown_id: str = ""
    properties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class State:
    """What a token stands for. `entries` None: the round is over, the next one begins at `seen` in the log."""

    query: Query
    seen: int
    entries: Sequence[Entry] | None = None
    position: int = 0
    page: int = 0


class Delta:
    """The delta function of one world."""

    def __init__(self, world: World, check: PageCheck) -> None:
        self._world = world
        self._check = check
        self._tokens: DeltaTokens[State] = DeltaTokens()
        self._enumerations = 0

    def answer(self, call: Call, root: str, name: str) -> Answer:
        """One page."""
        address = call.user.user_principal_name
        if self._world.faults.take(faults.OVER_QUOTA, address=address):
            message = "The mailbox has exceeded its storage quota."
            raise GraphError(403, "ErrorQuotaExceeded", message)
        folder = find_folder(call.mailbox, name)
        state = self._state(call, root, folder)
        if state.entries is None:
            state = self._next_round(call, folder, state)
        return self._page(call, root, folder, state)

    def _state(self, call: Call, root: str, folder: Folder) -> State:
        given = [(name, value) for name, value in call.query.items() if name in _TOKENS]
        if not given:
            return self._start(call, folder, self._query(call))
        odata.check_options(call.query, _TOKENS)
        (name, token) = given[0]
        if name == "$deltatoken" and not token:
            return self._start(call, folder, Query())
        fault = self._world.faults.take(faults.DELTA_EXPIRED, address=call.user.user_principal_name)
        state = self._tokens.find(token, call.user.user_id, folder.id)
        if fault or state is None:
            code = fault["code"] if fault else "SyncStateNotFound"
            fresh = {"Location": f"{_url(root, folder)}?$deltatoken="} if fault is None or fault["location"] else {}
            raise GraphError(410, code, "The sync state generation is not found.", fresh)
        return state

    def _query(self, call: Call) -> Query:
        """Checks what may be asked of delta."""
        odata.check_options(call.query, _OPTIONS)
        if call.query.get("$orderby", "receivedDateTime desc").split() != ["receivedDateTime", "desc"]:
            raise _unsupported("$orderby", "receivedDateTime desc")
        kind = call.query.get("changeType")
        if kind is not None and kind not in _KINDS:
            raise _unsupported("changeType", "created, updated or deleted")
        return Query(
            names=odata.select_message(call.query),
            clauses=self._filter(call),
            newest_first="$orderby" in call.query,
            page_size=odata.number(call.query, "$top", 10, 1, 1000),
            kinds=frozenset([_KINDS[kind]] if kind else _KINDS.values()),
        )

    def _filter(self, call: Call) -> tuple[odata.Clause, ...]:
        if "$filter" not in call.query:
            return ()
        refused = self._world.faults.take(faults.DELTA_FILTER_REFUSED, address=call.user.user_principal_name)
        clauses = odata.filters(call.query)
        fits = len(clauses) == 1 and clauses[0].name == "receivedDateTime" and clauses[0].operator in {"ge", "gt"}
        if refused or not fits:
            raise _unsupported("$filter", "receivedDateTime ge value")
        return clauses

    def _start(self, call: Call, folder: Folder, query: Query) -> State:
        """Enumerates the folder as it stands; what a filter leaves over the cap is left out, whichever it is."""
        self._enumerations += 1
        chance = random.Random(f"{folder.id}/{self._enumerations}")
        low, _ = odata.window(query.clauses)
        rows = [m for m in folder.received_between(low, None) if all(clause.holds(m) for clause in query.clauses)]
        rows.reverse()
        if query.clauses:
            rows = self._capped(call, rows, chance)
        if not query.newest_first:
            chance.shuffle(rows)
        entries = [Entry("created", message) for message in rows if "created" in query.kinds]
        return State(query, len(folder.changes), entries)

    def _capped(self, call: Call, rows: list[Message], chance: random.Random) -> list[Message]:
        fault = self._world.faults.take(faults.DELTA_CAP, address=call.user.user_principal_name)
        cap, order = (int(fault["cap"]), fault["order"]) if fault else (FILTERED_CAP, "random")
        if len(rows) <= cap:
            return rows
        if order == "newest":
            return rows[:cap]
        if order == "oldest":
            return rows[-cap:]
        return [rows[i] for i in sorted(chance.sample(range(len(rows)), cap))]

    def _next_round(self, call: Call, folder: Folder, state: State) -> State:
        """What has changed since the last round, each message once, by its last change."""
        address, ordered = call.user.user_principal_name, self._world.faults
        if ordered.take(faults.DELTA_LAG, address=address):
            return replace(state, entries=(), position=0, page=0)
        begin = state.seen
        if fault := ordered.take(faults.DELTA_REPLAY, address=address):
            begin = max(0, begin - int(fault["changes"]))
        entries = [
            entry
            for entry in _collapsed(folder.changes[begin:])
            if entry.kind in state.query.kinds and all(clause.holds(entry.message) for clause in state.query.clauses)
        ]
        return replace(state, seen=len(folder.changes), entries=entries, position=0, page=0)

    def _page(self, call: Call, root: str, folder: Folder, state: State) -> Answer:
        address, entries = call.user.user_principal_name, state.entries or ()
        size = call.page_size(state.query.page_size)
        over = state.position + size >= len(entries)
        regular = not over and state.page % _EMPTY_PAGE_EVERY == _EMPTY_PAGE_EVERY - 1
        if regular or self._world.faults.take(faults.DELTA_EMPTY_PAGE, address=address):
            shown, over, size = [], False, 0
        else:
            shown = self._rows(call, folder, state, entries[state.position : state.position + size])
        following = replace(state, position=state.position + size, page=state.page + 1)
        token = self._tokens.issue(State(state.query, state.seen) if over else following, call.user.user_id, folder.id)
        link = f"{self._link_root(root, address, folder)}?{'$deltatoken' if over else '$skiptoken'}={token}"
        body = {
            "@odata.context": f"{root}/$metadata#Collection(message)",
            "@odata.deltaLink" if over else "@odata.nextLink": link,
            "value": shown,
        }
        return Answer(200, body, applied(call))

    def _link_root(self, root: str, address: str, folder: Folder) -> str:
        fault = self._world.faults.take(faults.FOREIGN_LINK, address=address)
        return _url(f"https://{fault['host']}/v1.0" if fault else root, folder)

    def _rows(self, call: Call, folder: Folder, state: State, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        self._check(call, (entry.message for entry in entries if entry.kind != "removed"), state.query.names)
        address, ordered = call.user.user_principal_name, self._world.faults
        hidden = () if ordered.take(faults.DELTA_HEADERS, address=address) else odata.ON_REQUEST
        whole = ordered.take(faults.DELTA_WHOLE, address=address) is not None
        names = tuple(
            n for n in (odata.PROPERTIES if state.query.names is None else state.query.names) if n not in hidden
        )
        rows = []
        for entry in entries:
            row: dict[str, Any] = {"@odata.type": "#microsoft.graph.message"}
            if entry.kind == "removed":
                shown_id = entry.message.immutable_id if call.immutable else entry.shown_id
                rows.append({**row, "id": shown_id, "@removed": {"reason": "deleted"}})
            elif entry.message.immutable_id in folder.messages:  # else it has left since; the next round says so
                wanted = names if whole or entry.kind == "created" else tuple(n for n in names if n in entry.properties)
                rows.append(
                    row | odata.render(entry.message, wanted, immutable=call.immutable, body_type=call.body_type)
                )
        return rows


def _collapsed(changes: Iterable[Change]) -> Iterable[Entry]:
    latest: dict[Message, Entry] = {}
    for change in changes:
        before = latest.pop(change.message, None)
        entry = Entry(change.kind, change.message, change.shown_id, change.properties)
        if before and before.kind == "created" and change.kind == "updated":
            entry = before
        elif before and before.kind == "updated" and change.kind == "updated":
            entry = replace(entry, properties=before.properties | change.properties)
        latest[change.message] = entry
    return latest.values()


def _url(root: str, folder: Folder) -> str:
    return f"{root}/me/mailFolders('{quote(folder.id, safe='=')}')/messages/delta"


def _unsupported(option: str, supported: str) -> GraphError:
    message = (
        f"The '{option}' parameter value is not supported for 'Messages' resource; "
        f"only a value of '{supported}' is supported."
    )
    return GraphError(400, "ErrorInvalidUrlQuery", message)
