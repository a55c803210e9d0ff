"""Storage and vault, and the network around them."""

import re

import pytest

from mailsync.adapters.storage import services as storage
from tests.infra import served
from tests.infra.kept import (
    PUBLIC,
    SNAPSHOTS,
    STORAGE,
    host_and_mail,
    only,
    resources,
)

every = pytest.mark.parametrize("snapshot", SNAPSHOTS)
public = pytest.mark.parametrize("snapshot", PUBLIC)


class TestStores:
    @every
    def test_no_shared_key_and_tls_and_nothing_public(self, snapshot):
        for account in host_and_mail(snapshot):
            properties = account["properties"]
            assert properties["allowSharedKeyAccess"] is False
            assert properties["allowBlobPublicAccess"] is False
            assert properties["allowCrossTenantReplication"] is False
            assert properties["defaultToOAuthAuthentication"] is True
            assert properties["supportsHttpsTrafficOnly"] is True
            assert properties["minimumTlsVersion"] == "TLS1_2"
        for container in resources(snapshot, f"{STORAGE}/blobServices/containers"):
            assert container["properties"]["publicAccess"] == "None"

    @every
    def test_tables_queues_and_container_are_those_of_the_code(self, snapshot):
        _, mail = host_and_mail(snapshot)

        def children(kind: str) -> set[str]:
            return {
                each["name"].split("/")[2]
                for each in resources(snapshot, f"{STORAGE}/{kind}")
                if each["name"].startswith(f"{mail['name']}/")
            }

        assert children("tableServices/tables") == set(storage.TABLES)
        assert children("queueServices/queues") == {storage.QUEUE, storage.POISON_QUEUE} == served.queues()
        assert children("blobServices/containers") == {storage.BODIES}

    @every
    def test_deleted_and_overwritten_bodies_come_back_and_then_go(self, snapshot):
        _, mail = host_and_mail(snapshot)
        properties = self.blob_service(snapshot, mail)
        assert properties["deleteRetentionPolicy"] == {"enabled": True, "days": 14}
        assert properties["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 14}
        assert properties["isVersioningEnabled"] is True
        (rule,) = only(snapshot, f"{STORAGE}/managementPolicies")["properties"]["policy"]["rules"]
        # Only what was replaced or deleted may go: a rule on current blobs would take bodies that rows still name.
        assert rule["definition"]["actions"] == {"version": {"delete": {"daysAfterCreationGreaterThan": 14}}}

    @every
    def test_nothing_is_kept_of_the_blobs_that_the_host_overwrites_all_day(self, snapshot):
        host, _ = host_and_mail(snapshot)
        properties = self.blob_service(snapshot, host)
        assert properties["deleteRetentionPolicy"] == {"enabled": False}
        assert properties["isVersioningEnabled"] is False
        # The container of the function keys is never overwritten, and would be missed.
        assert properties["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 14}

    def blob_service(self, snapshot: str, account: dict) -> dict:
        services = resources(snapshot, f"{STORAGE}/blobServices")
        return next(each["properties"] for each in services if each["name"] == f"{account['name']}/default")

    @every
    def test_vault(self, snapshot):
        vault = only(snapshot, "Microsoft.KeyVault/vaults")
        properties = vault["properties"]
        assert properties["enableRbacAuthorization"] is True
        assert properties["enableSoftDelete"] is True
        assert properties["softDeleteRetentionInDays"] == 90
        assert properties["enablePurgeProtection"] is True
        assert "accessPolicies" not in properties
        audit = only(snapshot, "Microsoft.Insights/diagnosticSettings")
        workspaces = {each["id"]: each for each in resources(snapshot, "Microsoft.OperationalInsights/workspaces")}
        assert audit["id"].startswith(f"{vault['id']}/")
        assert "audit" in workspaces[audit["properties"]["workspaceId"]]["name"]
        assert audit["properties"]["logs"] == [{"categoryGroup": "audit", "enabled": True}]

    @every
    def test_names_fit(self, snapshot):
        for kind, pattern in (
            (STORAGE, r"[a-z0-9]{3,24}"),
            ("Microsoft.KeyVault/vaults", r"[a-z][a-z0-9-]{1,22}[a-z0-9]"),
        ):
            for resource in resources(snapshot, kind):
                assert re.fullmatch(pattern, resource["name"])


class TestNetwork:
    @public
    def test_stores_take_tokens_from_anywhere_by_default(self, snapshot):
        for account in host_and_mail(snapshot):
            assert account["properties"]["publicNetworkAccess"] == "Enabled"
        assert not [each for each in resources(snapshot) if each["type"].startswith("Microsoft.Network/")]
        assert only(snapshot, "Microsoft.Web/sites")["properties"]["virtualNetworkSubnetId"] is None

    def test_hardened_stores_have_no_public_address(self):
        for store in (*host_and_mail("hardened"), only("hardened", "Microsoft.KeyVault/vaults")):
            assert store["properties"]["publicNetworkAccess"] == "Disabled"
            assert store["properties"]["networkAcls"]["defaultAction"] == "Deny"

    def test_every_store_the_app_reaches_has_an_endpoint(self):
        host, mail = host_and_mail("hardened")
        vault = only("hardened", "Microsoft.KeyVault/vaults")
        reached = set()
        for endpoint in resources("hardened", "Microsoft.Network/privateEndpoints"):
            (connection,) = endpoint["properties"]["privateLinkServiceConnections"]
            (group,) = connection["properties"]["groupIds"]
            reached.add((connection["properties"]["privateLinkServiceId"], group))
            assert endpoint["properties"]["subnet"]["id"].endswith("/subnets/endpoints")
        assert reached == {
            (host["id"], "blob"),
            (host["id"], "table"),
            (mail["id"], "blob"),
            (mail["id"], "queue"),
            (mail["id"], "table"),
            (vault["id"], "vault"),
        }
        assert len(resources("hardened", "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")) == len(reached)

    def test_names_resolve_to_the_endpoints(self):
        zones = {
            (group["name"].split("/")[0].rsplit("-", 1)[1], config["properties"]["privateDnsZoneId"])
            for group in resources("hardened", "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
            for config in group["properties"]["privateDnsZoneConfigs"]
        }
        assert len(zones) == 4
        for kind, zone in zones:
            assert f"privatelink.{'vaultcore' if kind == 'vault' else kind}." in zone
        assert len(resources("hardened", "Microsoft.Network/privateDnsZones/virtualNetworkLinks")) == 4

    def test_app_leaves_through_its_subnet(self):
        subnets = {
            each["name"]: each["properties"]
            for each in only("hardened", "Microsoft.Network/virtualNetworks")["properties"]["subnets"]
        }
        site = only("hardened", "Microsoft.Web/sites")["properties"]
        assert site["virtualNetworkSubnetId"].endswith("/subnets/app")
        (delegation,) = subnets["app"]["delegations"]
        assert delegation["properties"]["serviceName"] == "Microsoft.App/environments"
        assert subnets["endpoints"]["privateEndpointNetworkPolicies"] == "Enabled"
