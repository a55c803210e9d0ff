"""Delta queries over HTTP."""

import pytest

from sandbox.graph import delta
from tests.sandbox.graph.graph_client import IMMUTABLE, Inbox, error_of, mail

WINDOW = "receivedDateTime ge 2026-11-01T00:00:00Z"
DELTA = "/me/mailFolders/inbox/messages/delta"


@pytest.fixture
def inbox(microsoft365, browser):
    return Inbox(microsoft365, browser)


def ids(rows):
    return [row["id"] for row in rows]


def test_enumeration_then_changes(inbox):
    first, second, third = inbox.deliver(mail(1), mail(2), mail(3))
    rows, link = inbox.round(select="subject,isRead", orderby="receivedDateTime desc")
    assert ids(rows) == [third, second, first]
    assert rows[0].keys() == {"@odata.type", "@odata.etag", "id", "subject", "isRead"}
    assert "$deltatoken=" in link
    assert inbox.round(link)[0] == []

    (fourth,) = inbox.deliver(mail(4))
    inbox.tell(f"/messages/{first}", {"isRead": True})
    inbox.tell(f"/messages/{second}/move", {"folder": "archive"})
    inbox.tell(f"/messages/{third}/delete")
    rows, after = inbox.round(link)
    shown = {row["id"]: row for row in rows}
    assert shown.keys() == {first, second, third, fourth}
    assert shown[fourth]["subject"] == "Re: offer 4"
    assert shown[first].keys() == {"@odata.type", "@odata.etag", "id", "isRead"}
    for gone in (second, third):
        assert shown[gone] == {
            "@odata.type": "#microsoft.graph.message",
            "id": gone,
            "@removed": {"reason": "deleted"},
        }
    assert inbox.round(after)[0] == []
    assert ids(inbox.round(link)[0]) == ids(rows)


def test_a_message_that_comes_back_is_whole(inbox):
    (message,) = inbox.deliver(mail(1))
    _, link = inbox.round()
    inbox.tell(f"/messages/{message}/move", {"folder": "archive"})
    inbox.tell(f"/messages/{message}/move", {"folder": "inbox"})
    (row,) = inbox.round(link)[0]
    assert row["subject"] == "Re: offer 1"
    assert "@removed" not in row


def test_pages_are_as_large_as_preferred(inbox):
    inbox.deliver(*(mail(n) for n in range(5)))
    answer = inbox.get(DELTA, prefer=f"{IMMUTABLE}, odata.maxpagesize=2", select="id")
    assert answer.headers["preference-applied"] == f"odata.maxpagesize=2, {IMMUTABLE}"
    assert len(answer.json()["value"]) == 2
    assert "$skiptoken=" in answer.json()["@odata.nextLink"]


def test_what_arrives_or_leaves_during_an_enumeration(inbox):
    first, second, third = inbox.deliver(mail(1), mail(2), mail(3))
    page = inbox.get(DELTA, f"{IMMUTABLE}, odata.maxpagesize=1", orderby="receivedDateTime desc").json()
    assert ids(page["value"]) == [third]
    inbox.tell(f"/messages/{second}/delete")
    (fourth,) = inbox.deliver(mail(4))
    rows, link = inbox.round(page["@odata.nextLink"])
    assert ids(rows) == [first]
    later = {row["id"]: row for row in inbox.round(link)[0]}
    assert later.keys() == {second, fourth}
    assert "@removed" in later[second]


def test_long_rounds_have_an_empty_page(inbox):
    inbox.deliver(*(mail(n) for n in range(9)))
    link, sizes = None, []
    for _ in range(10):
        page = inbox.get(link or DELTA, f"{IMMUTABLE}, odata.maxpagesize=1").json()
        sizes.append(len(page["value"]))
        link = page.get("@odata.nextLink")
    assert sizes == [1] * 7 + [0] + [1] * 2
    assert link is None


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "receivedDateTime le 2026-11-01T00:00:00Z"},
        {"filter": f"{WINDOW} and receivedDateTime gt 2026-11-02T00:00:00Z"},
        {"filter": "isRead eq false"},
        {"orderby": "receivedDateTime asc"},
        {"orderby": "subject desc"},
        {"search": "x"},
        {"skip": "1"},
        {"changeType": "moved"},
    ],
)
def test_what_delta_does_not_take(inbox, query):
    assert error_of(inbox.get(DELTA, **query), 400) == "ErrorInvalidUrlQuery"


def test_the_filter_holds_for_changes_too(inbox):
    (old,) = inbox.deliver(mail(1, date="Wed, 01 Apr 2026 10:00:00 +0000"), keepDate="1")
    (new,) = inbox.deliver(mail(2))
    rows, link = inbox.round(filter=WINDOW)
    assert ids(rows) == [new]
    inbox.tell(f"/messages/{old}", {"isRead": True})
    inbox.tell(f"/messages/{new}", {"isRead": True})
    inbox.deliver(mail(3, date="Wed, 01 Apr 2026 10:00:00 +0000"), keepDate="1")
    assert ids(inbox.round(link)[0]) == [new]


def test_a_filtered_enumeration_is_capped_and_changes_are_not(inbox, monkeypatch):
    monkeypatch.setattr(delta, "FILTERED_CAP", 5)
    everything = inbox.deliver(*(mail(n) for n in range(12)))
    rows, link = inbox.round(filter=WINDOW, orderby="receivedDateTime desc")
    assert len(rows) == 5
    assert ids(rows) == [m for m in reversed(everything) if m in ids(rows)]
    assert len(inbox.round()[0]) == 12
    for message in everything:
        inbox.tell(f"/messages/{message}", {"isRead": True})
    assert sorted(ids(inbox.round(link)[0])) == sorted(everything)
    inbox.order("delta-cap", cap=3, order="oldest")
    assert sorted(ids(inbox.round(filter=WINDOW)[0])) == sorted(everything[:3])


def test_only_one_kind_of_change(inbox):
    (first,) = inbox.deliver(mail(1))
    _, link = inbox.round(changeType="deleted")
    inbox.deliver(mail(2))
    inbox.tell(f"/messages/{first}/delete")
    assert ids(inbox.round(link)[0]) == [first]


def test_tokens_belong_to_a_mailbox_a_folder_and_a_query(inbox, microsoft365, browser):
    _, link = inbox.round(select="subject")
    other = Inbox(microsoft365, browser, "other@contoso.example")
    assert (
        error_of(other.get(link.replace(inbox.mailbox.folder("inbox").id, "inbox")), 400) == "ErrorInvalidSyncStateData"
    )
    elsewhere = link.replace(inbox.mailbox.folder("inbox").id, "archive")
    assert error_of(inbox.get(elsewhere), 400) == "ErrorInvalidSyncStateData"
    assert error_of(inbox.get(f"{DELTA}?$deltatoken=abc"), 400) == "ErrorInvalidSyncStateData"
    assert error_of(inbox.get(f"{link}&$select=subject"), 400) == "ErrorInvalidUrlQuery"


def test_a_forgotten_token_and_the_way_back(inbox):
    (message,) = inbox.deliver(mail(1))
    _, link = inbox.round()
    inbox.order("delta-expired", 1)
    answer = inbox.get(link)
    assert error_of(answer, 410) == "SyncStateNotFound"
    assert ids(inbox.round(answer.headers["location"])[0]) == [message]
    inbox.order("delta-expired", 1, code="resyncRequired", location=False)
    answer = inbox.get(link)
    assert error_of(answer, 410) == "resyncRequired"
    assert "location" not in answer.headers


def test_both_kinds_of_ids_with_one_token(inbox):
    (message,) = inbox.deliver(mail(1))
    _, link = inbox.round()
    mutable = inbox.mailbox.find(message, immutable=True).id
    inbox.tell(f"/messages/{message}/move", {"folder": "archive"})
    assert ids(inbox.round(link)[0]) == [message]
    assert ids(inbox.round(link, prefer=None)[0]) == [mutable]


def test_headers_only_by_order(inbox):
    inbox.deliver(mail(1))
    query = {"select": "subject,internetMessageHeaders"}
    assert "internetMessageHeaders" not in inbox.round(**query)[0][0]
    inbox.order("delta-headers")
    assert inbox.round(**query)[0][0]["internetMessageHeaders"]


def test_updates_whole_by_order(inbox):
    (message,) = inbox.deliver(mail(1))
    _, link = inbox.round()
    inbox.tell(f"/messages/{message}", {"isRead": True})
    inbox.order("delta-whole")
    assert inbox.round(link)[0][0]["subject"] == "Re: offer 1"


def test_lag_and_replay(inbox):
    (first,) = inbox.deliver(mail(1))
    _, link = inbox.round()
    (second,) = inbox.deliver(mail(2))
    inbox.order("delta-lag", 2)
    for _ in range(2):
        rows, link = inbox.round(link)
        assert rows == []
    rows, link = inbox.round(link)
    assert ids(rows) == [second]
    inbox.order("delta-replay", 1, changes=2)
    assert ids(inbox.round(link)[0]) == [first, second]


def test_ordered_refusals(inbox):
    inbox.order("delta-filter-refused", 1)
    assert error_of(inbox.get(DELTA, filter=WINDOW), 400) == "ErrorInvalidUrlQuery"
    inbox.order("mailbox-over-quota", 1)
    assert error_of(inbox.get(DELTA), 403) == "ErrorQuotaExceeded"
    inbox.order("delta-empty-page", 1)
    page = inbox.get(DELTA).json()
    assert page["value"] == []
    assert "@odata.nextLink" in page
    inbox.order("foreign-next-link", 1)
    assert inbox.get(DELTA).json()["@odata.deltaLink"].startswith("https://graph.example.net/v1.0/me/mailFolders(")
