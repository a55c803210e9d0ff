"""The owner's way on fakes: from the first page to the last, and what no browser of theirs would send."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from auth_callback import pages
from auth_callback.blueprint import CONNECTED_COOKIE, SIGN_IN_COOKIE
from mailsync.mailboxes.records import Folder, LastError, MailboxState
from mailsync.tokens.records import ALL_SCOPES
from tests.auth_callback.browser import Browser
from tests.auth_callback.ways import begin, connect
from tests.mailsync.connect.sign_in import MAILBOX, NOW, answer


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
