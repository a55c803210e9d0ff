"""The function app: its settings, its form, and how azd finds it."""

import json
import re

import pytest

from mailsync import settings
from mailsync.adapters.storage import services as storage
from mailsync.settings import Settings
from tests.infra import served
from tests.infra.kept import (
    INFRA,
    ROOT,
    SNAPSHOTS,
    STORAGE,
    app_settings,
    host_and_mail,
    only,
    outputs,
    readable,
    resources,
    template,
)
from webhook_receiver.blueprint import LARGEST_BODY

every = pytest.mark.parametrize("snapshot", SNAPSHOTS)

# What the platform reads, besides what the program reads.
PLATFORM_SETTINGS = {
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "AzureWebJobsDisableHomepage",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    "PYTHON_THREADPOOL_THREAD_COUNT",
}
SETTINGS_WITHOUT_IDENTITY = {"ENTRA_CLIENT_SECRET", "KEY_VAULT_CREDENTIAL", "MAIL_STORAGE"}


class TestSettings:
    @every
    def test_every_setting_that_is_read_is_there_and_no_other(self, snapshot):
        assert set(app_settings(snapshot)) == (set(settings.NAMES) - SETTINGS_WITHOUT_IDENTITY) | PLATFORM_SETTINGS

    @every
    def test_program_accepts_them(self, snapshot):
        loaded = Settings.load(readable(app_settings(snapshot)))
        assert loaded.identity_client_id == loaded.storage.client_id == "99999999-9999-4999-8999-999999999999"

    def test_defaults_are_those_of_the_program(self):
        deployed = Settings.load(readable(app_settings("default")))
        bare = Settings.load(
            {
                "PUBLIC_BASE_URL": "https://app.example.com",
                "ENTRA_CLIENT_ID": "99999999-9999-4999-8999-999999999999",
                "KEY_VAULT_URL": "https://vault.example.com",
                "MAIL_STORAGE": "a connection string",
            }
        )
        for name in (
            "tenant",
            "graph_endpoint",
            "folders",
            "backfill_days",
            "brand",
            "poll_interval",
            "poll_interval_with_push",
            "subscription_minutes",
        ):
            assert getattr(deployed, name) == getattr(bare, name), name

    @every
    def test_none_that_flex_consumption_has_dropped(self, snapshot):
        # https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
        dropped = re.compile(
            "FUNCTIONS_(EXTENSION|WORKER|MAX_HTTP)|WEBSITE_(CONTENT|RUN_FROM|NODE|TIME_ZONE|VNET)|ENABLE_ORYX|SCM_DO_BUILD|linuxFxVersion"
        )
        assert not [name for name in app_settings(snapshot) if dropped.match(name)]
        assert (
            not {"linuxFxVersion", "alwaysOn"}
            & only(snapshot, "Microsoft.Web/sites")["properties"]["siteConfig"].keys()
        )

    @every
    def test_host_refuses_what_the_webhook_would_refuse(self, snapshot):
        # In bytes: https://learn.microsoft.com/azure/azure-functions/functions-app-settings
        assert int(app_settings(snapshot)["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"]) == LARGEST_BODY

    @every
    def test_connections_go_by_identity(self, snapshot):
        values = app_settings(snapshot)
        for connection in ("AzureWebJobsStorage", "MAIL_STORAGE"):
            assert values[f"{connection}__credential"] == "managedidentity"
            assert values[f"{connection}__clientId"] == values["AZURE_CLIENT_ID"]
        host, mail = host_and_mail(snapshot)
        assert host["id"] in values["AzureWebJobsStorage__blobServiceUri"]
        for service in ("table", "queue", "blob"):
            assert mail["id"] in values[f"MAIL_STORAGE__{service}ServiceUri"]
            assert values[f"MAIL_STORAGE__{service}ServiceUri"].endswith(f".primaryEndpoints.{service}]")
        assert values["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"].startswith(
            "[format('ClientId={0};Authorization=AAD'"
        )

    def test_parameters_of_azd_exist(self):
        given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
        assert given.keys() <= template()["parameters"].keys()
        required = {name for name, value in template()["parameters"].items() if "defaultValue" not in value}
        assert required <= given.keys()
        for name, parameter in given.items():
            default = re.search(r"=(.*)\}", parameter["value"])
            known = template()["parameters"][name].get("defaultValue", "")
            assert (default[1] if default else "") == json.dumps(known).strip('"'), name


class TestFunctionApp:
    @every
    def test_flex_consumption_by_identity(self, snapshot):
        assert only(snapshot, "Microsoft.Web/serverfarms")["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
        site = only(snapshot, "Microsoft.Web/sites")
        identity = only(snapshot, "Microsoft.ManagedIdentity/userAssignedIdentities")["id"]
        assert site["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
        config = site["properties"]["functionAppConfig"]
        assert config["runtime"] == {"name": "python", "version": (ROOT / ".python-version").read_text().strip()}
        deployment = config["deployment"]["storage"]
        host, _ = host_and_mail(snapshot)
        containers = resources(snapshot, f"{STORAGE}/blobServices/containers")
        (package,) = (each["name"].split("/")[2] for each in containers if each["name"].startswith(host["name"]))
        assert deployment["authentication"] == {
            "type": "UserAssignedIdentity",
            "userAssignedIdentityResourceId": identity,
        }
        assert host["id"] in deployment["value"]
        assert f"'{package}'" in deployment["value"]

    def test_one_warm_instance_for_http_and_one_for_hints(self):
        scale = only("default", "Microsoft.Web/sites")["properties"]["functionAppConfig"]["scaleAndConcurrency"]
        worker = next(
            name
            for name, bindings in served.functions().items()
            if any(binding.get("queueName") == storage.QUEUE for binding in bindings)
        )
        assert scale["alwaysReady"] == [
            {"name": "http", "instanceCount": 1},
            {"name": f"function:{worker}", "instanceCount": 1},
        ]

    def test_threads_suffice_for_what_an_instance_is_given(self):
        queues = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
        scale = only("default", "Microsoft.Web/sites")["properties"]["functionAppConfig"]["scaleAndConcurrency"]
        threads = int(app_settings("default")["PYTHON_THREADPOOL_THREAD_COUNT"])
        assert threads > queues["batchSize"] + queues["newBatchThreshold"]
        assert threads > scale["triggers"]["http"]["perInstanceConcurrency"]

    @every
    def test_https_and_tls(self, snapshot):
        properties = only(snapshot, "Microsoft.Web/sites")["properties"]
        assert properties["httpsOnly"] is True
        site = properties["siteConfig"]
        assert (site["minTlsVersion"], site["scmMinTlsVersion"], site["ftpsState"]) == ("1.2", "1.2", "Disabled")

    @every
    def test_azd_finds_the_site(self, snapshot):
        site = only(snapshot, "Microsoft.Web/sites")
        assert f"\n  {site['tags']['azd-service-name']}:\n" in (ROOT / "azure.yaml").read_text()
        assert outputs(snapshot)["AZURE_FUNCTION_APP_NAME"] == site["name"]


def test_head_is_answered_wherever_get_is():
    without = {route for route, methods in served.routes().items() if "GET" in methods and "HEAD" not in methods}
    assert not without
