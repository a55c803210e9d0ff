"""What each refusal and fault says to whoever meets it, and what it leaves in the log."""

import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest

from auth_callback.refusals import REFUSALS, refusal_for
from mailsync.adapters.entra import errors as entra_errors
from mailsync.connect import connector as connect_module
from mailsync.errors import MailsyncError, Misconfigured, ReconnectRequired, Rejected, RetryLater
from mailsync.reasons import Reason
from mailsync.tokens.records import ALL_SCOPES
from tests.auth_callback.browser import Answer
from tests.auth_callback.ways import HOSTILE, begin, connect
from tests.mailsync.connect.sign_in import TENANT


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
        r"unexpected_error count=1 type=ZeroDivisionError at=tests\.auth_callback\.test_refusal_pages:\d+"
        rf" reference={told(page)['Reference']}",
        record.getMessage(),
    )
    assert "the-refresh-token" not in caplog.text + page.text


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
