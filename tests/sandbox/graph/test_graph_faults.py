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


FOLDER = "/me/mailFolders/inbox/messages"


def test_a_count_and_links_that_are_not_true(inbox):
    inbox.deliver(mail(1), mail(2), mail(3))
    order(inbox, "graph-count")
    assert inbox.get(FOLDER, count="true", top="1").json()["@odata.count"] == -1
    order(inbox, "graph-count", value=None)
    assert "@odata.count" not in inbox.get(FOLDER, count="true", top="1").json()
    order(inbox, "next-link-missing")
    assert "@odata.nextLink" not in inbox.get(FOLDER, top="1").json()
    assert "@odata.nextLink" in inbox.get(FOLDER, top="1").json()


def test_a_delta_that_leads_nowhere(inbox):
    inbox.deliver(mail(1))
    _, link = inbox.round()
    order(inbox, "next-link-repeated")
    assert inbox.get(link).json()["@odata.nextLink"] == link
    order(inbox, "delta-endless")
    links = {link}
    for turn in range(5):
        page = inbox.get(link).json()
        assert page["value"] == []
        link = page["@odata.nextLink"]
        links.add(link)
        assert len(links) == turn + 2


def test_lists_that_begin_again_messages_without_a_time_and_parts_that_change_places(inbox):
    first, second = inbox.deliver(mail(1), mail(2))
    order(inbox, "list-repeated")
    [again], [other] = (inbox.get(FOLDER, top=1, skip=1).json()["value"] for _ in range(2))
    assert again["id"] != other["id"]
    order(inbox, "batch-swapped")
    asked = {"method": "GET", "headers": {"Prefer": IMMUTABLE}}
    parts = [{**asked, "id": str(n), "url": f"/me/messages/{id_}"} for n, id_ in enumerate((first, second))]
    subjects = {part["id"]: part["body"]["subject"] for part in inbox.batch(*parts).json()["responses"]}
    assert subjects == {"0": "Re: offer 2", "1": "Re: offer 1"}
    order(inbox, "received-missing")
    assert "receivedDateTime" not in inbox.get(f"{FOLDER}/delta").json()["value"][0]
    assert "receivedDateTime" in inbox.get(f"{FOLDER}/delta").json()["value"][0]


@pytest.mark.parametrize("narrow", [True, False])
def test_a_page_that_fails_for_one_message(inbox, narrow):
    [bad] = inbox.deliver(mail(1))
    order(inbox, "graph-page-refused", count=None, message=bad, narrow=narrow)
    assert inbox.get(FOLDER).status_code == 500
    assert inbox.get(f"{FOLDER}/delta").status_code == 500
    assert inbox.get(f"{FOLDER}/delta", select="subject").status_code == (200 if narrow else 500)
    assert inbox.get(f"/me/messages/{bad}").status_code == 200


def test_chaos_strikes_as_often_as_it_is_told_and_the_same_for_a_seed(inbox):
    def answers(seed):
        order(inbox, "graph-chaos", count=60, seed=seed, share=0.5)
        return [inbox.get(f"{FOLDER}/delta").status_code for _ in range(60)]

    first = answers(7)
    assert first == answers(7)
    assert first != answers(8)
    assert {200, 401, 403, 404, 412, 429, 500, 503} >= set(first) > {200}
    assert 10 < first.count(200) < 58
    assert inbox.get(f"{FOLDER}/delta").status_code == 200
