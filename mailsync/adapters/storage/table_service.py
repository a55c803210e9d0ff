"""The Table service as a place to send requests to: connections, retries, and who signs them.

This is azure-core's pipeline with two policies, retries and the bearer token, or with the first alone; why not the
SDK's own client, docs/performance.md says. `tables.py` and `entities.py` say what requests and rows look like.

Imports the SDK, which is heavy: stores import this module when they are built, not before.
"""

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from wsgiref.handlers import format_date_time

from azure.core import PipelineClient
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
from azure.core.rest import HttpRequest, HttpResponse

from mailsync.adapters.azure_sdk import RETRIES, Transport, converted, credential
from mailsync.adapters.storage.services import account_key
from mailsync.settings import Storage

VERSION = "2019-02-02"
"""The version of the service's interface, as the SDK asks for it. Without one, the service refuses Entra's tokens."""

_HEADERS = {
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
    "User-Agent": "siftrock-inbox-connector",
    "x-ms-version": VERSION,
}
_NO_MORE: Mapping[str, str] = {}


class TableService:
    """The Table service of one account. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        policies: list[Any] = [RetryPolicy(retry_total=RETRIES, retry_backoff_factor=0.4)]
        self.address = storage.table_uri.rstrip("/")
        self._account, self._key = "", b""
        if storage.connection_string:
            self.address, self._account, self._key = account_key(storage)
        else:
            identity = credential(storage.client_id, storage.credential)
            policies.append(BearerTokenCredentialPolicy(identity, "https://storage.azure.com/.default"))
        # Behind the retries, so that each attempt has a token that is still good.
        self._client = PipelineClient(self.address, pipeline=Pipeline(Transport("storage"), policies))

    def send(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] = _NO_MORE
    ) -> HttpResponse:
        """The answer, whatever its status, read to its end. `path`: with the query, quoted.

        `headers`: beside those that every request has. Raises RetryLater and Misconfigured where there is no answer.
        """
        date = format_date_time(time.time())
        own = {"Date": date, "x-ms-date": date, "x-ms-client-request-id": str(uuid.uuid4())}
        request = HttpRequest(method, f"{self.address}/{path}", headers={**_HEADERS, **own, **headers}, content=content)
        if self._key:
            request.headers["Authorization"] = self._signature(method, request.url, request.headers)
        with converted("storage"):
            answer: HttpResponse = self._client.send_request(request)
        return answer

    def _signature(self, method: str, url: str, headers: Mapping[str, str]) -> str:
        """The Authorization header, signed by the account's key.

        https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
        """
        kind, date = headers.get("Content-Type", ""), headers["x-ms-date"]
        text = f"{method}\n\n{kind}\n{date}\n/{self._account}{urlsplit(url).path}"
        digest = hmac.digest(self._key, text.encode(), hashlib.sha256)
        return f"SharedKey {self._account}:{base64.b64encode(digest).decode()}"
