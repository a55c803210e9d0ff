"""The administrator's way on fakes: the page, Microsoft's admin consent, and answers that prove nothing."""

import re
from datetime import timedelta

import pytest

from auth_callback.blueprint import APPROVAL_COOKIE
from mailsync.tokens.records import ALL_SCOPES
from tests.auth_callback.browser import Answer, Browser
from tests.auth_callback.ways import HOSTILE, approve
from tests.mailsync.connect.sign_in import TENANT


def test_the_page_for_administrators_says_what_is_asked_and_by_whom(world, browser):
    page = browser.get("/connect/approval")
    assert page.status == 200
    for scope in ALL_SCOPES:
        assert f"<code>{scope}</code>" in page.text
    for words in ("Sending, changing or deleting mail", "One inbox a sign-in", "delegated", "Revoke admin consent"):
        assert words in page.words
    assert world.settings.client_id in page.text
    assert re.search(r"<textarea [^>]*readonly[^>]*>https://connect\.example/connect/approval</textarea>", page.text)
    assert page.text.count("<button") == 1
    assert not page.cookies


def test_the_button_leads_to_microsofts_admin_consent_with_a_cookie_of_its_own(world, browser):
    started = browser.post("/connect/approval")
    assert started.status == 303
    assert started.headers["Location"].startswith("https://login.microsoftonline.com/organizations/v2.0/adminconsent?")
    [(name, morsel)] = started.cookies.items()
    assert name == APPROVAL_COOKIE
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, "Lax")
    assert (morsel["path"], morsel["max-age"], morsel["domain"]) == ("/", "3600", "")
    assert morsel.value not in started.headers["Location"]
    assert not world.signins.rows


def test_no_other_site_starts_an_approval(world, browser):
    assert browser.post("/connect/approval", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


def test_an_administrator_who_has_approved_gets_the_owners_link(world, browser):
    page = approve(browser)
    assert page.status == 200
    assert "Approved: inboxes can be connected now" in page.words
    assert TENANT in page.words
    assert re.search(r"<textarea [^>]*readonly[^>]*>https://connect\.example/connect</textarea>", page.text)
    assert not world.mailboxes.rows
    assert not world.signins.rows


def test_an_administrator_who_has_declined_is_told_so(world, browser, caplog):
    page = approve(browser, error="access_denied", error_description=HOSTILE)
    assert page.status == 400
    assert "The app was not approved" in page.words
    assert "Code admin_declined" in page.words
    reference = re.search(r"Reference ([A-Z2-7]{8}) ", page.words)[1]
    assert f"connect_refused count=1 reason=admin_declined reference={reference} " in caplog.text
    assert "alert(1)" not in page.text


def test_two_tabs_of_an_administrator_do_not_break_each_other(world, browser):
    state = re.search(r"state=([^&]+)", browser.post("/connect/approval").headers["Location"])[1]
    browser.post("/connect/approval")
    assert "Approved:" in browser.get("/auth/callback", admin_consent="True", state=state).words


UNCHECKED = {
    "no state": lambda state: "",
    "one made up": lambda state: f"{state.partition('.')[0]}.{'A' * 43}",
    "a longer time": lambda state: f"9{state}",
    "in other digits": lambda state: state.replace(state[0], chr(0x660 + int(state[0])), 1),
    "cut": lambda state: state[:-1],
}


@pytest.mark.parametrize("change", UNCHECKED.values(), ids=list(UNCHECKED))
@pytest.mark.parametrize("declined", [False, True])
def test_an_answer_that_belongs_to_no_request_claims_nothing(world, browser, change, declined):
    state = re.search(r"state=([^&]+)", browser.post("/connect/approval").headers["Location"])[1]
    query = {"admin_consent": "True", "tenant": TENANT, "state": change(state)}
    claims_nothing(browser.get("/auth/callback", **query, **({"error": "access_denied"} if declined else {})))


@pytest.mark.parametrize("whose", ["another browser's", "none", "a strange one"])
def test_nor_does_one_that_comes_to_another_browser(world, browser, whose):
    state = re.search(r"state=([^&]+)", browser.post("/connect/approval").headers["Location"])[1]
    other = Browser()
    if whose == "another browser's":
        other.post("/connect/approval")
    elif whose == "a strange one":
        other.cookies[APPROVAL_COOKIE] = "x"
    claims_nothing(other.get("/auth/callback", admin_consent="True", tenant=TENANT, state=state))


def test_nor_does_one_that_comes_after_an_hour(world, browser):
    state = re.search(r"state=([^&]+)", browser.post("/connect/approval").headers["Location"])[1]
    world.now += timedelta(minutes=59)
    assert "Approved:" in browser.get("/auth/callback", admin_consent="True", state=state).words
    world.now += timedelta(minutes=1)
    claims_nothing(browser.get("/auth/callback", admin_consent="True", tenant=TENANT, state=state))


def test_a_cookie_that_is_none_of_ours_is_replaced(world, browser):
    browser.cookies[APPROVAL_COOKIE] = "chosen-by-somebody-else"
    assert "Approved:" in approve(browser).words
    assert browser.cookies[APPROVAL_COOKIE] != "chosen-by-somebody-else"


@pytest.mark.parametrize("tenant", [HOSTILE, "", TENANT.upper() + "0"])
def test_a_tenant_that_is_none_is_not_shown(world, browser, tenant):
    page = approve(browser, tenant=tenant)
    assert "Approved:" in page.words
    assert "Organization" not in page.words
    assert "alert(1)" not in page.text


def claims_nothing(page: Answer) -> None:
    assert "cannot check" in page.words
    assert re.search("<h1>If (you approved the app|the app was not approved)", page.text)
    assert TENANT not in page.text
    assert "✓" not in page.words
    assert "Reference" not in page.words


@pytest.mark.parametrize("query", [{}, {"code": "the-code", "state": "s"}, {"admin_consent": "False"}])
def test_nothing_else_comes_by_get(world, browser, query):
    page = browser.get("/auth/callback", **query)
    assert page.status == 400
    assert "bad_answer" in page.words
    assert "the-code" not in page.text
