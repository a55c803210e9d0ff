"""Texts in the blob container `message-bodies`: bodies that are too long for a row.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
Imports the SDK, which is heavy: the message store imports this module when it is built, not before.
"""

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContentSettings

from mailsync.adapters.azure_sdk import code_of, converted
from mailsync.adapters.storage.services import BODIES, blob_service
from mailsync.settings import Storage

_PLAIN_TEXT = ContentSettings(content_type="text/plain; charset=utf-8")


class TextBlobs:
    """Texts by blob name. Threads may share it. Methods raise RetryLater and Misconfigured."""

    def __init__(self, storage: Storage) -> None:
        self._container = blob_service(storage).get_container_client(BODIES)

    def put(self, blob: tuple[str, str]) -> None:
        """Writes (name, text), over what is there."""
        name, text = blob
        with converted("storage"):
            self._container.upload_blob(name, text.encode(), overwrite=True, content_settings=_PLAIN_TEXT)

    def get(self, name: str) -> str | None:
        """The text, or None where somebody has deleted the blob."""
        with converted("storage"):
            try:
                return self._container.download_blob(name).readall().decode()
            except ResourceNotFoundError as error:
                if code_of(error) == "ContainerNotFound":
                    raise
                return None
