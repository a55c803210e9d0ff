"""The routes on fakes: statuses, headers, cookies, and what each page says."""

import base64
import hashlib
import logging
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import azure.functions as func
import pytest

from auth_callback import blueprint, pages
from auth_callback.blueprint import APPROVAL_COOKIE, CONNECTED_COOKIE, SIGN_IN_COOKIE
from auth_callback.refusals import REFUSALS, refusal_for
from bench.imports import HEAVY
from mailsync.adapters.entra import errors as entra_errors
from mailsync.connect import connector as connect_module
from mailsync.errors import MailsyncError, Misconfigured, ReconnectRequired, Rejected, RetryLater
from mailsync.mailboxes.records import Folder, LastError, MailboxState
from mailsync.reasons import Reason
from mailsync.settings import Settings
from mailsync.tokens.records import ALL_SCOPES
from tests.auth_callback.browser import Answer, Browser
from tests.mailsync.connect.sign_in import ENVIRONMENT, MAILBOX, NOW, SECRETS, TENANT, answer

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


def begin(browser: Browser) -> str:
    location = browser.post("/connect").headers["Location"]
    return location.partition("state=")[2]


def connect(browser: Browser) -> Answer:
    return browser.post("/auth/callback", answer(begin(browser)))


def test_the_first_page_tells_what_is_asked_and_what_is_not(world, browser):
    page = browser.get("/connect", invite="unheard-of<script>")
    assert page.status == 200
    for scope in ALL_SCOPES:
        assert f"<code>{scope}</code>" in page.text
    assert "Sending, changing or deleting mail" in page.words
    assert "We copy the messages of the folders we follow" in page.words
    assert "What was copied before stays with Siftrock" in page.words
    assert "Calendars" in page.words
    assert 'href="/connect/approval"' in page.text
    assert "myapps.microsoft.com" in page.text
    assert page.text.count("<button") == 1
    assert "unheard-of" not in page.text
    assert not page.cookies


def test_the_words_cover_exactly_what_is_asked():
    assert sorted(permission.scope for permission in pages.PERMISSIONS) == sorted(ALL_SCOPES)


def test_starting_sends_the_browser_to_microsoft_with_a_cookie_of_its_own(world, browser):
    started = browser.post("/connect")
    assert started.status == 303
    assert started.headers["Location"].startswith("https://login.microsoftonline.com/authorize?")
    [(name, morsel)] = started.cookies.items()
    assert name == SIGN_IN_COOKIE
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", morsel.value)
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, "None")
    assert (morsel["path"], morsel["max-age"], morsel["domain"]) == ("/", "600", "")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://connect.example"}, 403),
        ({"Origin": "https://connect.example"}, 303),
        ({"Origin": "null"}, 303),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://connect.example.evil.example"}, 403),
    ],
)
def test_no_other_site_starts_a_sign_in(world, browser, headers, status):
    started = browser.post("/connect", headers=headers)
    assert started.status == status
    assert bool(world.signins.rows) == bool(started.cookies) == (status == 303)


def test_the_whole_way(world, browser):
    finished = connect(browser)
    assert (finished.status, finished.headers["Location"], finished.text) == (303, "/connect/done", "")
    morsel = finished.cookies[CONNECTED_COOKIE]
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"], morsel["max-age"]) == (True, True, "Lax", "600")
    assert SIGN_IN_COOKIE not in browser.cookies
    page = browser.get("/connect/done")
    assert page.status == 200
    assert "Your inbox is connected" in page.words
    assert "Offers@Shop.example" in page.words
    assert "The Shop" in page.words
    assert "within about a minute" in page.words
    assert "myapps.microsoft.com" in page.text


def test_the_last_page_shows_how_the_reading_fares(world, browser):
    connect(browser)
    mailbox = world.mailboxes.rows[MAILBOX]
    mailbox = world.mailboxes.save(replace(mailbox, messages=1234, folders=(Folder("inbox", NOW),)))
    assert "1,234 messages read so far" in browser.get("/connect/done").words
    done = Folder("inbox", NOW, enumerating=False)
    mailbox = world.mailboxes.save(replace(mailbox, messages=1, folders=(done,), last_success_at=NOW))
    assert "1 message read. Up to date at 09:00 UTC." in browser.get("/connect/done").words
    mailbox = world.mailboxes.save(replace(mailbox, last_error=LastError(NOW, "graph_busy", "Busy.")))
    assert "did not succeed (graph_busy)" in browser.get("/connect/done").words
    mailbox = world.mailboxes.save(replace(mailbox, state=MailboxState.NEEDS_RECONNECT))
    page = browser.get("/connect/done").words
    assert "must be connected again" in page
    assert "(code graph_busy)" in page
    world.mailboxes.save(replace(mailbox, state=MailboxState.DISCONNECTED))
    assert "Your inbox is disconnected" in browser.get("/connect/done").words


def test_without_its_cookie_the_last_page_tells_nothing(world, browser):
    connect(browser)
    page = Browser().get("/connect/done")
    assert page.status == 200
    assert "There is nothing to show here" in page.words
    assert "Shop" not in page.text
    world.now += timedelta(minutes=11)
    assert "There is nothing to show here" in browser.get("/connect/done").words


def test_a_second_use_of_the_answer_has_a_page(world, browser):
    state = begin(browser)
    cookies = dict(browser.cookies)
    browser.post("/auth/callback", answer(state))
    browser.cookies = cookies
    again = browser.post("/auth/callback", answer(state))
    assert again.status == 400
    assert "sign_in_unknown" in again.words


def test_an_answer_without_the_cookie_has_a_page(world, browser):
    state = begin(browser)
    page = Browser().post("/auth/callback", answer(state))
    assert page.status == 400
    assert "wrong_browser" in page.words
    assert not page.cookies
    assert world.nothing_stored()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/json"}, b"{}"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--"),
        ({}, b"state=a&state=b"),
        ({}, b"state=\xff"),
        ({}, b"state=%ff"),
        ({}, b"code=" + b"x" * 65_536),
        ({}, b"&".join(b"f%d=1" % number for number in range(21))),
    ],
)
def test_what_is_no_form_of_microsofts_is_refused(world, browser, headers, body):
    begin(browser)
    page = browser.post("/auth/callback", headers=headers, body=body)
    assert page.status == 400
    assert "bad_answer" in page.words
    assert not world.directory.completed


def approve(browser: Browser, **answer: str) -> Answer:
    """Presses the button of the administrators' page, and comes back with Microsoft's answer."""
    location = browser.post("/connect/approval").headers["Location"]
    state = re.search(r"state=([^&]+)", location)[1]
    return browser.get("/auth/callback", **{"admin_consent": "True", "tenant": TENANT, "state": state, **answer})


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


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_every_reason_has_a_page_with_its_code_and_a_way_on(world, browser, reason):
    world.directory.failure = Rejected(reason, f"What Microsoft said: {HOSTILE}")
    page = connect(browser)
    refusal = REFUSALS[reason]
    assert page.status == refusal.status
    assert 400 <= page.status < 500
    assert f"Code {reason}" in page.words
    assert ('href="/connect"' in page.text) == refusal.again
    assert ("https://connect.example/connect/approval</textarea>" in page.text) == refusal.approval
    assert ('href="/connect/approval"' in page.text) == refusal.approval
    assert "<script" not in page.text
    assert ("&lt;script&gt;" in page.text) == refusal.technical
    assert world.nothing_stored()


def test_a_reason_nobody_has_heard_of_has_a_page_too(world, browser):
    world.directory.failure = Rejected("brand_new", "Microsoft says no.")
    page = connect(browser)
    assert page.status == 400
    assert "Microsoft refused the sign-in" in page.words
    assert "Code brand_new Details Microsoft says no." in page.words


def test_the_link_for_an_administrator_can_be_copied_and_sent(world, browser):
    world.directory.failure = Rejected("admin_approval_required", "An administrator must approve.")
    page = connect(browser)
    assert page.status == 403
    link = r"https://connect\.example/connect/approval"
    assert re.search(rf"<textarea [^>]*readonly[^>]*>{link}</textarea>", page.text)
    mailto = re.search(r'href="(mailto:\?subject=[^"&]+&amp;body=[^"&]+)"', page.text)
    assert "https%3A//connect.example/connect/approval" in mailto[1]
    assert '<a class="button" href="mailto:' in page.text  # the way on; trying again comes after it
    assert '<a class="button quiet" href="/connect">' in page.text
    for scope in ALL_SCOPES:
        assert scope in mailto[1]


def told(page: Answer) -> dict[str, str]:
    """What a page of refusal asks to be passed on."""
    pairs = re.findall(r"<dt>([^<]+)</dt><dd>(?:<code>)?(.*?)(?:</code>)?</dd>", page.text)
    return dict(pairs)


def test_a_refusal_tells_who_signed_in_and_what_stands_in_the_log(world, browser, caplog):
    world.accounts.rows.clear()
    page = connect(browser)
    facts = told(page)
    assert (facts["Signed in as"], facts["Organization"], facts["Code"]) == (
        "Offers@Shop.example",
        TENANT,
        "no_account",
    )
    assert f"reason=no_account reference={facts['Reference']} " in caplog.text
    assert "Shop.example" not in caplog.text
    assert "What remains at Microsoft" in page.words
    assert "Revoke Permissions" in page.words


def test_two_refusals_have_a_reference_and_a_line_each(world, browser, caplog):
    world.accounts.rows.clear()
    references = {told(connect(browser))["Reference"] for _ in range(3)}
    assert len(references) == 3
    assert all(reference in caplog.text for reference in references)


def test_what_was_declined_leaves_nothing_at_microsoft_and_is_not_said_to(world, browser):
    world.directory.failure = Rejected(Reason.CONSENT_DECLINED, "Entra answered access_denied.")
    page = browser.post("/auth/callback", {"error": "access_denied", "state": begin(browser)})
    assert "What remains at Microsoft" not in page.words
    assert told(page).keys() == {"Reference", "Code", "Details"}


def test_a_name_that_was_signed_in_with_is_text(world, browser):
    world.me.profile = replace(world.me.profile, address=f"{HOSTILE}@shop.example")
    page = connect(browser)
    assert "&lt;script&gt;" in told(page)["Signed in as"]
    assert "<script" not in page.text


@pytest.mark.parametrize(("wait", "header"), [(None, "60"), (0.2, "1"), (17, "17")])
def test_when_others_are_busy_the_page_says_when_to_try_again(world, browser, wait, header):
    world.directory.failure = RetryLater("graph_busy", "Graph is busy.", wait)
    page = connect(browser)
    assert (page.status, page.headers["Retry-After"]) == (503, header)
    assert "Code graph_busy" in page.words
    assert 'href="/connect"' in page.text


def test_the_operators_mistake_is_never_the_owners(world, browser, caplog):
    world.directory.failure = Misconfigured("bad_credential", "ENTRA_CLIENT_ID is not right.")
    page = connect(browser)
    assert page.status == 500
    assert "been told" not in page.words  # alertEmail may name nobody
    assert "tell whoever sent you the link" in page.words
    assert "ENTRA_CLIENT_ID" not in page.text
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    reference = told(page)["Reference"]
    assert record.getMessage().startswith(
        f"misconfigured count=1 reason=bad_credential reference={reference} detail=ENTRA_"
    )


def test_bad_settings_have_a_page(monkeypatch, browser):
    def app():
        raise Misconfigured("bad_settings", "ENTRA_CLIENT_ID is missing.")

    monkeypatch.setattr("auth_callback.blueprint.app", app)
    for page in (browser.get("/connect"), browser.post("/connect"), browser.get("/connect/done")):
        assert page.status == 500
        assert "bad_settings" in page.words


def test_a_grant_that_is_gone_at_once_has_a_page(world, browser):
    world.directory.failure = ReconnectRequired("grant_revoked", "The grant is gone.")
    page = connect(browser)
    assert page.status == 400
    assert "Code grant_revoked" in page.words


def test_an_unexpected_fault_has_a_page_and_is_logged_without_its_words(world, browser, caplog, monkeypatch):
    def fail(*_: object):
        raise ZeroDivisionError("the-refresh-token")

    monkeypatch.setattr(world.vault, "save", fail)
    page = connect(browser)
    assert page.status == 500
    assert "Code unexpected_error" in page.words
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert re.fullmatch(
        r"unexpected_error count=1 type=ZeroDivisionError at=tests\.auth_callback\.test_routes:\d+"
        rf" reference={told(page)['Reference']}",
        record.getMessage(),
    )
    assert "the-refresh-token" not in caplog.text + page.text


def test_names_from_microsoft_are_text_and_never_markup(world, browser):
    world.me.profile = replace(world.me.profile, display_name=HOSTILE, mail=HOSTILE)
    connect(browser)
    page = browser.get("/connect/done")
    assert page.text.count("&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;{{7*7}}") == 2
    assert "<script" not in page.text


def everything(world, browser) -> dict[str, Answer]:
    answers = {
        "connect": browser.get("/connect"),
        "start": browser.post("/connect"),
        "nothing": browser.get("/connect/done"),
        "finished": connect(browser),
        "done": browser.get("/connect/done"),
        "approval": browser.get("/connect/approval"),
        "approval begun": browser.post("/connect/approval"),
        "approved": approve(browser),
        "not checked": browser.get("/auth/callback", admin_consent="True"),
        "get": browser.get("/auth/callback"),
        "post": browser.post("/auth/callback"),
    }
    for error in (
        Rejected("no_account", "None."),
        RetryLater("busy", "Busy."),
        Misconfigured("bad", "Bad."),
        OSError(),
    ):
        world.directory.failure = error
        answers[type(error).__name__] = connect(browser)
    return answers


def test_every_answer_has_the_strict_headers(world, browser):
    for name, each in everything(world, browser).items():
        policy = dict(part.strip().split(" ", 1) for part in each.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'", name
        expected = "'self' https://login.microsoftonline.com" if name in ("connect", "approval") else "'none'"
        assert policy["form-action"] == expected
        assert policy.get("img-src", "data:") == "data:"
        assert "script-src" not in policy
        assert each.headers["Cache-Control"] == "no-store"
        assert each.headers["Referrer-Policy"] == "no-referrer"
        assert each.headers["X-Content-Type-Options"] == "nosniff"
        assert each.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert each.headers["Strict-Transport-Security"] == "max-age=31536000"
        if each.text:
            style = re.search(r"<style>(.*?)</style>", each.text, re.DOTALL)[1]
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert policy["style-src"] == f"'sha256-{digest}'"


def test_on_loopback_a_browser_is_not_held_to_https(world):
    assert "Strict-Transport-Security" not in Browser("https://localhost:7071").get("/connect").headers


def test_no_page_has_a_script_or_fetches_anything(world, browser):
    for each in everything(world, browser).values():
        if each.text:
            assert each.headers["Content-Type"] == "text/html; charset=utf-8"
            assert each.text.startswith('<!doctype html>\n<html lang="en">')
            assert each.text.count("<h1>") == each.text.count("<main>") == each.text.count("<title>") == 1
            assert not re.search(r"<script|<img|<iframe|\ssrc=|\son\w+=|style=|javascript:", each.text)
            [icon] = re.findall(r"<link ([^>]+)>", each.text)
            assert icon.startswith('rel="icon" href="data:image/svg+xml,')
            led = re.findall(r'(?:href|action)="([^"]*)"', each.text)
            assert {each for each in led if not each.startswith(("data:image/svg+xml,", "mailto:?subject="))} <= {
                "/connect",
                "/connect/approval",
                "/connect/done",
                "https://entra.microsoft.com",
                "https://myapps.microsoft.com",
                "https://myaccount.microsoft.com",
            }


def test_pages_carry_the_name_the_links_and_the_logo_of_the_settings(world, browser, monkeypatch):
    links = {"SUPPORT_URL": "https://a.example/help", "PRIVACY_URL": "https://a.example/privacy"}
    brand = {"PRODUCT_NAME": HOSTILE, "LOGO_URL": "https://a.example/logo.svg", **links}
    settings = Settings.load(ENVIRONMENT | brand)
    parts = SimpleNamespace(settings=settings, connector=world.connector)
    for module in ("blueprint", "pages"):
        monkeypatch.setattr(f"auth_callback.{module}.app", lambda: parts)
    for path in ("/connect", "/connect/approval", "/connect/done"):
        page = browser.get(path)
        assert "img-src data: https://a.example/logo.svg;" in page.headers["Content-Security-Policy"]
        assert '<img src="https://a.example/logo.svg" alt="" height="28">' in page.text
        assert all(f'href="{link}"' in page.text for link in links.values())
        assert "Terms" not in page.words
        assert "&lt;script&gt;" in page.text
        assert "<script" not in page.text
        assert "Siftrock" not in page.text


def test_nothing_secret_stands_in_an_answer_or_a_log(world, browser, caplog):
    caplog.set_level(logging.DEBUG)
    answers = everything(world, browser)
    shown = "".join(each.text + each.headers.get("Location", "") for each in answers.values()) + caplog.text
    for secret in (*SECRETS, *browser.cookies.values()):
        assert secret not in shown


def test_every_reason_that_connecting_can_give_has_words_of_its_own():
    package = Path(connect_module.__file__).parents[1]
    names = (
        "connect/connector.py",
        "connect/id_token.py",
        "connect/seal.py",
        "adapters/entra/directory.py",
        "adapters/entra/errors.py",
    )
    source = "".join((package / name).read_text("utf-8") for name in names)
    named = re.findall(r"Rejected\(\s*Reason\.([A-Z_]+)", source)
    reasons = {Reason[name] for name in named} | set(entra_errors.AT_SIGN_IN.values())
    assert {"no_account", "consent_declined", "sign_in_failed", "code_expired"} <= reasons
    assert reasons <= set(REFUSALS)
    assert refusal_for(MailsyncError("unheard_of", "x")).status == 400


def test_after_microsofts_page_need_admin_approval_the_way_on_is_shown(world, browser):
    """Its answer is that of a decline: error=access_denied, error_subcode=cancel, AADSTS65004."""
    said = {
        "error": "access_denied",
        "error_subcode": "cancel",
        "error_description": "AADSTS65004: User declined to consent to access the app. Call 0800-12345.",
    }
    world.directory.failure = entra_errors.of_browser(said)
    page = connect(browser)
    assert "consent_declined" in page.words
    assert "declined" in page.words
    assert "an administrator has to approve" in page.words
    assert re.search(r"<textarea [^>]*readonly[^>]*>https://connect.example/connect/approval<", page.text)
    assert "AADSTS65004" in page.words
    assert "0800" not in page.text
    assert world.nothing_stored()


@pytest.mark.parametrize("error", ["invalid_request", "invalid_scope", "invalid_resource", "unauthorized_client"])
def test_a_setting_that_the_browser_accuses_is_our_mistake_and_raises_no_alarm(world, browser, error, caplog):
    """Anybody who begins a sign-in can bring such an answer: it is told, and counted, and wakes nobody."""
    caplog.set_level(logging.INFO)
    world.directory.failure = entra_errors.of_browser({"error": error})
    page = connect(browser)
    assert page.status == 500
    assert "This is our mistake" in page.words
    assert "misconfigured" not in caplog.text
    assert "connect_refused" in caplog.text


def test_importing_the_routes_loads_nothing_heavy():
    code = f"import sys, auth_callback.blueprint; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_routes_are_the_contract():
    app = func.FunctionApp()
    app.register_functions(blueprint.blueprint)
    routes = set()
    for function in app.get_functions():
        trigger = function.get_trigger().get_dict_repr()
        assert trigger["authLevel"] == func.AuthLevel.ANONYMOUS
        routes |= {(str(method), trigger["route"]) for method in trigger["methods"]}
    assert routes == {
        ("GET", "{ignored:maxlength(0)?}"),
        ("HEAD", "{ignored:maxlength(0)?}"),
        ("GET", "connect"),
        ("HEAD", "connect"),
        ("POST", "connect"),
        ("GET", "connect/approval"),
        ("HEAD", "connect/approval"),
        ("POST", "connect/approval"),
        ("POST", "auth/callback"),
        ("GET", "auth/callback"),
        ("HEAD", "auth/callback"),
        ("GET", "connect/done"),
        ("HEAD", "connect/done"),
    }


def test_the_bare_address_leads_to_the_page(browser):
    answer = browser.get("/")
    assert (answer.status, answer.headers["Location"]) == (303, "/connect")
    assert answer.headers["Cache-Control"] == "no-store"
