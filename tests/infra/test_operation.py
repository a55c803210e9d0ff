"""Roles, monitoring, budget and tags, and the rules that the Bicep files are held to."""

import re

import pytest

from tests.infra.kept import INFRA, PUBLIC, SNAPSHOTS, only, resources

ROLES = "Microsoft.Authorization/roleAssignments"
every = pytest.mark.parametrize("snapshot", SNAPSHOTS)
public = pytest.mark.parametrize("snapshot", PUBLIC)

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLE_IDS = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}

OF_APP = {
    "sthost": {("Storage Blob Data Owner", "app"), ("Storage Table Data Contributor", "app")},
    "stmail": {
        ("Storage Table Data Contributor", "app"),
        ("Storage Queue Data Contributor", "app"),
        ("Storage Blob Data Contributor", "app"),
    },
    "kv": {("Key Vault Secrets Officer", "app")},
    "appi": {("Monitoring Metrics Publisher", "app")},
}


class TestRoles:
    def grants(self, snapshot: str) -> dict[str, set[tuple[str, str]]]:
        """Roles by the type of what they are given on, as (name, principal)."""
        names = {role: name for name, role in ROLE_IDS.items()}
        found: dict[str, set[tuple[str, str]]] = {}
        for assignment in resources(snapshot, ROLES):
            target = re.search(r"providers/(Microsoft\.(?!Managed|Author)\w+/\w+/\w+)", assignment["id"])[1]
            properties = assignment["properties"]
            assert len(properties["description"]) > 40  # each says why
            principal = "app" if properties["principalId"].startswith("[reference(") else properties["principalId"]
            kind = {"app": "ServicePrincipal"}.get(principal, "Group")
            assert properties["principalType"] == kind
            role = names[properties["roleDefinitionId"].rsplit("/", 1)[1]]
            place = re.sub(r"ujpz4sllks6cy$", "", target.split("/")[2])
            found.setdefault(place, set()).add((role, principal))
        return found

    @public
    def test_least_roles_and_no_other(self, snapshot):
        assert self.grants(snapshot) == OF_APP

    def test_operator_works_on_mail_and_never_on_tokens(self):
        group = "55555555-5555-4555-8555-555555555555"
        operator = {("Storage Table Data Contributor", group), ("Storage Queue Data Contributor", group)}
        assert self.grants("hardened") == OF_APP | {"stmail": OF_APP["stmail"] | operator}


class TestMonitoring:
    @every
    def test_tokens_only_and_bounded(self, snapshot):
        component = only(snapshot, "Microsoft.Insights/components")["properties"]
        workspaces = resources(snapshot, "Microsoft.OperationalInsights/workspaces")
        (capped,) = [each for each in workspaces if each["id"] == component["WorkspaceResourceId"]]
        assert component["DisableLocalAuth"] is True
        assert capped["properties"]["workspaceCapping"] == {"dailyQuotaGb": 1}
        for workspace in workspaces:
            assert workspace["properties"]["features"]["disableLocalAuth"] is True
            assert workspace["properties"]["retentionInDays"] == 30

    def test_mail_goes_out_only_where_an_address_is_given(self):
        assert not resources("default", "Microsoft.Insights/actionGroups")
        group = only("hardened", "Microsoft.Insights/actionGroups")
        assert [each["emailAddress"] for each in group["properties"]["emailReceivers"]] == ["operator@example.com"]
        assert len(group["properties"]["groupShortName"]) <= 12
        for rule in resources("hardened", "Microsoft.Insights/scheduledQueryRules"):
            assert rule["properties"]["actions"]["actionGroups"] == [group["id"]]
        for rule in resources("hardened", "Microsoft.Insights/metricAlerts"):
            assert rule["properties"]["actions"] == [{"actionGroupId": group["id"]}]
        for rule in resources("default", "Microsoft.Insights/metricAlerts"):
            assert rule["properties"]["actions"] == []

    def test_budget(self):
        assert not resources("default", "Microsoft.Consumption/budgets")
        budget = only("hardened", "Microsoft.Consumption/budgets")["properties"]
        assert budget["amount"] == 100
        assert {each["thresholdType"] for each in budget["notifications"].values()} == {"Actual", "Forecasted"}

    @every
    def test_everything_is_tagged(self, snapshot):
        for resource in resources(snapshot):
            if "location" in resource:
                assert resource["tags"]["application"] == "siftrock-inbox-connector", resource["type"]
                assert resource["tags"]["azd-env-name"] == "example", resource["type"]


def test_every_rule_of_the_compiler_is_an_error_or_off_with_its_reason():
    lines = (INFRA / "bicepconfig.json").read_text().splitlines()
    levels = {match[1]: (match[2], lines[n - 1]) for n, line in enumerate(lines) if (match := LEVEL.search(line))}
    assert len(levels) > 50
    for rule, (level, before) in levels.items():
        assert level == "error" or (level == "off" and before.strip().startswith("//")), rule


LEVEL = re.compile(r'"([a-z-]+)": \{ "level": "(\w+)" \}')
