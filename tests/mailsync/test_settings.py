"""Settings are read once, and everything wrong with them is said at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.errors import Misconfigured
from mailsync.settings import NAMES, Brand, Settings, is_loopback

GOOD = {
    "PUBLIC_BASE_URL": "https://connect.example.org",
    "ENTRA_CLIENT_ID": "22222222-2222-4222-8222-222222222222",
    "KEY_VAULT_URL": "https://vault.example.net/",
    "MAIL_STORAGE__tableServiceUri": "https://mail.table.core.windows.net",
    "MAIL_STORAGE__queueServiceUri": "https://mail.queue.core.windows.net",
    "MAIL_STORAGE__blobServiceUri": "https://mail.blob.core.windows.net",
}


def problem(**changes: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        Settings.load(GOOD | changes)
    assert caught.value.reason == "bad_settings"
    return caught.value.message


def test_the_defaults_are_those_of_the_contract():
    settings = Settings.load(GOOD)
    assert settings.authority == "https://login.microsoftonline.com/organizations"
    assert settings.graph_endpoint == "https://graph.microsoft.com/v1.0"
    assert settings.key_vault_url == "https://vault.example.net"
    assert (settings.folders, settings.backfill_days) == (("inbox",), 30)
    assert (settings.poll_interval, settings.poll_interval_with_push) == (300, 3600)
    assert settings.client_secret == ""
    assert settings.storage.credential == settings.key_vault_credential == "managedidentity"


def test_the_routes_that_others_are_told_of_hang_on_the_base_url():
    settings = Settings.load(GOOD)
    assert settings.redirect_uri == "https://connect.example.org/auth/callback"
    assert settings.notification_url == "https://connect.example.org/graph/notifications"
    assert settings.lifecycle_url == "https://connect.example.org/graph/lifecycle"


def test_the_platform_names_the_host_where_nobody_else_does():
    names = {name: value for name, value in GOOD.items() if name != "PUBLIC_BASE_URL"}
    settings = Settings.load(names | {"WEBSITE_HOSTNAME": "func-1.azurewebsites.net"})
    assert settings.public_base_url == "https://func-1.azurewebsites.net"


def test_all_that_is_missing_is_named_at_once():
    with pytest.raises(Misconfigured) as caught:
        Settings.load({})
    for name in GOOD:
        assert f"{name} is missing; set it to " in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_BASE_URL", "http://connect.example.org"),
        ("PUBLIC_BASE_URL", "https://connect.example.org/path"),
        ("PUBLIC_BASE_URL", "https://user:word@connect.example.org"),
        ("PUBLIC_BASE_URL", "https://[::1"),
        ("ENTRA_CLIENT_ID", "inbox-connector"),
        ("ENTRA_TENANT", "common"),
        ("ENTRA_TENANT", "consumers"),
        ("ENTRA_AUTHORITY_HOST", "login.microsoftonline.com"),
        ("AZURE_CLIENT_ID", "identity"),
        ("GRAPH_ENDPOINT", "https://graph.microsoft.com/v1.0?x=1"),
        ("KEY_VAULT_URL", "vault"),
        ("KEY_VAULT_CREDENTIAL", "secret"),
        ("MAIL_STORAGE__credential", "key"),
        ("MAIL_FOLDERS", "inbox;archive"),
        ("MAIL_FOLDERS", "in/box"),
        ("BACKFILL_DAYS", "-1"),
        ("BACKFILL_DAYS", "a month"),
        ("POLL_INTERVAL_SECONDS", "0"),
        ("SUBSCRIPTION_MINUTES", "10081"),
        ("PRODUCT_NAME", "x" * 61),
        ("PRODUCT_NAME", "two\nlines"),
        ("PRODUCT_NAME", "turned \u202eround"),
        ("SUPPORT_URL", "http://example.org/help"),
        ("SUPPORT_URL", "mailto:help@example.org"),
        ("PRIVACY_URL", "javascript:alert(1)"),
        ("PRIVACY_URL", "data:text/html,x"),
        ("TERMS_URL", "https://user:word@example.org/terms"),
        ("TERMS_URL", "https://example.org/terms?x=1"),
        ("LOGO_URL", "https://example.org/a.svg; script-src *"),
        ("LOGO_URL", "https://example.org/a.svg, https://evil.example"),
        ("LOGO_URL", "https://example.org/'unsafe-inline'"),
        ("LOGO_URL", "https://example.org:0/a.svg"),
        ("LOGO_URL", "https:///a.svg"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(name, value):
    assert problem(**{name: value}).startswith(f"{name} is not valid; set it to ")


def test_several_faults_come_together():
    message = problem(BACKFILL_DAYS="x", ENTRA_TENANT="y", KEY_VAULT_URL="z")
    assert message.count(" is not valid; ") == 3


def test_a_value_that_is_wrong_is_not_repeated():
    assert "hunter2" not in problem(ENTRA_CLIENT_ID="hunter2")


def test_secrets_hide_in_repr():
    settings = Settings.load(GOOD | {"ENTRA_CLIENT_SECRET": "hunter2", "MAIL_STORAGE": "AccountKey=hunter3"})
    assert settings.storage.connection_string == "AccountKey=hunter3"
    assert "hunter" not in repr(settings)


def test_the_brand_is_siftrocks_unless_it_is_said():
    assert Settings.load(GOOD).brand == Brand("Siftrock", "", "", "", "")
    own = {
        "PRODUCT_NAME": "Größe & <Söhne>",
        "SUPPORT_URL": "https://example.org/help/",
        "LOGO_URL": "https://cdn.example.org:8443/a_b-c.svg",
    }
    brand = Settings.load(GOOD | own).brand
    assert (brand.product_name, brand.support_url, brand.logo_url) == tuple(own.values())


def test_folders_are_listed_once_in_order():
    assert Settings.load(GOOD | {"MAIL_FOLDERS": "archive, inbox ,archive"}).folders == ("archive", "inbox")


def test_the_storage_identity_is_the_apps_unless_it_has_its_own():
    identity = "33333333-3333-4333-8333-333333333333"
    assert Settings.load(GOOD | {"AZURE_CLIENT_ID": identity}).storage.client_id == identity
    own = {"AZURE_CLIENT_ID": identity, "MAIL_STORAGE__clientId": "4" * 8}
    assert Settings.load(GOOD | own).storage.client_id == "4" * 8


def test_an_operator_may_use_the_azure_clis_login():
    assert Settings.load(GOOD | {"MAIL_STORAGE__credential": "azurecli"}).storage.credential == "azurecli"


@pytest.mark.parametrize("url", ["https://localhost:1", "https://127.0.0.1", "https://[::1]:4"])
def test_this_machine_is_loopback(url):
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url", ["https://localhost.example.org", "https://127.0.0.1.example.org", "https://example.org#localhost"]
)
def test_nothing_else_is_loopback(url):
    assert not is_loopback(url)


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40)))
def test_any_values_give_settings_or_a_named_fault(values):
    message = ""
    try:
        Settings.load(GOOD | values)
    except Misconfigured as error:
        message = error.message
    assert not message or any(name in message for name in NAMES)
