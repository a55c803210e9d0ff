"""What Key Vault and storage hold, seen with the managed identity's token and the storage key."""

import contextlib
import re
import ssl

import httpx

from mailsync.adapters.storage.services import BODIES, QUEUE, TABLES
from sandbox import constants

_VERSION = {"api-version": "7.4"}


def secret_names(state):
    """The names of the secrets in the vault."""
    with _vault(state) as client:
        return set(_names_in(client))


def vault_texts(state):
    """Every token and key in the values of the vault's secrets."""
    with _vault(state) as client:
        values = [client.get(f"/secrets/{name}", params=_VERSION).json()["value"] for name in _names_in(client)]
    return {text for value in values for text in re.findall(r'"([A-Za-z0-9_.+/=-]{40,})"', value)}


@contextlib.contextmanager
def _vault(state):
    context = ssl.create_default_context(cafile=state.ca_file)
    with httpx.Client(base_url=state.key_vault, verify=context, trust_env=False, timeout=20) as client:
        token = client.get(
            state.environment["IDENTITY_ENDPOINT"],
            params={
                "api-version": "2019-08-01",
                "resource": "https://vault.azure.net",
                "client_id": constants.MANAGED_IDENTITY_CLIENT_ID,
            },
            headers={"X-IDENTITY-HEADER": constants.IDENTITY_HEADER},
        ).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def _names_in(client):
    url = "/secrets?api-version=7.4"
    while url:
        page = client.get(url).json()
        yield from (item["id"].rsplit("/", 1)[1] for item in page["value"])
        url = page.get("nextLink")


def table_rows(product):
    """Every entity of every table, as (table, entity)."""
    from azure.data.tables import TableServiceClient

    verify = product.state.ca_file
    with TableServiceClient.from_connection_string(product.connection_string, connection_verify=verify) as tables:
        return [
            (name, dict(entity)) for name in sorted({*TABLES, *_names(tables)}) for entity in _entities(tables, name)
        ]


def _names(tables):
    return [table.name for table in tables.list_tables()]


def _entities(tables, name):
    with tables.get_table_client(name) as table:
        return list(table.list_entities())


def queue_messages(product):
    """The text of every message that is visible on any queue, as (queue, text)."""
    from azure.storage.queue import QueueServiceClient

    verify, found = product.state.ca_file, []
    with QueueServiceClient.from_connection_string(product.connection_string, connection_verify=verify) as service:
        names = [queue.name for queue in service.list_queues()]
        assert QUEUE in names
        for name in names:
            with service.get_queue_client(name) as queue:
                found += [(name, message.content) for message in queue.peek_messages(32)]
    return found


def blobs(product):
    """Every blob of every container, as (name, content)."""
    from azure.storage.blob import BlobServiceClient

    verify, found = product.state.ca_file, []
    with BlobServiceClient.from_connection_string(product.connection_string, connection_verify=verify) as service:
        containers = [container.name for container in service.list_containers()]
        assert BODIES in containers
        for name in containers:
            with service.get_container_client(name) as container:
                found += [
                    (f"{name}/{blob.name}", container.download_blob(blob.name).readall())
                    for blob in container.list_blobs()
                ]
    return found


@contextlib.contextmanager
def planted(product, home, place, text):
    """Puts a text into a log, a table, a queue that nobody reads or a blob, and takes it away at the end."""
    from azure.data.tables import TableClient
    from azure.storage.blob import BlobClient
    from azure.storage.queue import QueueClient

    options = {"connection_verify": product.state.ca_file}
    secret = product.connection_string
    if place == "log":
        log = home / "logs/planted.log"
        log.write_text(f"{text}\n")
        yield
        log.unlink()
    elif place == "table":
        with TableClient.from_connection_string(secret, "signins", **options) as table:
            table.create_entity({"PartitionKey": "planted", "RowKey": "planted", "text": text})
            yield
            table.delete_entity("planted", "planted")
    elif place == "queue":
        with QueueClient.from_connection_string(secret, "planted", **options) as queue:
            queue.create_queue()
            queue.send_message(text)
            yield
            queue.delete_queue()
    else:
        with BlobClient.from_connection_string(secret, BODIES, "planted", **options) as blob:
            blob.upload_blob(text)
            yield
            blob.delete_blob()
