"""Talks to a running sandbox: the stand-in's control API, the app's admin endpoint, storage."""

import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from sandbox import azurite
from sandbox.state import SandboxError, State, home

_TIMEOUT = 120
_LISTS = {"toRecipients", "ccRecipients", "replyTo", "headers"}
_PROGRAMS_OWN = {"generation", "removedGeneration"}
"""Columns that no other program should rely on."""


class Control:
    """The stand-in's control API. What it refuses is a SandboxError with its sentence."""

    def __init__(self, state: State) -> None:
        self._base = state.control
        context = ssl.create_default_context(cafile=state.ca_file)
        self._client = httpx.Client(verify=context, timeout=_TIMEOUT, trust_env=False)

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()

    def call(self, method: str, path: str, body: object | None = None, **query: str) -> Any:
        """One request with a JSON body; returns the JSON of the answer."""
        return self.send(method, path, None if body is None else json.dumps(body).encode(), **query)

    def send(self, method: str, path: str, content: bytes | None, **query: str) -> Any:
        """One request with a body as it is."""
        try:
            response = self._client.request(method, f"{self._base}{path}", content=content, params=query)
        except httpx.HTTPError as error:
            raise SandboxError(f"the stand-in does not answer: {type(error).__name__}") from error
        if response.is_success:
            return response.json()
        try:
            problem = response.json()["error"]
        except (ValueError, KeyError, TypeError):
            problem = f"the stand-in answered {response.status_code} to {method} {path}"
        raise SandboxError(str(problem))


def fire(state: State, function: str) -> None:
    """Runs a timer or queue function of the app now, by the host's admin endpoint. Raises SandboxError."""
    keys = json.loads((home() / "keys.json").read_text(encoding="utf-8"))
    context = ssl.create_default_context(cafile=state.ca_file)
    headers = {"x-functions-key": keys["master"]}
    url = f"{state.app}/admin/functions/{function}"
    response = httpx.post(url, headers=headers, json={"input": ""}, verify=context, timeout=_TIMEOUT, trust_env=False)
    if response.status_code != 202:
        raise SandboxError(f"the host answered {response.status_code} to running {function}")


def connection_string(state: State) -> str:
    """Storage by Azurite's documented key, so that commands work whatever is wrong with identities."""
    return azurite.connection_string(state.blobs, state.queues, state.tables)


def mailsync_app(state: State) -> Any:
    """The program's own composition root on this sandbox, for its stores; storage by key."""
    from mailsync.bootstrap import App
    from mailsync.settings import Settings

    os.environ["REQUESTS_CA_BUNDLE"] = state.ca_file
    return App(Settings.load({**state.environment, "MAIL_STORAGE": connection_string(state)}))


def message_rows(state: State, mailbox_id: str) -> Iterator[dict[str, Any]]:
    """The message rows of a mailbox as in the contract, newest first: texts joined, lists parsed, times as text."""
    from azure.data.tables import TableClient
    from azure.storage.blob import ContainerClient

    from mailsync.adapters.storage.message_rows import join
    from mailsync.adapters.storage.services import BODIES

    secret = connection_string(state)
    bodies = ContainerClient.from_connection_string(secret, BODIES, connection_verify=state.ca_file)
    table = TableClient.from_connection_string(secret, "messages", connection_verify=state.ca_file)
    query = f"PartitionKey eq '{mailbox_id}' and RowKey ge 'm' and RowKey lt 'n'"
    with bodies, table:
        for entity in table.query_entities(query):
            columns = join(entity, lambda name: bodies.download_blob(name).readall().decode("utf-8"))
            yield {name: _plain(name, value) for name, value in columns.items() if name not in _PROGRAMS_OWN}


def _plain(name: str, value: Any) -> Any:
    if name in _LISTS and isinstance(value, str):
        return json.loads(value)
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value


def mail_files(paths: list[Path]) -> list[Path]:
    """The files named, and those in the folders named, in order. Raises SandboxError for what is not there."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SandboxError(f"{path} does not exist")
        files += (
            sorted(item for item in path.rglob("*") if item.is_file() and not item.name.startswith("."))
            if path.is_dir()
            else [path]
        )
    return files
