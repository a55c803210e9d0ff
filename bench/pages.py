"""Graph's answers about one mailbox, as bytes that are made beforehand. Nothing is checked: its time must not count."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self
from urllib.parse import unquote

from bench import corpus

USUAL = 10
"""Messages a page where nobody asks for another number, as Graph has it."""
INBOX = "inbox"
LOST = "lost"
"""A delta token that is no longer known."""
_LARGE = 230_000
"""Characters of a large body; one at its end that Python keeps in four bytes, as it then does all the others."""
_ENDS = (datetime.now(UTC) + timedelta(days=6)).isoformat()
_KIND = re.compile(r"(?P<size>\d+)(?:\+(?P<more>\d+))?(?P<bare>-bare)?(?P<large>-large)?(?:-(?P<milliseconds>\d+)ms)?")
_BOUND = re.compile(r"receivedDateTime (gt|ge|lt|le) ([0-9TZ:.+-]+)")
_WANTED_SIZE = re.compile(r"odata\.maxpagesize=(\d+)")
_TOP = re.compile(r"\$top=(\d+)")
_SKIP = re.compile(r"\$skip=(\d+)")
_TOKEN = re.compile(r"\$(skip|delta)token=(\w+)(?:\.(\d+))?")


class Kind(NamedTuple):
    """What a mailbox is like, written as in `1000+500-bare-100ms`.

    `size`: messages of a folder when it is first enumerated; `more`: those that its delta link brings then. `bare`:
    delta leaves the headers out, as the stand-in has it. `large`: a page of 100 is nearly what one answer may hold.
    `milliseconds`: what every answer waits.
    """

    size: int
    more: int = 0
    bare: bool = False
    milliseconds: int = 0
    large: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """The kind that a text names. Raises ValueError."""
        match = _KIND.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no kind of mailbox")
        size, more, milliseconds = (int(match[name] or 0) for name in ("size", "more", "milliseconds"))
        return cls(size, more, bool(match["bare"]), milliseconds, bool(match["large"]))

    def __str__(self) -> str:
        more = f"+{self.more}" if self.more else ""
        wait = f"-{self.milliseconds}ms" if self.milliseconds else ""
        return f"{self.size}{more}{'-bare' if self.bare else ''}{'-large' if self.large else ''}{wait}"


class Folder:
    """The messages of a folder, newest first; those that come later are the first."""

    def __init__(self, name: str, kind: Kind, first: datetime) -> None:
        self.id = f"AQMkAG{name.title()}="
        start = 0 if name == INBOX else 1_000_000  # other messages than the inbox has
        numbers = range(start, start + kind.size + kind.more)
        self.times = [corpus.received_at(number - start, first) for number in numbers]
        shown = [
            corpus.message(number, first)
            | {"parentFolderId": self.id, "receivedDateTime": time.isoformat().replace("+00:00", "Z")}
            for number, time in zip(numbers, self.times, strict=True)
        ]
        if kind.large:
            body = {"contentType": "html", "content": "x" * _LARGE + "\N{E-MAIL SYMBOL}"}
            shown = [message | {"body": body} for message in shown]
        self.ids = [str(message["id"]) for message in shown]
        self.whole = [json.dumps(message).encode() for message in shown]
        self.delta = [_bare(message) for message in shown] if kind.bare else self.whole


class Mailbox:
    """The answers of one mailbox, as they go over the wire."""

    def __init__(self, origin: str, kind: Kind, first: datetime) -> None:
        self._root = f"{origin}/{kind}/v1.0"
        self.kind = kind
        self._first = first
        self._folders = {INBOX: Folder(INBOX, kind, first)}
        self._by_id = dict(zip(self._folders[INBOX].ids, self._folders[INBOX].whole, strict=True))
        self._answers: dict[tuple[str, int], bytes] = {}

    def folder(self, name: str) -> Folder:
        """A folder by its name or id, made when it is first asked for."""
        known = next((folder for folder in self._folders.values() if name == folder.id), None)
        name = name.lower()
        if known is None and name not in self._folders:
            made = self._folders[name] = Folder(name, self.kind, self._first)
            self._by_id |= dict(zip(made.ids, made.whole, strict=True))
        return known or self._folders[name]

    def answer(self, path: str, query: str, prefer: str = "", body: bytes = b"") -> bytes:
        """The whole response; `path` is below the root."""
        if path == "/$batch":
            return _response(self._batch(body))
        wanted = _WANTED_SIZE.search(prefer)
        size = int(wanted[1]) if wanted else 0
        known = self._answers.get((f"{path}?{query}", size))
        if known is None:
            known = self._answers[f"{path}?{query}", size] = self._made(unquote(path), unquote(query), size)
        return known

    def prepare(self) -> None:
        """Makes the pages of the enumeration now, in the sizes that the program and the rivals ask for."""
        for size in (100, 200):
            self._prepare(size)

    def _prepare(self, size: int) -> None:
        link = "$select=id"
        path = f"/me/mailFolders/{INBOX}/messages/delta"
        while "deltatoken=end" not in link:
            page = json.loads(self.answer(path, link, f"odata.maxpagesize={size}").partition(b"\r\n\r\n")[2])
            link = (page.get("@odata.nextLink") or page["@odata.deltaLink"]).partition("?")[2]

    def _made(self, path: str, query: str, size: int) -> bytes:
        if path == "/subscriptions":
            return _response(b'{"id":"subscription","expirationDateTime":"%s"}' % _ENDS.encode())
        _, _, rest = path.partition("/mailFolders/")
        name, _, below = rest.partition("/")
        if not name and path.startswith("/me/messages/"):
            return _response(self._by_id[path.removeprefix("/me/messages/")])
        if not name:
            return _response(b'{"id":"bbbbbbbb-0000-4000-8000-00000000000b","userPrincipalName":"hello@contoso.com"}')
        folder = self.folder(name)
        if below in {"messages/delta", "messages/delta()"}:
            return self._delta(name, folder, query, size)
        if below == "messages":
            return _response(self._list(name, folder, query))
        return _response(b'{"id":"%s","displayName":"%s"}' % (folder.id.encode(), name.encode()))

    def _delta(self, name: str, folder: Folder, query: str, size: int) -> bytes:
        """An enumeration of what was there first, and then of what came; `size` is kept in the links."""
        match = _TOKEN.search(query)
        kind, token, kept = match.groups() if match else ("skip", f"first{self.kind.more}", None)
        if token == LOST:
            return _response(b'{"error":{"code":"SyncStateNotFound","message":"It is not known."}}', "410 Gone")
        size = int(kept or size or USUAL)
        phase = {"end": "news", "done": "none"}.get(token) or token.rstrip("0123456789")
        start = int(token.removeprefix(phase)) if kind == "skip" else 0
        last = {"first": len(folder.ids), "news": self.kind.more, "none": 0}[phase]
        end = min(start + size, last)
        if end < last:
            link, text = "nextLink", f"$skiptoken={phase}{end}.{size}"
        else:
            link, text = (
                "deltaLink",
                f"$deltatoken={'end' if phase == 'first' or not self.kind.more else 'done'}.{size}",
            )
        return _response(self._page(name, folder.delta[start:end], link, text))

    def _list(self, name: str, folder: Folder, query: str) -> bytes:
        """What is there now, newest first; of a filter, its bounds by time. It counts what was there first."""
        bounds = [(sign, datetime.fromisoformat(text)) for sign, text in _BOUND.findall(query)]
        found = [number for number, time in enumerate(folder.times) if all(_within(time, *bound) for bound in bounds)]
        if "$count=true" in query:
            before_news = sum(number >= self.kind.more for number in found)
            shown = b'{"id":"%s","parentFolderId":"%s"}' % (folder.ids[-1].encode(), folder.id.encode())
            return b'{"@odata.count":%d,"value":[%s]}' % (before_news, shown if found else b"")
        size, skip = (int(match[1]) if match else 0 for match in (_TOP.search(query), _SKIP.search(query)))
        page = found[skip : skip + (size or USUAL)]
        more = skip + len(page) < len(found)
        rest = re.sub(r"&?\$skip=\d+", "", query).replace(" ", "%20")
        text = f"{rest}&$skip={skip + len(page)}"
        return self._page(name, [folder.whole[number] for number in page], "nextLink" if more else "", text, "messages")

    def _page(self, name: str, messages: list[bytes], link: str, query: str, below: str = "messages/delta") -> bytes:
        text = f'"@odata.{link}":"{self._root}/me/mailFolders/{name}/{below}?{query}",' if link else ""
        return b'{%s"value":[%s]}' % (text.encode(), b",".join(messages))

    def _batch(self, body: bytes) -> bytes:
        """Whole messages, asked for one by one: https://learn.microsoft.com/graph/json-batching."""
        parts = []
        for request in json.loads(body)["requests"]:
            message = self._by_id[unquote(request["url"].partition("?")[0].rpartition("/")[2])]
            parts.append(b'{"id":"%s","status":200,"headers":{},"body":%s}' % (str(request["id"]).encode(), message))
        return b'{"responses":[%s]}' % b",".join(parts)


def _within(time: datetime, sign: str, bound: datetime) -> bool:
    return {"gt": time > bound, "ge": time >= bound, "lt": time < bound, "le": time <= bound}[sign]


def _bare(message: dict[str, object]) -> bytes:
    return json.dumps({name: value for name, value in message.items() if name != "internetMessageHeaders"}).encode()


def _response(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
