"""The parameters of azd, filled for az."""

import json
import re

import pytest

from infra import parameters
from tests.infra.kept import INFRA, template

REQUIRED = {"AZURE_ENV_NAME": "prod", "AZURE_LOCATION": "westeurope"}


def test_values_come_from_the_environment_in_the_types_of_the_template():
    filled = parameters.filled({**REQUIRED, "NETWORK_HARDENING": "true", "MONTHLY_BUDGET": "100"})["parameters"]
    assert filled["environmentName"] == {"value": "prod"}
    assert filled["networkHardening"] == {"value": True}
    assert filled["monthlyBudget"] == {"value": 100}


def test_what_is_not_set_or_empty_keeps_the_default_of_the_template():
    places = set(re.findall(r"\$\{(\w+)", (INFRA / "main.parameters.json").read_text()))
    for environ in (REQUIRED, dict.fromkeys(places, "") | REQUIRED):
        for name, parameter in parameters.filled(environ)["parameters"].items():
            if "defaultValue" in template()["parameters"][name]:
                assert parameter["value"] == template()["parameters"][name]["defaultValue"], name


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"AZURE_ENV_NAME": "prod"}, "AZURE_LOCATION is not set"),
        (REQUIRED | {"MONTHLY_BUDGET": "many"}, "MONTHLY_BUDGET is 'many', which is no int"),
        (REQUIRED | {"NETWORK_HARDENING": "yes"}, "NETWORK_HARDENING is 'yes', which is no bool"),
    ],
)
def test_what_az_would_refuse_is_named(environ, said):
    with pytest.raises(parameters.ParameterError, match=said):
        parameters.filled(environ)


def test_is_the_document_that_az_reads():
    filled = parameters.filled(REQUIRED)
    assert filled["$schema"].endswith("deploymentParameters.json#")
    assert json.loads(json.dumps(filled)) == filled
