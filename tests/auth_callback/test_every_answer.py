"""What holds for every answer: headers, no script, no secret; and the routes themselves."""

import base64
import hashlib
import logging
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import azure.functions as func

from auth_callback import blueprint
from bench.imports import HEAVY
from mailsync.errors import Misconfigured, Rejected, RetryLater
from mailsync.settings import Settings
from tests.auth_callback.browser import Answer, Browser
from tests.auth_callback.ways import HOSTILE, approve, connect
from tests.mailsync.connect.sign_in import ENVIRONMENT, SECRETS


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
