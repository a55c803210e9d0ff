"""Storage queues behind a binding's `connection`, in the Functions connection convention.

Reference: https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
"""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.host.config import HostError

if TYPE_CHECKING:
    from azure.storage.queue import QueueServiceClient

_quiet = logging.getLogger("host.storage")
_quiet.setLevel(logging.WARNING)
# No retries: the listener polls again anyway. The host's own requests stay out of the app's log.
_OPTIONS: dict[str, Any] = {"connection_timeout": 5, "read_timeout": 10, "retry_total": 0, "logger": _quiet}


def queue_service(connection: str, environ: Mapping[str, str] = os.environ) -> "QueueServiceClient":
    """A client for the connection named by a binding. Raises HostError where its settings are missing."""
    from azure.storage.queue import QueueServiceClient

    name = connection or "AzureWebJobsStorage"
    for candidate in (name, f"AzureWebJobs{name}"):
        if text := environ.get(candidate):
            return QueueServiceClient.from_connection_string(text, **_OPTIONS)
    address = environ.get(f"{name}__queueServiceUri")
    if not address:
        raise HostError(f"the connection {name} is not set: give {name}, or {name}__queueServiceUri")
    if environ.get(f"{name}__credential") == "managedidentity":
        from azure.identity import ManagedIdentityCredential

        client_id = environ.get(f"{name}__clientId") or None
        return QueueServiceClient(address, credential=ManagedIdentityCredential(client_id=client_id), **_OPTIONS)
    from azure.identity import DefaultAzureCredential

    return QueueServiceClient(address, credential=DefaultAzureCredential(), **_OPTIONS)
