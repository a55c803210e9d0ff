"""One table of the storage account, in the program's terms: plain dicts, ETags, and this program's errors.

https://learn.microsoft.com/rest/api/storageservices/table-service-rest-api
Imports the SDK, which is heavy: stores import this module when they are built, not before.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from azure.core.rest import HttpResponse

from mailsync.adapters.azure_sdk import refusal
from mailsync.adapters.storage import entities, transactions
from mailsync.adapters.storage.entities import Change, Entity
from mailsync.adapters.storage.table_service import TableService
from mailsync.errors import RetryLater, StaleWrite
from mailsync.reasons import Reason
from mailsync.settings import Storage

PAGE = 1000
"""Rows in one answer to a query, at the most."""

_JSON = {"Content-Type": "application/json"}
_BATCH = {"Accept": "application/json", "MaxDataServiceVersion": "3.0;NetFx"}
_PLACES = {"x-ms-continuation-NextPartitionKey": "NextPartitionKey", "x-ms-continuation-NextRowKey": "NextRowKey"}
"""Headers that say where the next page begins, and the parameters that ask for it."""

_NO_ACCESS = {"AuthenticationFailed", "InvalidAuthenticationInfo"}
"""Codes of a refused key or token. They come with 400 too, where the service cannot read it."""

_decoder = msgspec.json.Decoder(dict[str, Any])


class Table:
    """A table. Threads may share it. Methods raise RetryLater, Misconfigured, Rejected, and what they name."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._service = TableService(storage)
        self._name = name

    def get(self, partition: str, row: str, names: list[str] | None = None) -> Entity | None:
        """One row, or None. `names`: the only properties wanted.

        https://learn.microsoft.com/rest/api/storageservices/query-entities
        """
        wanted = f"?$select={','.join(names)}" if names else ""
        answer = self._service.send("GET", entities.path(self._name, partition, row) + wanted)
        if _is_gone(answer):
            return None
        return _entities(answer, lambda content: [content])[0]

    def query(self, condition: str, names: list[str] | None = None) -> Iterator[Entity]:
        """Rows that fulfil an OData filter, in key order within a partition, read as they are asked for.

        `names`: the only properties wanted.
        """
        for page in self.pages(condition, names):
            yield from page

    def pages(self, condition: str, names: list[str] | None = None) -> Iterator[list[Entity]]:
        """`query` by the service's pages: one remote call each."""
        place: dict[str, str] = {}
        while True:
            page, place = self._page(condition, names, PAGE, place)
            yield page
            if not place:
                return

    def first_page(self, condition: str, names: list[str] | None, most: int) -> tuple[list[Entity], bool]:
        """One answer to a query, of up to `most` rows; and whether there may be more."""
        page, place = self._page(condition, names, min(most, PAGE), {})
        return page, bool(place)

    def _page(
        self, condition: str, names: list[str] | None, most: int, place: dict[str, str]
    ) -> tuple[list[Entity], dict[str, str]]:
        """One answer to a query from a place on, and the place behind it, which is empty at the end."""
        wanted = {"$filter": condition, "$top": str(most)} | ({"$select": ",".join(names)} if names else {})
        query = urlencode(wanted | place, quote_via=quote)
        answer = self._service.send("GET", f"{self._name}()?{query}")
        behind = {name: answer.headers[header] for header, name in _PLACES.items() if header in answer.headers}
        return _entities(answer, lambda content: content["value"]), behind

    def create(self, row: Mapping[str, Any]) -> str:
        """Inserts a row; returns its ETag. Raises StaleWrite where the key is taken.

        https://learn.microsoft.com/rest/api/storageservices/insert-entity
        """
        content = entities.encode(row)
        answer = self._service.send("POST", self._name, content, _JSON | {"Prefer": "return-no-content"})
        return _good(answer).headers["ETag"]

    def replace(self, row: Mapping[str, Any], etag: str) -> str:
        """Replaces a row that still has this ETag; returns the new one. Raises StaleWrite.

        https://learn.microsoft.com/rest/api/storageservices/update-entity2
        """
        answer = self._change("PUT", row, etag)
        if _is_gone(answer):
            raise StaleWrite("the row is gone")
        return _good(answer).headers["ETag"]

    def merge(self, row: Mapping[str, Any]) -> bool:
        """Sets some properties of a row, whatever its ETag; False where there is no such row.

        https://learn.microsoft.com/rest/api/storageservices/merge-entity
        """
        answer = self._change("PATCH", row, "*")
        if _is_gone(answer):
            return False
        _good(answer)
        return True

    def delete(self, partition: str, row: str, etag: str) -> bool:
        """Deletes a row that still has this ETag; False where it has changed or is gone.

        https://learn.microsoft.com/rest/api/storageservices/delete-entity1
        """
        path = entities.path(self._name, partition, row)
        answer = self._service.send("DELETE", path, headers={"If-Match": etag})
        if answer.status_code == 412 or _is_gone(answer):
            return False
        _good(answer)
        return True

    def transact(self, changes: Iterable[Change]) -> list[str | None]:
        """Makes all changes, at most MOST_CHANGES of one partition, or none; returns the new ETags in order.

        Raises StaleWrite where a created row exists, or a replaced, merged or deleted one is gone or has changed.
        """
        return self.send([self.encode(change) for change in changes])

    def encode(self, change: Change) -> bytes:
        """A change for `send`. No call."""
        return transactions.encode(change, f"{self._service.address}/{self._name}")

    def send(self, changes: Sequence[bytes]) -> list[str | None]:
        """`transact` with changes that are encoded already.

        https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
        """
        content_type, body = transactions.together(changes)
        answer = self._service.send("POST", "$batch", body, _BATCH | {"Content-Type": content_type})
        try:
            parts = transactions.decode(_good(answer).content)
        except ValueError as error:
            raise _unreadable() from error
        for part in parts:
            if part.status == 404 and part.code != "TableNotFound":
                raise StaleWrite("a row of the transaction is gone")
            if part.status >= 300:
                raise refusal("storage", part.status, part.code, answer.headers)
        return [part.etag for part in parts]

    def _change(self, method: str, row: Mapping[str, Any], etag: str) -> HttpResponse:
        path = entities.path(self._name, row["PartitionKey"], row["RowKey"])
        return self._service.send(method, path, entities.encode(row), _JSON | {"If-Match": etag})


def _is_gone(answer: HttpResponse) -> bool:
    """Whether there is no such row; where there is no such table, that is another matter."""
    return answer.status_code == 404 and _code(answer) != "TableNotFound"


def _good(answer: HttpResponse) -> HttpResponse:
    """An answer that is no refusal. Raises what the status says."""
    if answer.status_code < 300:
        return answer
    code = _code(answer)
    status = 403 if code in _NO_ACCESS else answer.status_code
    raise refusal("storage", status, code, answer.headers)


def _code(answer: HttpResponse) -> str:
    """The service's own code for an error. Where it is no one that JSON or a header can tell, "no code"."""
    code = answer.headers.get("x-ms-error-code", "")
    return code if code.isalnum() and code.isascii() else transactions.code_in(answer.content)


def _entities(answer: HttpResponse, rows: Callable[[dict[str, Any]], Iterable[Mapping[str, Any]]]) -> list[Entity]:
    content = _good(answer).content
    try:
        return [entities.decode(row) for row in rows(_decoder.decode(content))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable() from error


def _unreadable() -> RetryLater:
    return RetryLater(Reason.STORAGE_UNAVAILABLE, "Storage gave an answer that cannot be read.")
