"""Clients of the storage account, made from the setting MAIL_STORAGE, and the names of what it holds.

With service URIs the managed identity signs in; with a connection string its key does.
"""

import base64
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from mailsync.errors import Misconfigured
from mailsync.reasons import Reason
from mailsync.settings import Storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.data.tables import TableServiceClient
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

TABLES = ("messages", "mailboxes", "accounts", "signins")
QUEUE = "mailbox-sync"
POISON_QUEUE = "mailbox-sync-poison"
BODIES = "message-bodies"


def table_service(storage: Storage) -> "TableServiceClient":
    """The Table service."""
    from azure.data.tables import TableServiceClient

    from mailsync.adapters.azure_sdk import RETRIES, Transport, credential

    options: dict[str, Any] = {"transport": Transport("storage"), "retry_total": RETRIES, "retry_backoff_factor": 0.4}
    if storage.connection_string:
        return TableServiceClient.from_connection_string(storage.connection_string, **options)
    return TableServiceClient(
        storage.table_uri, credential=credential(storage.client_id, storage.credential), **options
    )


def account_key(storage: Storage) -> tuple[str, str, bytes]:
    """The Table service's address, the account's name and its key, by a connection string. Raises Misconfigured."""
    from azure.core.credentials import AzureNamedKeyCredential

    service = table_service(storage)
    if not isinstance(service.credential, AzureNamedKeyCredential):
        raise Misconfigured(Reason.BAD_SETTINGS, "The connection string of MAIL_STORAGE has no AccountKey.")
    name, key = service.credential.named_key
    return service.url.rstrip("/"), name, base64.b64decode(key)


def queue_service(storage: Storage) -> "QueueServiceClient":
    """The Queue service, tried twice at the most."""
    from azure.storage.queue import ExponentialRetry, QueueServiceClient

    from mailsync.adapters.azure_sdk import Transport, credential

    transport = Transport("storage", connect_timeout=3, read_timeout=5)
    retries = ExponentialRetry(initial_backoff=0, increment_base=1, retry_total=1, random_jitter_range=0)
    if storage.connection_string:
        return QueueServiceClient.from_connection_string(
            storage.connection_string, transport=transport, retry_policy=retries
        )
    identity = credential(storage.client_id, storage.credential)
    return QueueServiceClient(storage.queue_uri, credential=identity, transport=transport, retry_policy=retries)


def blob_service(storage: Storage) -> "BlobServiceClient":
    """The Blob service."""
    from azure.storage.blob import BlobServiceClient, ExponentialRetry

    from mailsync.adapters.azure_sdk import RETRIES, Transport, credential

    transport = Transport("storage")
    retries = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=RETRIES, random_jitter_range=1)
    if storage.connection_string:
        return BlobServiceClient.from_connection_string(
            storage.connection_string, transport=transport, retry_policy=retries
        )
    identity = credential(storage.client_id, storage.credential)
    return BlobServiceClient(storage.blob_uri, credential=identity, transport=transport, retry_policy=retries)


def create_all(storage: Storage) -> list[tuple[str, bool]]:
    """Creates the tables, queues and the container that are missing. In Azure, `infra/` has made them.

    Returns what there is now, such as `table messages`, each with whether it was created.
    """
    from azure.core.exceptions import ResourceExistsError

    from mailsync.adapters.azure_sdk import converted

    tables, queues, blobs = table_service(storage), queue_service(storage), blob_service(storage)
    creations: dict[str, Callable[[], object]] = {
        f"table {name}": partial(tables.create_table, name) for name in TABLES
    }
    creations |= {f"queue {name}": partial(queues.create_queue, name) for name in (QUEUE, POISON_QUEUE)}
    creations[f"container {BODIES}"] = partial(blobs.create_container, BODIES)
    done = []
    for name, create in creations.items():
        created = False
        with converted("storage"), suppress(ResourceExistsError):
            create()
            created = True
        done.append((name, created))
    return done
