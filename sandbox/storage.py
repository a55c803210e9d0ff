"""The tables, queues and the container that `infra/` creates in Azure, created in Azurite."""

from pathlib import Path

TABLES = ("messages", "mailboxes", "accounts", "signins")
QUEUES = ("mailbox-sync", "mailbox-sync-poison")
CONTAINER = "message-bodies"


def create_storage(connection_string: str, ca: Path) -> None:
    """Creates the tables, queues and the container that the app expects; those that exist stay."""
    from azure.core.exceptions import ResourceExistsError
    from azure.data.tables import TableServiceClient
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

    with TableServiceClient.from_connection_string(connection_string, connection_verify=str(ca)) as tables:
        for name in TABLES:
            tables.create_table_if_not_exists(name)
    with QueueServiceClient.from_connection_string(connection_string, connection_verify=str(ca)) as queues:
        for name in QUEUES:
            try:
                queues.create_queue(name)
            except ResourceExistsError:
                continue
    with BlobServiceClient.from_connection_string(connection_string, connection_verify=str(ca)) as blobs:
        container = blobs.get_container_client(CONTAINER)
        if not container.exists():
            container.create_container()
