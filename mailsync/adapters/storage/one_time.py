"""`OneTimeStore` on the table `signins`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import batched

from mailsync.adapters.storage.entities import MOST_CHANGES, Change, Entity
from mailsync.errors import StaleWrite
from mailsync.one_time import OneTimeRecord
from mailsync.settings import Storage

_PARTITION = "signin"


class TableOneTimeStore:
    """What is used once: sign-ins and their outcomes, and locks. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        from mailsync.adapters.storage.tables import Table

        self._table = Table(storage, "signins")

    def put(self, record: OneTimeRecord) -> None:
        """Raises StaleWrite where there is one of this key."""
        self._table.create(
            {
                "PartitionKey": _PARTITION,
                "RowKey": record.key,
                "payload": record.payload,
                "expiresAt": record.expires_at.astimezone(UTC),
            }
        )

    def get(self, key: str) -> OneTimeRecord | None:
        """One point read."""
        found = self._table.get(_PARTITION, key)
        return _record(found) if found else None

    def take(self, record: OneTimeRecord) -> bool:
        """One conditional delete, so that of two who try at once one wins."""
        return record.version is not None and self._table.delete(_PARTITION, record.key, record.version)

    def purge(self, now: datetime) -> int:
        """One query, and a transaction for every hundred that have expired; a delete for each where one is gone."""
        moment = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        condition = f"PartitionKey eq '{_PARTITION}' and expiresAt le datetime'{moment}'"
        expired = self._table.query(condition, ["PartitionKey", "RowKey"])
        return sum(self._delete(some) for some in batched(expired, MOST_CHANGES, strict=False))

    def _delete(self, entities: Sequence[Entity]) -> int:
        """How many of them were still there, and as they were read."""
        try:
            self._table.transact([Change("delete", row, etag) for row, etag in entities])
        except StaleWrite:
            return sum(self._table.delete(_PARTITION, row["RowKey"], etag) for row, etag in entities)
        return len(entities)


def _record(entity: Entity) -> OneTimeRecord:
    row = entity.properties
    return OneTimeRecord(row["RowKey"], row["payload"], row["expiresAt"], version=entity.etag)
