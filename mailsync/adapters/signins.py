"""`SignInStore` on the table `signins`."""

from datetime import UTC, datetime

from mailsync.adapters.entities import Entity
from mailsync.models import SignInRecord
from mailsync.settings import Storage

_PARTITION = "signin"


class TableSignInStore:
    """Pending sign-ins and their outcomes, for minutes. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        from mailsync.adapters.tables import Table

        self._table = Table(storage, "signins")

    def put(self, record: SignInRecord) -> None:
        """Raises StaleWrite where there is one of this key."""
        self._table.create(
            {
                "PartitionKey": _PARTITION,
                "RowKey": record.key,
                "payload": record.payload,
                "expiresAt": record.expires_at.astimezone(UTC),
            }
        )

    def get(self, key: str) -> SignInRecord | None:
        """One point read."""
        found = self._table.get(_PARTITION, key)
        return _record(found) if found else None

    def take(self, record: SignInRecord) -> bool:
        """One conditional delete, so that of two who try at once one wins."""
        return record.version is not None and self._table.delete(_PARTITION, record.key, record.version)

    def purge(self, now: datetime) -> int:
        """One query, and one delete for each that has expired."""
        moment = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        expired = self._table.query(f"PartitionKey eq '{_PARTITION}' and expiresAt le datetime'{moment}'")
        return sum(self.take(_record(entity)) for entity in expired)


def _record(entity: Entity) -> SignInRecord:
    row = entity.properties
    return SignInRecord(row["RowKey"], row["payload"], row["expiresAt"], version=entity.etag)
