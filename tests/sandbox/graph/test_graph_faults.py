"""Faults of Graph, ordered through the control API."""

from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.sandbox.graph.graph_client import IMMUTABLE, Inbox, error_of, mail


@pytest.fixture
def inbox(microsoft365, browser):
    return Inbox(microsoft365, browser)


def order(inbox, name, count=1, **params):
    answer = inbox.client.post(f"{inbox.control}/faults", json={"name": name, "count": count, "params": params})
    assert answer.status_code == 200, answer.text


def test_throttling(inbox):
    order(inbox, "graph-throttle", seconds=7)
    answer = inbox.get("/me")
    assert error_of(answer, 429) == "ApplicationThrottled"
    assert answer.headers["retry-after"] == "7"
    order(inbox, "graph-throttle", seconds=60, date=True)
    assert parsedate_to_datetime(inbox.get("/me").headers["retry-after"]).tzinfo
    order(inbox, "graph-throttle", seconds=None)
    assert "retry-after" not in inbox.get("/me").headers
    assert inbox.get("/me").status_code == 200


def test_outages(inbox):
    order(inbox, "graph-outage")
    answer = inbox.get("/me")
    assert error_of(answer, 503) == "serviceNotAvailable"
    assert "retry-after" not in answer.headers
    order(inbox, "graph-outage", seconds=3)
    assert inbox.get("/me").headers["retry-after"] == "3"
    order(inbox, "graph-gateway-timeout")
    assert error_of(inbox.get("/me"), 504) == "UnknownError"


def test_refusals(inbox):
    order(inbox, "access-denied")
    assert error_of(inbox.get("/me/mailFolders/inbox"), 403) == "ErrorAccessDenied"
    order(inbox, "access-denied", code="ErrorInvalidLicense")
    assert error_of(inbox.get("/me"), 403) == "ErrorInvalidLicense"
    order(inbox, "graph-unauthorized")
    assert error_of(inbox.get("/me"), 401) == "InvalidAuthenticationToken"
    order(inbox, "mailbox-not-enabled")
    assert inbox.get("/me").status_code == 200
    assert error_of(inbox.get("/me/mailFolders/inbox"), 404) == "MailboxNotEnabledForRESTAPI"


@pytest.mark.parametrize("status", [403, 404, 502])
def test_a_page_of_a_gateway(inbox, status):
    order(inbox, "graph-gateway-page", status=status)
    answer = inbox.get("/me")
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<html>")
    assert inbox.get("/me").status_code == 200


def test_a_fault_for_one_user_and_one_operation(inbox, microsoft365, browser):
    other = Inbox(microsoft365, browser, "other@contoso.example")
    order(inbox, "access-denied", address=inbox.address, operation="messages")
    assert other.get("/me/mailFolders/inbox/messages").status_code == 200
    assert inbox.get("/me/mailFolders/inbox").status_code == 200
    assert inbox.get("/me/mailFolders/inbox/messages").status_code == 403


def test_an_answer_cut_short(inbox):
    order(inbox, "graph-cut")
    with pytest.raises(httpx.RemoteProtocolError):
        inbox.get("/me")
    assert inbox.get("/me").status_code == 200


def test_every_fault_has_its_sentence(inbox):
    known = inbox.client.get(f"{inbox.control}/faults").json()["known"]
    assert all(kind["sentence"] for kind in known)
    assert {"graph-slow", "delta-expired", "foreign-next-link"} <= {kind["name"] for kind in known}


def test_one_message_that_cannot_be_read(inbox):
    good, bad = inbox.deliver(mail(1), mail(2))
    inbox.order("graph-message-refused", message=bad)
    assert inbox.get(f"/me/messages/{good}").status_code == 200
    assert error_of(inbox.get(f"/me/messages/{bad}"), 500) == "ErrorContentConversionFailed"
    inbox.order("graph-message-refused", message=good, status=200, code="ErrorInternalServerError")
    headers = {"Prefer": IMMUTABLE}
    answer = inbox.batch({"id": "0", "method": "GET", "url": f"/me/messages/{good}", "headers": headers})
    assert answer.json()["responses"][0]["body"]["error"]["code"] == "ErrorInternalServerError"


@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        ("graph-half-surrogates", rb"half \ud83d"),
        ("graph-bad-bytes", b"half \xff"),
        ("graph-bad-bytes", b"\x01"),
        ("graph-null-entries", b'"toRecipients": [null, {'),
        ("graph-null-entries", b'"value": [null, {'),
    ],
)
def test_odd_json(inbox, fault, sign):
    inbox.deliver(mail(1, subject="=?utf-8?q?half_=EF=BF=BD?="))
    order(inbox, fault)
    assert sign in inbox.get("/me/mailFolders/inbox/messages").content
    assert sign not in inbox.get("/me/mailFolders/inbox/messages").content


def test_truncated_json_is_a_whole_answer_of_http(inbox):
    order(inbox, "graph-truncated-json")
    answer = inbox.get("/me")
    assert answer.status_code == 200
    with pytest.raises(ValueError):
        answer.json()


def test_an_error_whose_message_is_null(inbox):
    order(inbox, "graph-null-message")
    order(inbox, "access-denied")
    assert inbox.get("/me/mailFolders/inbox").json()["error"] | {"innerError": None} == {
        "code": "ErrorAccessDenied",
        "message": None,
        "innerError": None,
    }
