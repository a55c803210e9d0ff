"""One table of the storage account, in the program's terms: plain dicts, ETags, and this program's errors.

https://learn.microsoft.com/rest/api/storageservices/table-service-rest-api
Imports the SDK, which is heavy: stores import this module when they are built, not before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.data.tables import UpdateMode

from mailsync.adapters.azure_sdk import code_of, converted, refusal
from mailsync.adapters.storage import transactions
from mailsync.adapters.storage.entities import Change, Entity
from mailsync.adapters.storage.services import table_service
from mailsync.errors import RetryLater, StaleWrite
from mailsync.settings import Storage

PAGE = 1000
"""Rows in one answer to a query, at the most."""


_HEADERS = {"Accept": "application/json", "DataServiceVersion": "3.0", "MaxDataServiceVersion": "3.0;NetFx"}


class Table:
    """A table. Threads may share it. Methods raise RetryLater, Misconfigured, Rejected, and what they name."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._client = table_service(storage).get_table_client(name)
        self._root = self._client.url.rstrip("/")
        self._address = f"{self._root}/{self._client.table_name}"

    def get(self, partition: str, row: str) -> Entity | None:
        """One row, or None.

        https://learn.microsoft.com/rest/api/storageservices/query-entities
        """
        with converted("storage"):
            try:
                return _entity(self._client.get_entity(partition, row))
            except ResourceNotFoundError as error:
                if code_of(error) == "TableNotFound":
                    raise
                return None

    def query(self, condition: str, names: list[str] | None = None) -> Iterator[Entity]:
        """Rows that fulfil an OData filter, in key order within a partition, read as they are asked for.

        `names`: the only properties wanted.
        """
        for page in self.pages(condition, names):
            yield from page

    def pages(self, condition: str, names: list[str] | None = None) -> Iterator[list[Entity]]:
        """`query` by the service's pages: one remote call each."""
        with converted("storage"):
            pages = self._client.query_entities(condition, results_per_page=PAGE, select=names).by_page()
        while True:
            with converted("storage"):
                page = next(pages, None)
                if page is None:
                    return
                entities = [_entity(row) for row in page]
            yield entities

    def create(self, row: Mapping[str, Any]) -> str:
        """Inserts a row; returns its ETag. Raises StaleWrite where the key is taken."""
        with converted("storage"):
            return str(self._client.create_entity(row)["etag"])

    def replace(self, row: Mapping[str, Any], etag: str) -> str:
        """Replaces a row that still has this ETag; returns the new one. Raises StaleWrite."""
        with converted("storage"):
            try:
                answer = self._client.update_entity(
                    row, UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except ResourceNotFoundError as error:
                if code_of(error) == "TableNotFound":
                    raise
                raise StaleWrite("the row is gone") from error
        return str(answer["etag"])

    def delete(self, partition: str, row: str, etag: str) -> bool:
        """Deletes a row that still has this ETag; False where it has changed or is gone."""
        # A transaction of one, because the SDK's delete_entity does not tell when there was nothing to delete.
        try:
            self.transact([Change("delete", {"PartitionKey": partition, "RowKey": row}, etag)])
        except StaleWrite:
            return False
        return True

    def transact(self, changes: Iterable[Change]) -> list[str | None]:
        """Makes all changes, at most MOST_CHANGES of one partition, or none; returns the new ETags in order.

        Raises StaleWrite where a created row exists, or a replaced, merged or deleted one is gone or has changed.
        """
        return self.send([self.encode(change) for change in changes])

    def encode(self, change: Change) -> bytes:
        """A change for `send`. No call."""
        return transactions.encode(change, self._address)

    def send(self, changes: Sequence[bytes]) -> list[str | None]:
        """`transact` with changes that are encoded already.

        https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
        """
        content_type, body = transactions.together(changes)
        # No policy of the SDK's sets the version here, and without it the service refuses a token of Entra's.
        headers = _HEADERS | {"Content-Type": content_type, "x-ms-version": self._client.api_version}
        request = HttpRequest("POST", f"{self._root}/$batch", headers=headers, content=body)
        with converted("storage"):
            # The client's pipeline, with its credential and its retries; the SDK has no public door to it.
            response = self._client._client.send_request(request, stream=True)  # noqa: SLF001
            content = response.read()
        if response.status_code != 202:
            raise refusal("storage", response.status_code, transactions.code_in(content), response.headers)
        try:
            parts = transactions.decode(content)
        except ValueError as error:
            raise RetryLater("storage_unavailable", "Storage gave an answer that cannot be read.") from error
        for part in parts:
            if part.status == 404 and part.code != "TableNotFound":
                raise StaleWrite("a row of the transaction is gone")
            if part.status >= 300:
                raise refusal("storage", part.status, part.code, response.headers)
        return [part.etag for part in parts]


def _entity(row: Any) -> Entity:
    return Entity({name: _plain(value) for name, value in row.items()}, row.metadata["etag"])


def _plain(value: Any) -> Any:
    """The SDK's own datetime type carries the text it came from and would write that back: not so a plain one."""
    if not isinstance(value, datetime):
        return value
    return datetime.combine(value.date(), value.timetz())
