"""The operations of Key Vault's secrets API, each on a checked request, and the shapes they answer with."""

import itertools
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.control.faults import register
from sandbox.control.parameters import number
from sandbox.key_vault.limits import check_content_type, check_name, check_tags, check_value
from sandbox.key_vault.state import RECOVERABLE_DAYS, DeletedSecret, SecretVersion, VaultError
from sandbox.microsoft365.world import World

MAX_PAGE = 25

_SLOW_DELETE = register(
    "vault-deleting",
    "A deletion or recovery takes `seconds`, which without order are one to three; until then its name is refused",
    seconds=number(30),
)
_USUAL_SECONDS = itertools.cycle((1.0, 2.0, 3.0))


def set_secret(world: World, request: Request, body: dict[str, Any]) -> Response:
    """Adds a version, the first one creating the secret.

    https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret
    """
    name = request.path_params["name"]
    check_name(name)
    check_value(body.get("value"))
    changes = _changes({"contentType": None, "tags": {}, **body})
    now = world.now()
    version = SecretVersion(value=body["value"], created=now, updated=now, **changes)
    world.vault.add(name, version)
    return JSONResponse(_bundle(world, name, version))


def get_secret(world: World, request: Request, _body: dict[str, Any]) -> Response:
    """One version with its value, the newest where none is named.

    https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret
    """
    name = request.path_params["name"]
    version = world.vault.get(name, request.path_params.get("version", ""))
    if not version.enabled:
        raise VaultError(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
    return JSONResponse(_bundle(world, name, version))


def update_secret(world: World, request: Request, body: dict[str, Any]) -> Response:
    """Changes a version's attributes, content type or tags.

    https://learn.microsoft.com/rest/api/keyvault/secrets/update-secret
    """
    name, version = request.path_params["name"], request.path_params.get("version", "")
    updated = world.vault.update(name, version, **_changes(body))
    return JSONResponse(_item(world, name, updated, with_version=True))


def list_secrets(world: World, request: Request, _body: dict[str, Any]) -> Response:
    """Every secret, without values.

    https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets
    """
    items = [_item(world, name, world.vault.get(name)) for name in world.vault.names()]
    return _page(world, request, items)


def list_versions(world: World, request: Request, _body: dict[str, Any]) -> Response:
    """Every version of a secret, without values.

    https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret-versions
    """
    name = request.path_params["name"]
    items = [_item(world, name, version, with_version=True) for version in world.vault.versions(name)]
    return _page(world, request, items)


def delete_secret(world: World, request: Request, _body: dict[str, Any]) -> Response:
    """Soft-deletes a secret.

    https://learn.microsoft.com/rest/api/keyvault/secrets/delete-secret
    """
    name = request.path_params["name"]
    return JSONResponse(_deleted_bundle(world, name, world.vault.delete(name, _lag(world))))


def list_deleted(world: World, request: Request, _body: dict[str, Any]) -> Response:
    """Every deleted secret.

    https://learn.microsoft.com/rest/api/keyvault/secrets/get-deleted-secrets
    """
    items = [_deleted_bundle(world, name, world.vault.deleted(name)) for name in world.vault.deleted_names()]
    return _page(world, request, items)


def get_deleted(world: World, request: Request, _body: dict[str, Any]) -> Response:
    """One deleted secret.

    https://learn.microsoft.com/rest/api/keyvault/secrets/get-deleted-secret
    """
    name = request.path_params["name"]
    return JSONResponse(_deleted_bundle(world, name, world.vault.deleted(name)))


def recover(world: World, request: Request, _body: dict[str, Any]) -> Response:
    """Recovers a deleted secret with all its versions.

    https://learn.microsoft.com/rest/api/keyvault/secrets/recover-deleted-secret
    """
    name = request.path_params["name"]
    version = world.vault.recover(name, _lag(world))
    return JSONResponse(_item(world, name, version, with_version=True))


def purge(world: World, request: Request, _body: dict[str, Any]) -> Response:
    """Removes a deleted secret for good.

    https://learn.microsoft.com/rest/api/keyvault/secrets/purge-deleted-secret
    """
    world.vault.purge(request.path_params["name"])
    return Response(status_code=204)


def _lag(world: World) -> float:
    """Seconds until a deletion or recovery is complete, by the stand-in's clock.

    https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
    """
    fault = world.faults.take(_SLOW_DELETE)
    return float(fault["seconds"]) if fault else next(_USUAL_SECONDS)


def _changes(body: dict[str, Any]) -> dict[str, Any]:
    """What a body says of content type, tags and attributes, checked, by the names of `SecretVersion`."""
    changes: dict[str, Any] = {}
    if "contentType" in body:
        check_content_type(body["contentType"])
        changes["content_type"] = body["contentType"]
    if body.get("tags") is not None:
        check_tags(body["tags"])
        changes["tags"] = dict(body["tags"])
    attributes = body.get("attributes") or {}
    names = {"enabled": "enabled", "nbf": "not_before", "exp": "expires"}
    return changes | {field: attributes[wire] for wire, field in names.items() if attributes.get(wire) is not None}


def _item(world: World, name: str, version: SecretVersion, *, with_version: bool = False) -> dict[str, Any]:
    attributes = {
        "enabled": version.enabled,
        "created": int(version.created.timestamp()),
        "updated": int(version.updated.timestamp()),
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": RECOVERABLE_DAYS,
    }
    times = {"nbf": version.not_before, "exp": version.expires}
    attributes |= {key: value for key, value in times.items() if value is not None}
    path = f"{name}/{version.version}" if with_version else name
    item = {"id": f"{world.addresses.key_vault}/secrets/{path}", "attributes": attributes, "tags": dict(version.tags)}
    return item if version.content_type is None else item | {"contentType": version.content_type}


def _bundle(world: World, name: str, version: SecretVersion) -> dict[str, Any]:
    return {"value": version.value, **_item(world, name, version, with_version=True)}


def _deleted_bundle(world: World, name: str, deleted: DeletedSecret) -> dict[str, Any]:
    return _item(world, name, deleted.versions[-1]) | {
        "recoveryId": f"{world.addresses.key_vault}/deletedsecrets/{name}",
        "deletedDate": int(deleted.deleted_at.timestamp()),
        "scheduledPurgeDate": int(deleted.purge_at.timestamp()),
    }


def _page(world: World, request: Request, items: list[dict[str, Any]]) -> Response:
    """At most 25 items and the link to the next, as `maxresults` and `$skiptoken` say."""
    query = request.query_params
    try:
        size, start = int(query.get("maxresults", MAX_PAGE)), int(query.get("$skiptoken", 0))
    except ValueError as error:
        raise VaultError(400, "BadParameter", "maxresults or $skiptoken is not valid.") from error
    if not 1 <= size <= MAX_PAGE:
        raise VaultError(400, "BadParameter", f"maxresults must be from 1 to {MAX_PAGE}.")
    following = None
    if start + size < len(items):
        version = query["api-version"]
        link = f"{request.url.path}?api-version={version}&$skiptoken={start + size}&maxresults={size}"
        following = f"{world.addresses.key_vault}{link}"
    return JSONResponse({"value": items[start : start + size], "nextLink": following})
