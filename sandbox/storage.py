"""What `infra/` creates of storage in Azure, created in Azurite by the program's own adapter."""

import os
from pathlib import Path


def create_storage(connection_string: str, ca: Path) -> None:
    """Creates the tables, queues and the container that the app expects; those that exist stay.

    From here on this process and its children trust the sandbox's CA, as `mailsync`'s adapters want it.
    """
    from mailsync.adapters.storage.services import create_all
    from mailsync.settings import Storage

    os.environ["REQUESTS_CA_BUNDLE"] = str(ca)
    create_all(Storage(connection_string=connection_string))
