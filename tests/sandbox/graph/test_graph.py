"""Graph over HTTP: the user, folders, message lists, single messages, batches."""

import asyncio
import ssl

import httpx
import pytest

from sandbox.graph import throttle
from tests.sandbox.graph.graph_client import IMMUTABLE, Inbox, error_of, mail


@pytest.fixture
def inbox(microsoft365, browser):
    return Inbox(microsoft365, browser)


def test_me(inbox):
    answer = inbox.get("/me", select="id,displayName,mail,userPrincipalName")
    body = answer.json()
    assert body.pop("@odata.context").startswith(inbox.graph)
    assert body == {
        "id": inbox.user.user_id,
        "displayName": "Owner",
        "mail": "owner@contoso.example",
        "userPrincipalName": "owner@contoso.example",
    }
    assert answer.headers["content-type"].startswith("application/json;odata.metadata=minimal")
    assert answer.headers["request-id"]


def test_no_token_no_answer(inbox):
    inbox.token = "nonsense"
    assert error_of(inbox.get("/me"), 401) == "InvalidAuthenticationToken"


def test_a_revoked_grant(inbox):
    inbox.world.grants.revoke(inbox.user.user_id)
    assert error_of(inbox.get("/me"), 401) == "InvalidAuthenticationToken"


def test_scopes(microsoft365, browser):
    reader = Inbox(microsoft365, browser, "reader@contoso.example", frozenset({"Mail.Read"}))
    assert error_of(reader.get("/me"), 403) == "Authorization_RequestDenied"
    assert reader.get("/me/mailFolders/inbox").status_code == 200
    person = Inbox(microsoft365, browser, "person@contoso.example", frozenset({"User.Read"}))
    assert person.get("/me").status_code == 200
    for path in ("/me/mailFolders/inbox", "/me/mailFolders/inbox/messages", "/me/mailFolders/inbox/messages/delta"):
        assert error_of(person.get(path), 403) == "ErrorAccessDenied"


def test_other_peoples_mail_and_writing(inbox):
    assert error_of(inbox.get("/users/somebody@contoso.example/mailFolders/inbox"), 403) == "ErrorAccessDenied"
    assert inbox.get(f"/users/{inbox.user.user_id}/mailFolders/inbox").status_code == 200
    (message,) = inbox.deliver(mail(1))
    headers = {"Authorization": f"Bearer {inbox.token}", "Prefer": IMMUTABLE}
    answer = inbox.client.patch(f"{inbox.graph}/me/messages/{message}", json={"isRead": True}, headers=headers)
    assert error_of(answer, 403) == "ErrorAccessDenied"


def test_what_does_not_exist(inbox):
    assert error_of(inbox.get("/me/nothing"), 501) == "NotImplementedBySandbox"
    assert error_of(inbox.get("/me", select="shoeSize"), 400) == "BadRequest"
    assert error_of(inbox.get("/me/mailFolders/nowhere"), 400) == "ErrorInvalidIdMalformed"
    assert error_of(inbox.get(f"/me/mailFolders/{inbox.mailbox.root_id}"), 404) == "ErrorItemNotFound"


def test_a_folder_by_name_and_id(inbox):
    inbox.deliver(mail(1), mail(2))
    named = inbox.get("/me/mailFolders/Inbox").json()
    assert (named["displayName"], named["totalItemCount"], named["unreadItemCount"]) == ("Inbox", 2, 2)
    assert inbox.get(f"/me/mailFolders('{named['id']}')").json()["id"] == named["id"]
    assert error_of(inbox.get(f"/me/mailFolders/{named['id'].swapcase()}"), 404) == "ErrorItemNotFound"


def test_a_message_whole_and_selected(inbox):
    (message,) = inbox.deliver(mail(7, body="Hällo"))
    whole = inbox.get(f"/me/messages/{message}").json()
    assert whole["id"] == message
    assert whole["subject"] == "Re: offer 7"
    assert whole["sentDateTime"] == "2026-11-18T10:00:00Z"
    assert whole["from"]["emailAddress"] == {"name": "Ann", "address": "ann@example.net"}
    assert whole["parentFolderId"] == inbox.mailbox.folder("inbox").id
    assert "internetMessageHeaders" not in whole
    some = inbox.get(f"/me/messages/{message}", select="subject,internetMessageHeaders").json()
    assert some.keys() == {"@odata.context", "@odata.etag", "id", "subject", "internetMessageHeaders"}
    assert some["internetMessageHeaders"][0] == {"name": "From", "value": "Ann <ann@example.net>"}


def test_ids_are_of_one_kind_and_case(inbox):
    first, second = inbox.deliver(mail(1), mail(2))
    assert first != second
    assert first.lower() == second.lower()
    mutable = inbox.get("/me/mailFolders/inbox/messages", prefer=None).json()["value"]
    ids = {row["subject"]: row["id"] for row in mutable}
    assert ids["Re: offer 1"] != first
    assert inbox.get(f"/me/messages/{ids['Re: offer 1']}", prefer=None).status_code == 200
    assert error_of(inbox.get(f"/me/messages/{ids['Re: offer 1']}"), 404) == "ErrorItemNotFound"
    assert error_of(inbox.get(f"/me/messages/{first}", prefer=None), 404) == "ErrorItemNotFound"
    assert error_of(inbox.get(f"/me/messages/{first.lower()}"), 404) == "ErrorItemNotFound"
    assert error_of(inbox.get("/me/messages/short"), 400) == "ErrorInvalidIdMalformed"


def test_a_move_changes_the_mutable_id_only(inbox):
    (message,) = inbox.deliver(mail(1))
    before = inbox.mailbox.find(message, immutable=True).id
    inbox.tell(f"/messages/{message}/move", {"folder": "archive"})
    assert error_of(inbox.get(f"/me/messages/{before}", prefer=None), 404) == "ErrorItemNotFound"
    assert inbox.get(f"/me/messages/{message}").json()["parentFolderId"] == inbox.mailbox.folder("archive").id


def test_bodies_as_asked(inbox):
    html = mail(1, body="<p>Hello <b>you</b></p>").replace(b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n", 1)
    rich, plain = inbox.deliver(html, mail(2, body="a < b"))

    def body(message, prefer):
        answer = inbox.get(f"/me/messages/{message}", prefer=f"{IMMUTABLE}{prefer}")
        assert ("body-content-type" in answer.headers["preference-applied"]) == bool(prefer)
        return answer.json()["body"]

    assert body(rich, "")["contentType"] == "html"
    wrapped = body(plain, "")
    assert wrapped["contentType"] == "html"
    assert '<div class="PlainText">a &lt; b<br>' in wrapped["content"]
    assert body(plain, ', outlook.body-content-type="text"') == {"contentType": "text", "content": "a < b\r\n"}
    assert body(rich, ', outlook.body-content-type="text"') == {"contentType": "text", "content": "Hello you"}
    assert body(plain, ', outlook.body-content-type="html"') == wrapped


def test_every_way_to_a_message_gives_its_body_in_html_unless_asked_otherwise(inbox):
    (message,) = inbox.deliver(mail(1, body="plain"))
    single = inbox.get(f"/me/messages/{message}").json()["body"]
    (listed,) = inbox.get("/me/mailFolders/inbox/messages").json()["value"]
    (changed,), _ = inbox.round()
    shown = inbox.client.get(f"{inbox.control}/mailboxes/{inbox.address}").json()["messages"][0]
    assert single["contentType"] == "html"
    assert single == listed["body"] == changed["body"] == shown["body"]
    (changed,), _ = inbox.round(prefer=f'{IMMUTABLE}, outlook.body-content-type="text"')
    assert changed["body"] == {"contentType": "text", "content": "plain\r\n"}


def fill(inbox, count):
    """One message a minute from 10:00, each received when it was sent."""
    messages = [mail(n, date=f"Wed, 18 Nov 2026 10:{n:02d}:00 +0000") for n in range(count)]
    return inbox.deliver(*messages, keepDate="1")


def test_a_list_in_pages(inbox):
    ids = fill(inbox, 23)
    answer = inbox.get("/me/mailFolders/inbox/messages", select="id", count="true", top="10")
    assert answer.json()["@odata.count"] == 23
    seen = [row["id"] for row in answer.json()["value"]]
    while link := answer.json().get("@odata.nextLink"):
        answer = inbox.get(link)
        seen += [row["id"] for row in answer.json()["value"]]
    assert seen == ids[::-1]
    assert len(inbox.get("/me/mailFolders/inbox/messages").json()["value"]) == 10
    assert error_of(inbox.get("/me/mailFolders/inbox/messages", top="1001"), 400) == "BadRequest"


def test_a_window_of_time(inbox):
    ids = fill(inbox, 20)
    between = "receivedDateTime ge 2026-11-18T10:05:00Z and receivedDateTime lt 2026-11-18T10:08:00Z"
    answer = inbox.get("/me/mailFolders/inbox/messages", filter=between, orderby="receivedDateTime desc")
    assert [row["id"] for row in answer.json()["value"]] == [ids[7], ids[6], ids[5]]
    answer = inbox.get(
        "/me/mailFolders/inbox/messages", filter=between, orderby="receivedDateTime asc", skip="1", top="1"
    )
    assert [row["id"] for row in answer.json()["value"]] == [ids[6]]


def test_times_are_shown_without_the_fraction_they_are_kept_with(inbox):
    ids = fill(inbox, 2)
    shown = inbox.get(f"/me/messages/{ids[1]}").json()["receivedDateTime"]
    assert shown == "2026-11-18T10:01:00Z"

    def found(text):
        answer = inbox.get(
            "/me/mailFolders/inbox/messages", filter=f"receivedDateTime {text}", orderby="receivedDateTime"
        )
        return [row["id"] for row in answer.json()["value"]]

    assert found(f"le {shown}") == ids[:1]
    assert found(f"gt {shown}") == ids[1:]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"filter": "isRead eq false", "orderby": "receivedDateTime desc"}, "InefficientFilter"),
        ({"orderby": "subject"}, "InefficientFilter"),
        ({"filter": "receivedDateTime ge yesterday"}, "BadRequest"),
        ({"filter": "receivedDateTime ge 2026-01-01T00:00:00"}, "BadRequest"),
        ({"filter": "receivedDateTime"}, "BadRequest"),
        ({"deltatoken": "x"}, "ErrorInvalidUrlQuery"),
    ],
)
def test_lists_that_outlook_refuses(inbox, query, code):
    assert error_of(inbox.get("/me/mailFolders/inbox/messages", **query), 400) == code


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/me/mailFolders/inbox/messages", {"search": "x"}),
        ("/me/mailFolders/inbox/messages", {"filter": "contains(subject,'x')"}),
        ("/me/mailFolders/inbox/messages", {"filter": "isRead eq true or isRead eq false"}),
        ("/me/mailFolders/inbox/messages", {"filter": "subject eq x"}),
        ("/me/mailFolders/inbox", {"expand": "messages"}),
        ("/me/mailFolders", {}),
        ("/me/messages", {}),
        ("/me/calendar/events", {}),
    ],
)
def test_what_graph_has_and_the_stand_in_has_not_says_so(inbox, path, query):
    assert error_of(inbox.get(path, **query), 501) == "NotImplementedBySandbox"


def test_the_beta_version_says_that_it_is_not_there(inbox):
    assert error_of(inbox.get(inbox.graph.replace("/v1.0", "/beta") + "/me"), 501) == "NotImplementedBySandbox"


def get(number, path, **more):
    return {"id": str(number), "method": "GET", "url": path, "headers": {"Prefer": IMMUTABLE}, **more}


def test_a_batch(inbox):
    first, second = inbox.deliver(mail(1), mail(2))
    gone = first.replace("AAkA", "AAkB")
    answer = inbox.batch(
        get(1, f"/me/messages/{first}?$select=subject"),
        get(2, f"me/messages/{gone}"),
        get(3, f"/me/messages/{second}", dependsOn=["2"]),
    )
    parts = {part["id"]: part for part in answer.json()["responses"]}
    assert {n: part["status"] for n, part in parts.items()} == {"1": 200, "2": 404, "3": 424}
    assert parts["1"]["body"]["subject"] == "Re: offer 1"
    assert parts["2"]["body"]["error"]["code"] == "ErrorItemNotFound"


def test_batches_that_are_refused(inbox):
    assert error_of(inbox.batch(*(get(n, "/me") for n in range(21))), 400) == "MaximumValueExceeded"
    assert error_of(inbox.batch(get(1, "/me"), get(1, "/me")), 400) == "BadRequest"
    assert error_of(inbox.batch(), 400) == "BadRequest"


def test_a_batch_is_throttled_piece_by_piece(inbox):
    inbox.order("graph-throttle", 1, operation="message")
    (message,) = inbox.deliver(mail(1))
    parts = inbox.batch(*(get(n, f"/me/messages/{message}") for n in range(3))).json()["responses"]
    assert sorted(part["status"] for part in parts) == [200, 200, 429]
    assert next(part for part in parts if part["status"] == 429)["headers"]["Retry-After"] == "10"


def test_ten_thousand_requests_in_ten_minutes(inbox, monkeypatch):
    monkeypatch.setattr(throttle, "REQUESTS", 3)
    statuses = [inbox.get("/me").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    answer = inbox.get("/me")
    assert error_of(answer, 429) == "ApplicationThrottled"
    assert 590 < int(answer.headers["retry-after"]) <= 600
    inbox.world.clock.advance(600)
    inbox.world.grants.consent(inbox.user.user_id, frozenset())
    assert inbox.get("/me").status_code == 200


def test_four_requests_at_once(inbox, microsoft365):
    inbox.order("graph-slow", seconds=0.2)
    trust = ssl.create_default_context(cafile=microsoft365.ca_file)

    async def at_once():
        async with httpx.AsyncClient(verify=trust) as client:
            headers = {"Authorization": f"Bearer {inbox.token}"}
            return await asyncio.gather(*(client.get(f"{inbox.graph}/me", headers=headers) for _ in range(6)))

    answers = asyncio.run(at_once())
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 2
    assert all(int(a.headers["retry-after"]) > 0 for a in answers if a.status_code == 429)
    inbox.world.faults.clear()
    assert inbox.get("/me").status_code == 200
