"""The operator's command line on fakes."""

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from mailsync import admin
from mailsync.accounts.records import Account
from mailsync.adapters.storage.services import queue_service, table_service
from mailsync.errors import Misconfigured
from mailsync.mailboxes.records import Folder, History, LastError, Mailbox, MailboxState, Push, PushState, Subscription
from tests.fakes.stores import FakeAccountStore, FakeMailboxStore
from tests.mailsync.connect.sign_in import MAILBOX, NOW, OTHER_TENANT, SETTINGS, TENANT, USER


@pytest.fixture
def parts(monkeypatch):
    parts = SimpleNamespace(accounts=FakeAccountStore(), mailboxes=FakeMailboxStore(), settings=SETTINGS)
    monkeypatch.setattr(admin, "app", lambda: parts)
    return parts


def mailbox(**changes) -> Mailbox:
    values = {
        "id": MAILBOX,
        "account_id": "shop",
        "address": "Offers@shop.example",
        "display_name": "Offers\x1b[31m",
        "connected_at": NOW,
        "next_poll_at": NOW + timedelta(minutes=5),
        "messages": 12,
    }
    return Mailbox(**(values | changes))


def add(*more: str) -> int:
    return admin.main(["account", "add", "shop", "--name", "The Shop", *more])


def test_an_account_is_added_and_listed(parts, capsys):
    assert add("--address", "Offers@Shop.example", "--domain", "MÜNCHEN.example", "--domain", "b.example") == 0
    account = parts.accounts.get("shop")
    assert account.addresses == ("offers@shop.example",)
    assert account.domains == ("xn--mnchen-3ya.example", "b.example")
    said = capsys.readouterr().out
    assert "offers@shop.example" in said
    assert 0 < said.index("https://connect.example/connect/approval ") < said.index("https://connect.example/connect ")
    parts.accounts.pin_tenant("shop", "b.example", TENANT)
    assert admin.main(["account", "list"]) == 0
    heads, row = capsys.readouterr().out.splitlines()
    assert heads.split() == ["ID", "NAME", "ADDRESSES", "DOMAINS"]
    assert "The Shop" in row
    assert admin.main(["account", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "id": "shop",
            "name": "The Shop",
            "addresses": ["offers@shop.example"],
            "domains": ["xn--mnchen-3ya.example", "b.example"],
            "tenantIds": {"b.example": TENANT},
            "mailboxIds": {},
        }
    ]


def test_the_stored_form_of_a_claim_is_shown(parts, capsys):
    assert add("--domain", "STRAẞE.example", "--domain", "Straße.test", "--address", "A@straße.example") == 0
    shown = capsys.readouterr().out
    for stored in ("xn--strae-oqa.example", "xn--strae-oqa.test", "a@xn--strae-oqa.example"):
        assert stored in shown


def test_only_the_operator_releases_a_claim(parts, capsys):
    add("--address", "offers@shop.example", "--domain", "b.example")
    parts.accounts.pin_mailbox("shop", "offers@shop.example", MAILBOX)
    parts.accounts.pin_tenant("shop", "b.example", TENANT)
    capsys.readouterr()
    assert admin.main(["account", "release", "shop", "Offers@Shop.example"]) == 0
    assert f"pinned     b.example to {TENANT}" in capsys.readouterr().out
    assert parts.accounts.get("shop").mailbox_ids == {}
    assert admin.main(["account", "release", "shop", "B.example"]) == 0
    assert "pinned     -" in capsys.readouterr().out
    assert admin.main(["account", "release", "shop", "b.example"]) == 1
    assert capsys.readouterr().err.startswith("not_pinned: ")
    assert admin.main(["account", "release", "shop", "elsewhere.example"]) == 1
    assert capsys.readouterr().err.startswith("unknown_claim: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--address", "offers"], "`offers` is not an address"),
        (["--address", "a b@shop.example"], "is not an address"),
        (["--domain", "shop"], "`shop` is not a domain name"),
        (["--domain", "offers@shop.example"], "is not a domain name"),
        ([], "at least one --address or --domain"),
        (["--domain", "shop.example", "--name", " "], "a name has"),
        (["--domain", "shop.example", "--name", "a\nb"], "a name has"),
    ],
)
def test_what_is_no_address_or_domain_is_a_usage_error(parts, capsys, arguments, words):
    with pytest.raises(SystemExit) as caught:
        add(*arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err
    assert not parts.accounts.rows


def test_a_claim_belongs_to_one_account(parts, capsys):
    parts.accounts.add(Account("first", "First", domains=("shop.example",)))
    assert add("--domain", "SHOP.example") == 1
    assert capsys.readouterr().err.startswith("already_claimed: shop.example belongs to account first;")
    assert list(parts.accounts.rows) == ["first"]
    parts.accounts.add(Account("shop", "Shop", domains=("other.example",)))
    assert add("--domain", "free.example") == 1
    assert capsys.readouterr().err.startswith("already_claimed: The id shop is taken;")


def test_mailboxes_are_listed(parts, capsys):
    parts.mailboxes.save(mailbox())
    second = mailbox(
        id=f"{OTHER_TENANT}-{USER}",
        account_id="a",
        address="x@a.example",
        state=MailboxState.NEEDS_RECONNECT,
        last_error=LastError(NOW, "grant_revoked", "The grant was revoked."),
        next_poll_at=None,
    )
    parts.mailboxes.save(second)
    assert admin.main(["mailbox", "list"]) == 0
    _, first, last = capsys.readouterr().out.splitlines()
    assert first.split() == ["x@a.example", "a", "needs_reconnect", "-", "12", "-", "grant_revoked", "-", second.id]
    assert last.split()[:5] == ["Offers@shop.example", "shop", "active", "off", "12"]
    assert "2026-11-25 09:05:00Z" in last
    assert admin.main(["mailbox", "list", "--json"]) == 0
    assert [each["state"] for each in json.loads(capsys.readouterr().out)] == ["needs_reconnect", "active"]


@pytest.mark.parametrize("name", ["offers@SHOP.example", MAILBOX, MAILBOX.upper()])
def test_a_mailbox_is_shown_by_address_or_id(parts, capsys, name):
    folders = (
        Folder("inbox", NOW, enumerated=5000, enumerating=False, history=History(read=100, total=7000)),
        Folder("archive", NOW, enumerating=False, cursor="https://graph.example/delta?secretish"),
    )
    saved = mailbox(folders=folders, last_error=LastError(NOW, "graph_busy", "Busy."))
    parts.mailboxes.save(saved)
    assert admin.main(["mailbox", "show", name]) == 0
    text = capsys.readouterr().out
    assert "Offers?[31m" in text
    assert "graph_busy at 2026-11-25 09:00:00Z: Busy." in text
    assert "5000 enumerated, history 100 of 7000" in text
    assert "complete since 2026-11-25 09:00:00Z" in text
    assert "secretish" not in text
    assert admin.main(["mailbox", "show", name, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["lastError"] == {"at": "2026-11-25T09:00:00Z", "reason": "graph_busy", "message": "Busy."}
    assert shown["folders"][0]["history"] == {"before": None, "read": 100, "total": 7000, "done": False}
    assert (shown["folders"][1]["complete"], shown["folders"][1]["history"]) == (True, None)
    assert shown["nextPollAt"] == "2026-11-25T09:05:00Z"


def test_push_is_shown_with_its_reason_and_times(parts, capsys):
    minute = timedelta(minutes=1)
    ends = Subscription("id", "secretish", "key", NOW + 9 * minute, NOW, NOW)
    later = Subscription("id2", "nonce", "key", NOW + 20 * minute, NOW, NOW)
    folders = (Folder("inbox", NOW, subscription=later), Folder("archive", NOW, subscription=ends))
    parts.mailboxes.save(
        mailbox(
            folders=folders,
            push=Push(PushState.DEGRADED, "silent", NOW + minute, failures=2),
            last_notification_at=NOW - minute,
        )
    )
    assert admin.main(["mailbox", "show", MAILBOX]) == 0
    text = capsys.readouterr().out
    assert "degraded (silent), subscribed until 2026-11-25 09:09:00Z, tried again at 2026-11-25 09:01:00Z" in text
    assert "last notification" in text
    assert "secretish" not in text
    assert admin.main(["mailbox", "show", MAILBOX, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["push"] == {
        "state": "degraded",
        "reason": "silent",
        "expiresAt": "2026-11-25T09:09:00Z",
        "lastNotificationAt": "2026-11-25T08:59:00Z",
        "retryAt": "2026-11-25T09:01:00Z",
        "failures": 2,
    }


@pytest.mark.parametrize("state", [MailboxState.NEEDS_RECONNECT, MailboxState.DISCONNECTED])
def test_push_ends_with_the_grant(parts, capsys, state):
    subscription = Subscription("id", "secretish", "key", NOW + timedelta(minutes=9), NOW, NOW)
    folders = (Folder("inbox", NOW, subscription=subscription),)
    degraded = Push(PushState.DEGRADED, "grant_revoked", NOW)
    parts.mailboxes.save(mailbox(state=state, folders=folders, push=degraded))
    assert admin.main(["mailbox", "show", MAILBOX]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("push ")]
    assert line.split() == ["push", "-"]
    assert admin.main(["mailbox", "show", MAILBOX, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["push"] == {
        "state": "off",
        "reason": "grant_revoked",
        "expiresAt": None,
        "lastNotificationAt": None,
        "retryAt": None,
        "failures": 0,
    }


def test_history_without_a_count_yet_is_shown_as_unknown(parts, capsys):
    parts.mailboxes.save(mailbox(folders=(Folder("inbox", NOW, history=History()),)))
    assert admin.main(["mailbox", "show", MAILBOX]) == 0
    assert "history 0 of ?" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nobody@shop.example", MAILBOX])
def test_a_mailbox_that_is_not_there_is_named(parts, capsys, name):
    assert admin.main(["mailbox", "show", name]) == 1
    assert capsys.readouterr().err.startswith(f"unknown_mailbox: No mailbox `{name}`")


def test_two_mailboxes_of_one_address_are_told_apart_by_id(parts, capsys):
    parts.mailboxes.save(mailbox())
    parts.mailboxes.save(replace(mailbox(), id=f"{OTHER_TENANT}-{USER}"))
    assert admin.main(["mailbox", "show", "offers@shop.example"]) == 1
    assert f"{OTHER_TENANT}-{USER}" in capsys.readouterr().err


def test_nothing_yet_says_what_to_do(parts, capsys):
    assert admin.main(["account", "list"]) == 0
    assert admin.main(["mailbox", "list"]) == 0
    out = capsys.readouterr().out
    assert "account add" in out
    assert "https://connect.example/connect" in out


def test_storage_is_created_where_it_is_missing(parts, storage, capsys):
    parts.settings = replace(SETTINGS, storage=storage)
    table_service(storage).delete_table("signins")
    queue_service(storage).delete_queue("mailbox-sync-poison")
    assert admin.main(["storage", "create"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "table messages: was there",
        "table mailboxes: was there",
        "table accounts: was there",
        "table signins: created",
        "queue mailbox-sync: was there",
        "queue mailbox-sync-poison: created",
        "container message-bodies: was there",
    ]


def test_bad_settings_are_named(monkeypatch, capsys):
    def app():
        raise Misconfigured("bad_settings", "KEY_VAULT_URL is missing")

    monkeypatch.setattr(admin, "app", app)
    assert admin.main(["account", "list"]) == 1
    assert capsys.readouterr().err == "bad_settings: KEY_VAULT_URL is missing\n"


@pytest.mark.parametrize("arguments", [[], ["account"], ["mailbox", "show"], ["mailbox", "disconnect", "x"]])
def test_usage_errors_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        admin.main(arguments)
    assert caught.value.code == 2
    capsys.readouterr()
