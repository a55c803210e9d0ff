"""The compiled template and the snapshots, as the tests look at them."""

import json
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
SNAPSHOTS = ("default", "hardened", "existing-registration")
PUBLIC = ("default", "existing-registration")

STORAGE = "Microsoft.Storage/storageAccounts"
GRAPH_APPLICATION = "Microsoft.Graph/applications@v1.0"
GRAPH_CREDENTIAL = "Microsoft.Graph/applications/federatedIdentityCredentials@v1.0"
GRAPH_SERVICE_PRINCIPAL = "Microsoft.Graph/servicePrincipals@v1.0"


@cache
def template() -> dict:
    return json.loads((INFRA / "main.json").read_text())


@cache
def _snapshot(name: str) -> dict:
    return json.loads((INFRA / "snapshots" / f"{name}.snapshot.json").read_text())


def outputs(snapshot: str) -> dict:
    return _snapshot(snapshot)["outputs"]


def resources(snapshot: str, kind: str = "") -> list[dict]:
    """The predicted resources of exactly that type; all of them without one."""
    return [each for each in _snapshot(snapshot)["predictedResources"] if not kind or each["type"] == kind]


def only(snapshot: str, kind: str) -> dict:
    """The one resource of that type."""
    (found,) = resources(snapshot, kind)
    return found


def strings(value: object) -> list[str]:
    """Every string in it, keys included."""
    match value:
        case str():
            return [value]
        case dict():
            return [text for pair in value.items() for part in pair for text in strings(part)]
        case list():
            return [text for part in value for text in strings(part)]
    return []


def app_settings(snapshot: str) -> dict[str, str]:
    """The application settings of the function app."""
    return only(snapshot, "Microsoft.Web/sites/config")["properties"]


def readable(values: dict[str, str]) -> dict[str, str]:
    """Settings with what is known only at deployment replaced by a value of its form."""

    def value(text: str) -> str:
        if not text.startswith("["):
            return text
        if re.search(r"(clientId|appId)\]", text):
            return "99999999-9999-4999-8999-999999999999"
        return "https://known-at-deployment.example.com/"

    return {name: value(text) for name, text in values.items()}


def host_and_mail(snapshot: str) -> tuple[dict, dict]:
    """The storage account of the Functions host, and that of mail."""
    host, mail = sorted(resources(snapshot, STORAGE), key=lambda account: account["name"])
    assert host["name"].startswith("sthost")
    assert mail["name"].startswith("stmail")
    return host, mail


def deployments(deployment: dict) -> list[dict]:
    """The template and the templates of its modules."""
    found = [deployment]
    each = deployment["resources"]
    # A template is a list of resources, or a map where it uses symbols.
    for resource in each if isinstance(each, list) else each.values():
        if resource["type"] == "Microsoft.Resources/deployments":
            found += deployments(resource["properties"]["template"])
    return found
