import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from mailsync.adapters import http, json_texts
from mailsync.adapters.graph.mail import GraphClient
from mailsync.adapters.graph.transport import GraphTransport
from mailsync.errors import (
    AccessDenied,
    FilterRefused,
    FolderNotFound,
    GraphForbidden,
    GraphRefused,
    GraphUnavailable,
    LicenseLapsed,
    MailsyncError,
    Rejected,
    RetryLater,
    SyncStateLost,
    Throttled,
    TokenRefused,
)
from mailsync.sync.records import Content, DeltaPage, Fetched, Header, Message
from tests.adapters.stub_transport import Reply, stub_session

PREFERENCES = 'IdType="ImmutableId", outlook.body-content-type="html"'
GRAPH = "https://graph.example:8443/v1.0"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DELTA_LINK = f"{GRAPH}/me/mailFolders/inbox/messages/delta?$deltatoken=abc"


class Client(GraphClient):
    def __init__(self, *script, fresh_token=None):
        session, self.wire = stub_session(*script)
        self.waited = []
        transport = GraphTransport(
            endpoint=GRAPH, session=session, sleep=self.waited.append, clock=lambda: NOW, page_size=50
        )
        super().__init__(transport.as_user(lambda: "token-1", fresh_token))

    @property
    def query(self):
        return {name: values[0] for name, values in parse_qs(urlsplit(self.wire.seen[-1].url).query).items()}


def refusal(status, code="SomeCode", headers=None):
    return Reply(status, {"error": {"code": code, "message": "owner@contoso.example did wrong"}}, headers or {})


def page(*messages, link=DELTA_LINK, kind="deltaLink"):
    return Reply(200, {"value": list(messages), f"@odata.{kind}": link})


def batch(*parts):
    return Reply(200, {"responses": [dict(part, id=str(n)) for n, part in enumerate(parts)]})


def test_each_request_asks_for_immutable_ids_pages_and_carries_the_token():
    client = Client(page({"id": "m1", "subject": "Hello"}))
    answer = client.start_delta("inbox", datetime(2026, 1, 1, tzinfo=UTC))
    sent = client.wire.seen[0]
    assert sent.headers["Prefer"] == f"{PREFERENCES}, odata.maxpagesize=50"
    assert sent.headers["Authorization"] == "Bearer token-1"
    assert len(sent.headers["client-request-id"]) == 36
    assert urlsplit(sent.url).path == "/v1.0/me/mailFolders/inbox/messages/delta"
    assert client.query["$filter"] == "receivedDateTime ge 2026-01-01T00:00:00Z"
    assert client.query["$orderby"] == "receivedDateTime desc"
    assert {"body", "internetMessageHeaders", "conversationId"} <= set(client.query["$select"].split(","))
    assert client.wire.timeouts == [(5.0, 30.0)]
    assert answer.last
    assert answer.link == DELTA_LINK
    assert answer.messages == (Message("m1", Content(subject="Hello")),)


def test_an_enumeration_without_since_has_no_filter():
    client = Client(page())
    client.start_delta("inbox", None)
    assert "$filter" not in client.query


def test_next_links_are_followed_as_they_are():
    link = f"{GRAPH}/me/mailFolders('inbox')/messages/delta?$skiptoken=a%2Fb"
    client = Client(page(link=link, kind="nextLink"), page())
    first = client.start_delta("inbox", None)
    assert not first.last
    assert client.follow_delta(first.link).last
    assert client.wire.seen[1].url == link


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/me/messages/delta",
        "http://graph.example:8443/v1.0/me/messages/delta",
        "https://graph.example/v1.0/me/messages/delta",
        "https://graph.example:8443/beta/me/messages/delta",
        "https://graph.example:8443/v1.0/../beta/me",
        "https://graph.example:8443/v1.0/%2e%2E/beta/me",
        "https://graph.example:8443/v1.0evil/me",
        "https://graph.example:8443@evil.example/v1.0/me",
        "https://user@graph.example:8443/v1.0/me",
        "https://graph.example:8443\\@evil.example/v1.0/me",
        "https://graph.example:8443/v1.0/me\r\nHost: evil.example",
        "https://graph.example:port/v1.0/me",
        "//graph.example:8443/v1.0/me",
        "",
    ],
)
def test_a_link_away_from_the_endpoint_is_refused_before_anything_is_sent(link):
    client = Client()
    with pytest.raises(Rejected, match="foreign_link"):
        client.follow_delta(link)
    assert client.wire.seen == []


@pytest.mark.parametrize("next_link", ["", DELTA_LINK, None])
def test_a_page_whose_next_link_is_empty_or_the_delta_link_is_the_last(next_link):
    page = Client(Reply(200, {"value": [], "@odata.nextLink": next_link, "@odata.deltaLink": DELTA_LINK}))
    assert page.start_delta("inbox", NOW) == DeltaPage((), DELTA_LINK, last=True)


def test_a_page_whose_links_are_both_empty_is_no_page():
    with pytest.raises(RetryLater, match="graph_unavailable"):
        Client(Reply(200, {"value": [], "@odata.nextLink": "", "@odata.deltaLink": ""})).start_delta("inbox", NOW)


def test_a_link_that_no_record_could_keep_is_refused():
    with pytest.raises(Rejected, match="foreign_link"):
        Client(Reply(200, {"value": [], "@odata.nextLink": DELTA_LINK + "x" * 30_000})).start_delta("inbox", NOW)


def test_a_page_with_a_foreign_link_is_refused():
    with pytest.raises(Rejected, match="foreign_link"):
        Client(page(link="https://evil.example/v1.0/x")).start_delta("inbox", None)


def test_redirects_are_not_followed():
    client = Client(Reply(302, headers={"Location": "https://evil.example/"}))
    with pytest.raises(Rejected, match="graph_refused"):
        client.me()
    assert len(client.wire.seen) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (refusal(403, "ErrorAccessDenied"), AccessDenied, "access_denied"),
        (refusal(403, "accessDenied"), AccessDenied, "access_denied"),
        (refusal(403, "UnknownError", {"Retry-After": "77"}), GraphForbidden, "graph_forbidden"),
        (refusal(403, "", {"Retry-After": "77"}), GraphForbidden, "graph_forbidden"),
        (Reply(403, b"<html>403 Forbidden</html>", {"Retry-After": "77"}), GraphForbidden, "graph_forbidden"),
        (refusal(403, "ErrorInvalidLicense"), LicenseLapsed, "license_lapsed"),
        (refusal(404, "MailboxNotEnabledForRESTAPI"), Rejected, "mailbox_not_enabled"),
        (refusal(404, "ErrorItemNotFound"), FolderNotFound, "folder_not_found"),
        (refusal(400, "ErrorInvalidIdMalformed"), FolderNotFound, "folder_not_found"),
        (refusal(400, "BadRequest"), FilterRefused, "filter_refused"),
        (refusal(410, "whatever"), SyncStateLost, "sync_state_lost"),
        (refusal(400, "SyncStateNotFound"), SyncStateLost, "sync_state_lost"),
        (refusal(404, "RESYNCREQUIRED"), SyncStateLost, "sync_state_lost"),
        (refusal(418), GraphRefused, "graph_refused"),
        (refusal(401, "InvalidAuthenticationToken"), TokenRefused, "graph_unauthorized"),
        (refusal(429, headers={"Retry-After": "77"}), Throttled, "graph_throttled"),
        (refusal(503, headers={"Retry-After": "77"}), GraphUnavailable, "graph_unavailable"),
        (refusal(403, "ErrorQuotaExceeded", {"Retry-After": "77"}), RetryLater, "mailbox_full"),
        (refusal(400, "ErrorMailboxMoveInProgress", {"Retry-After": "77"}), GraphUnavailable, "graph_unavailable"),
    ],
)
def test_refusals_of_a_delta(reply, kind, reason):
    client = Client(reply)
    with pytest.raises(MailsyncError) as caught:
        client.start_delta("inbox", NOW)
    assert type(caught.value) is kind
    assert caught.value.reason == reason
    assert "owner@" not in str(caught.value)
    assert len(client.wire.seen) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (refusal(400, "ErrorInvalidSyncStateData"), SyncStateLost, "sync_state_lost"),
        (refusal(404, "ResourceNotFound"), SyncStateLost, "sync_state_lost"),
        (Reply(400, b""), SyncStateLost, "sync_state_lost"),
        (refusal(404, "ErrorItemNotFound"), FolderNotFound, "folder_not_found"),
        (refusal(404, "MailboxNotEnabledForRESTAPI"), Rejected, "mailbox_not_enabled"),
        (refusal(400, "ErrorMailboxMoveInProgress", {"Retry-After": "77"}), GraphUnavailable, "graph_unavailable"),
        (refusal(400, "ErrorQuotaExceeded", {"Retry-After": "77"}), RetryLater, "mailbox_full"),
        (refusal(403, "ErrorAccessDenied"), AccessDenied, "access_denied"),
        (refusal(418), GraphRefused, "graph_refused"),
    ],
)
def test_what_refuses_a_link_is_its_state_unless_it_says_otherwise(reply, kind, reason):
    with pytest.raises(MailsyncError) as caught:
        Client(reply).follow_delta(DELTA_LINK)
    assert type(caught.value) is kind
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "ResourceNotFound"),
        (404, "OrganizationFromTenantGuidNotFound"),
        (401, "OrganizationFromTenantGuidNotFound"),
        (404, "ErrorInvalidUser"),
        (404, "MailboxNotEnabledForRESTAPI"),
    ],
)
@pytest.mark.parametrize("message", [{"message": None}, {"message": "Resource could not be discovered."}, {}])
def test_who_has_no_mailbox_is_told_so_in_any_of_its_codes(status, code, message):
    refused = Reply(status, {"error": {"code": code, **message}})
    with pytest.raises(Rejected, match=f"mailbox_not_enabled.*{code}"):
        Client(refused, refused, fresh_token=lambda: "token-2").folder_id("inbox")


def test_a_lapsed_licence_is_told_as_what_it_is():
    with pytest.raises(Rejected, match=r"license_lapsed.*ErrorInvalidLicense"):
        Client(refusal(403, "ErrorInvalidLicense")).follow_delta(DELTA_LINK)


@pytest.mark.parametrize("status", [400, 404, 405, 412])
@pytest.mark.parametrize("ask", [lambda c: c.folder_id("inbox"), lambda c: c.follow_delta(DELTA_LINK)])
def test_the_page_of_a_gateway_is_no_word_of_graphs(status, ask):
    with pytest.raises(RetryLater, match="graph_unavailable"):
        ask(Client(*[Reply(status, b"<html>Not here</html>")] * 3))


def test_a_400_without_a_filter_is_no_matter_of_the_filter():
    with pytest.raises(Rejected, match="graph_refused"):
        Client(refusal(400, "BadRequest")).start_delta("inbox", None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("77", 77),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60),
        ("-3", None),
        ("0", None),
        ("99999999", None),
        ("soon", None),
        ("nan", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    replies = [refusal(429, headers={"Retry-After": header})] * 3
    with pytest.raises(RetryLater) as caught:
        Client(*replies).me()
    assert caught.value.retry_after == seconds


def test_short_waits_are_taken_in_place():
    client = Client(refusal(429, headers={"Retry-After": "3"}), refusal(503), folder("folder-1"))
    assert client.folder_id("inbox") == "folder-1"
    assert client.waited == [3, 2.0]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (refusal(502), "graph_unavailable"),
        (Reply(error=requests.ConnectTimeout("…")), "graph_unreachable"),
        (Reply(error=requests.ConnectionError("…")), "graph_unreachable"),
        (Reply(200, b'{"id": "fol', promised=500), "graph_unreachable"),
    ],
)
def test_the_third_failure_is_the_last(reply, reason):
    client = Client(reply, reply, reply)
    with pytest.raises(RetryLater) as caught:
        client.folder_id("inbox")
    assert caught.value.reason == reason
    assert caught.value.retry_after is None
    assert client.waited == [0.5, 2.0]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"value": 5}', b'{"value": [], "@odata.deltaLink": 5}'])
def test_an_answer_that_is_no_page_is_retried_later(body):
    with pytest.raises(RetryLater, match="graph_unavailable"):
        Client(Reply(200, body)).start_delta("inbox", None)


@pytest.fixture
def small_answers(monkeypatch):
    """Answers of 999 bytes at the most, and texts that are cut to 150."""
    monkeypatch.setattr(http, "ANSWER_LIMIT", 999)
    monkeypatch.setattr(json_texts, "SHORTEST", 150)


def test_an_answer_that_is_too_large_is_not_read_to_its_end(small_answers):
    session, _ = stub_session(Reply(200, b" " * 1000))
    with pytest.raises(http.TooLarge, match="AnswerTooLarge"):
        http.call(session, "GET", GRAPH)


def test_an_answer_that_has_no_smaller_pages_is_asked_for_later_and_not_at_once(small_answers):
    client = Client(Reply(200, b" " * 1000))
    with pytest.raises(RetryLater, match="graph_answer_too_large"):
        client.me()
    assert client.waited == []


def sizes(client):
    return [int(request.headers["Prefer"].split("maxpagesize=")[1]) for request in client.wire.seen]


HUGE = Reply(200, b" " * 1000)


@pytest.mark.parametrize("ask", [lambda c: c.follow_delta(DELTA_LINK), lambda c: c.start_delta("inbox", NOW)])
def test_a_page_that_is_too_large_is_asked_for_with_fewer_messages_and_the_next_is_not(small_answers, ask):
    client = Client(HUGE, HUGE, page({"id": "a"}, kind="nextLink"), page({"id": "b"}))
    assert [message.id for message in ask(client).messages] == ["a"]
    assert len({request.url for request in client.wire.seen}) == 1
    assert [message.id for message in client.follow_delta(DELTA_LINK).messages] == ["b"]
    assert sizes(client) == [50, 20, 5, 50]
    assert client.waited == []


def test_a_message_that_is_too_large_alone_is_cut_and_passes(small_answers):
    whole = page({"id": "a", "body": {"contentType": "html", "content": "<p>" * 500}, "subject": "Hello"})
    client = Client(*[whole] * 5)
    answer = client.follow_delta(DELTA_LINK)
    assert sizes(client) == [50, 20, 5, 1, 1]
    assert answer.link == DELTA_LINK
    [message] = answer.messages
    assert message.content.subject == "Hello"
    assert len(message.content.body) == 150
    assert ("<p>" * 500).startswith(message.content.body)


def test_a_message_that_alone_is_not_too_large_is_whole(small_answers):
    client = Client(HUGE, HUGE, HUGE, page({"id": "a", "subject": "x" * 800}))
    [message] = client.follow_delta(DELTA_LINK).messages
    assert len(message.content.subject) == 800
    assert sizes(client) == [50, 20, 5, 1]


def test_a_page_of_history_that_is_too_large_never_gets_smaller_than_what_leads_on(small_answers):
    client = Client(HUGE, HUGE, HUGE, HUGE, page({"id": "a"}, {"id": "b"}))
    assert len(client.history("inbox", NOW, None, 7).messages) == 2
    assert sizes(client) == [50, 20, 5, 2, 2]
    tops = [parse_qs(urlsplit(request.url).query) for request in client.wire.seen]
    assert [(int(top["$top"][0]), top["$skip"]) for top in tops] == [(n, ["7"]) for n in sizes(client)]


def test_a_batch_whose_answer_is_too_large_is_split_and_a_message_too_large_alone_is_cut(small_answers):
    def answer(request):
        asked = [part["url"][13:].split("?")[0] for part in json.loads(request.body)["requests"]]
        contents = [{"id": name, "subject": "x" * (2000 if name == "huge" else 300)} for name in asked]
        return batch(*({"status": 200, "body": content} for content in contents))

    client = Client(*[answer] * 8)
    found = client.messages(["a", "b", "huge", "c"]).found
    assert {name: len(message.content.subject) for name, message in found.items()} == {
        "a": 300, "b": 300, "c": 300, "huge": 150,
    }  # fmt: skip


def folder(folder_id):
    return Reply(200, {"id": folder_id})


REFUSED_TOKENS = {
    "401": refusal(401),
    "403 of a gateway": Reply(403, b"<html><title>403 Forbidden</title></html>", {"Content-Type": "text/html"}),
    "403 without a known code": refusal(403, "UnknownError"),
    "403 with a code": refusal(403, "ErrorAccessDenied"),
}


@pytest.mark.parametrize("refused", REFUSED_TOKENS.values(), ids=REFUSED_TOKENS)
def test_a_refused_token_is_replaced_by_a_fresh_one_once(refused):
    fresh = []
    client = Client(refused, folder("f"), fresh_token=lambda: fresh.append(1) or "token-2")
    assert client.folder_id("inbox") == "f"
    assert [request.headers["Authorization"] for request in client.wire.seen] == ["Bearer token-1", "Bearer token-2"]
    assert fresh == [1]


def test_a_second_401_is_final():
    client = Client(refusal(401), refusal(401), fresh_token=lambda: "token-2")
    with pytest.raises(AccessDenied, match="graph_unauthorized"):
        client.me()
    assert client.waited == []


@pytest.mark.parametrize(
    "refused", [refusal(403, "ErrorQuotaExceeded", {"Retry-After": "77"}), refusal(403, "ErrorInvalidLicense")]
)
def test_a_refusal_that_no_token_mends_costs_none(refused):
    with pytest.raises(MailsyncError):
        Client(refused, fresh_token=lambda: pytest.fail("a fresh token was asked for")).me()


def test_a_netrc_login_never_replaces_the_token(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine graph.example login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client = Client(folder("f"))
    client.folder_id("inbox")
    assert client.wire.seen[0].headers["Authorization"] == "Bearer token-1"


def test_me():
    user = {"id": "AA", "userPrincipalName": "owner@contoso.example", "mail": None, "displayName": None}
    profile = Client(Reply(200, user)).me()
    assert (profile.user_id, profile.address, profile.mail, profile.display_name) == (
        "aa",
        "owner@contoso.example",
        "",
        "",
    )


def test_folder_names_are_encoded():
    client = Client(folder("f"))
    client.folder_id("a/b?c")
    assert urlsplit(client.wire.seen[0].url).path == "/v1.0/me/mailFolders/a%2Fb%3Fc"


def test_count():
    client = Client(Reply(200, {"value": [{"id": "m"}], "@odata.count": 7, "@odata.nextLink": "opaque"}))
    assert client.count("inbox", NOW) == 7
    assert client.query["$filter"] == "receivedDateTime ge 2026-01-02T03:04:05Z"
    assert (client.query["$count"], client.query["$top"], client.query["$select"]) == ("true", "1", "parentFolderId")


def test_a_survey_of_a_folder_with_mail_is_one_call_and_of_an_empty_one_two():
    shown = {"value": [{"id": "m", "parentFolderId": "f"}], "@odata.count": 7}
    client = Client(Reply(200, shown), Reply(200, {"value": [], "@odata.count": 0}), folder("g"))
    assert client.survey("inbox", NOW) == ("f", 7)
    assert len(client.wire.seen) == 1
    assert client.survey("inbox", NOW) == ("g", 0)
    assert len(client.wire.seen) == 3


@pytest.mark.parametrize("answer", [{}, {"@odata.count": None}, {"@odata.count": -1}, {"@odata.count": "many"}])
def test_a_count_that_is_none_is_unknown(answer):
    assert Client(Reply(200, {"value": [{"id": "m"}], **answer})).count("inbox", NOW) is None


def test_a_count_may_have_an_end():
    client = Client(Reply(200, {"value": [], "@odata.count": 0}))
    assert client.count("inbox", NOW, NOW + timedelta(seconds=5)) == 0
    assert client.query["$filter"].endswith(" and receivedDateTime lt 2026-01-02T03:04:11Z")


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.follow_delta(DELTA_LINK, size=5),
        lambda c: c.start_delta("inbox", NOW, size=5),
        lambda c: c.history("inbox", NOW, None, 7, size=5),
    ],
)
def test_pages_may_be_asked_for_smaller(ask):
    client = Client(page())
    ask(client)
    assert sizes(client) == [5]


@pytest.mark.parametrize(
    "ask", [lambda c: c.start_delta("inbox", NOW, narrow=True), lambda c: c.history("inbox", NOW, None, 0, narrow=True)]
)
def test_a_narrow_page_has_nothing_of_bodies(ask):
    client = Client(page())
    ask(client)
    selected = set(client.query["$select"].split(","))
    assert {"receivedDateTime", "parentFolderId", "isRead", "subject"} <= selected
    assert not selected & {"body", "bodyPreview", "internetMessageHeaders"}


def test_the_first_page_of_history_has_no_upper_bound():
    client = Client(Reply(200, {"value": [{"id": "m"}], "@odata.nextLink": "opaque"}))
    answer = client.history("inbox", NOW - timedelta(days=30), None, 0)
    assert answer.more
    assert client.query["$filter"] == "receivedDateTime ge 2025-12-03T03:04:05Z"
    assert (client.query["$top"], client.query["$skip"]) == ("50", "0")


def test_a_later_page_of_history_covers_the_whole_second_it_begins_in():
    client = Client(Reply(200, {"value": []}))
    answer = client.history("inbox", NOW - timedelta(days=1), NOW, 3)
    assert not answer.more
    assert client.query["$filter"].endswith(" and receivedDateTime lt 2026-01-02T03:04:06Z")
    assert client.query["$skip"] == "3"


HEADERS = [{"name": "Message-ID", "value": "<1@example.org>"}]


def listed(*places, headers=HEADERS, more=False):
    """A list of messages, so many minutes old."""
    shown = [
        {"id": f"m{place}", "receivedDateTime": minutes(place).isoformat(), "internetMessageHeaders": headers}
        for place in places
    ]
    return Reply(200, {"value": shown} | ({"@odata.nextLink": f"{GRAPH}/me/messages?$skip=1"} if more else {}))


def minutes(place):
    return NOW - timedelta(minutes=place)


def wanted(*places):
    return {f"m{place}": minutes(place) for place in places}


def test_headers_of_a_page_are_one_list_over_its_time():
    client = Client(listed(*range(100)))
    shown = client.headers("inbox", wanted(*range(100)))
    assert shown.keys() == wanted(*range(100)).keys()
    assert shown["m7"] == Message("m7", Content(headers=(Header("Message-ID", "<1@example.org>"),)))
    window = "receivedDateTime ge 2026-01-02T01:25:05Z and receivedDateTime lt 2026-01-02T03:04:06Z"
    assert client.query["$filter"] == window
    assert client.query["$orderby"] == "receivedDateTime desc"
    assert client.query["$select"] == "receivedDateTime,internetMessageHeaders"
    assert int(client.query["$top"]) >= 100


def test_a_list_goes_on_with_the_next_message_that_is_wanted():
    client = Client(listed(0, *range(900, 930), more=True), listed(*range(9_000, 9_040)))
    shown = client.headers("inbox", wanted(0, *range(9_000, 9_040)))
    assert shown.keys() == wanted(0, *range(9_000, 9_040)).keys()
    assert client.query["$filter"].endswith(f"lt {(minutes(9_000) + timedelta(seconds=1)).isoformat()[:19]}Z")


def test_lists_cost_no_more_calls_than_batches():
    apart = range(0, 6_000, 100)
    client = Client(*[listed(place, *range(place + 1, place + 60), more=True) for place in apart])
    assert client.headers("inbox", wanted(*apart)).keys() == wanted(*apart[:3]).keys()


def test_a_list_that_shows_nothing_wanted_is_the_last():
    client = Client(listed(*range(61, 119), more=True))
    assert client.headers("inbox", wanted(*range(0, 3_000, 60))) == {}


def test_lists_without_headers_are_no_word_about_them_and_single_messages_without_are():
    client = Client(listed(*range(30), headers=None), Reply(200, {"value": []}))
    assert client.headers("inbox", wanted(*range(30))) == {}
    assert client.headers("inbox", wanted(*range(30))) == {}
    some = listed(*range(30))
    some.body["value"][3].pop("internetMessageHeaders")
    shown = Client(some).headers("inbox", wanted(*range(30)))
    assert shown["m3"] == Message("m3", Content())
    assert len(shown) == 30


def test_the_last_second_of_the_calendar_bounds_nothing():
    client = Client(Reply(200, {"value": []}))
    client.history("inbox", NOW, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), 0)
    assert client.query["$filter"] == "receivedDateTime ge 2026-01-02T03:04:05Z"


def test_messages_go_in_batches_of_twenty():
    def answer(request):
        asked = json.loads(request.body)["requests"]
        assert len(asked) <= 20
        assert all(part["headers"] == {"Prefer": PREFERENCES} for part in asked)
        parts = [{"status": 200, "body": {"id": part["url"][13:].split("?")[0]}} for part in asked]
        return batch(*parts)

    client = Client(answer, answer)
    ids = [f"id-{n}" for n in range(23)]
    assert set(client.messages([*ids, ids[0]]).found) == set(ids)
    assert client.wire.seen[0].url == f"{GRAPH}/$batch"


def test_ids_in_a_batch_are_encoded_and_missing_ones_left_out():
    gone = {"status": 404, "body": {"error": {"code": "ErrorItemNotFound"}}}
    client = Client(batch(gone, {**gone, "status": 200}))
    assert client.messages(["a/b+c=", "gone"]) == Fetched()
    assert json.loads(client.wire.seen[0].body)["requests"][0]["url"].startswith("/me/messages/a%2Fb%2Bc%3D?$select=")


def test_throttled_entries_of_a_batch_are_asked_again():
    client = Client(
        batch({"status": 200, "body": {"id": "a"}}, {"status": 429, "headers": {"Retry-After": "4"}}),
        batch({"status": 200, "body": {"id": "b"}}),
    )
    assert set(client.messages(["a", "b"]).found) == {"a", "b"}
    assert client.waited == [4]
    assert len(json.loads(client.wire.seen[1].body)["requests"]) == 1


GOOD = {"status": 200, "body": {"id": "m1", "subject": "good"}}


def part(status, code=None, **error):
    return {"status": status, "body": {"error": {"code": code, **error}}}


@pytest.mark.parametrize(
    ("bad", "kind", "reason"),
    [
        (part(500, "ErrorContentConversionFailed", message="x"), GraphUnavailable, "graph_unavailable"),
        (part(400, "ErrorInvalidIdMalformed"), GraphRefused, "graph_refused"),
        (part(403, "ErrorAccessDenied"), AccessDenied, "access_denied"),
        (part(403, "ErrorInvalidLicense"), LicenseLapsed, "license_lapsed"),
        (part(404, "MailboxNotEnabledForRESTAPI"), Rejected, "mailbox_not_enabled"),
        (part(404), GraphUnavailable, "graph_unavailable"),
        (part(404, "UnknownError"), GraphRefused, "graph_refused"),
        ({"status": 200, "body": {"id": "m1", "subject": "another's"}}, GraphUnavailable, "graph_unavailable"),
        ({"status": 404, "body": "<html>Not found</html>"}, GraphUnavailable, "graph_unavailable"),
        ({"status": 412, "body": "<html>Precondition</html>"}, GraphUnavailable, "graph_unavailable"),
        (part(401, "InvalidAuthenticationToken"), TokenRefused, "graph_unauthorized"),
        (part(200, "ErrorInternalServerError", message=None), GraphUnavailable, "graph_unavailable"),
        ({"status": 200, "body": {}}, GraphUnavailable, "graph_unavailable"),
        ({"status": 200, "body": None}, GraphUnavailable, "graph_unavailable"),
        ({"status": 200}, GraphUnavailable, "graph_unavailable"),
    ],
)
def test_what_refuses_one_part_of_a_batch_keeps_no_other(bad, kind, reason):
    client = Client(batch(GOOD, bad), batch(bad), batch(bad))
    fetched = client.messages(["m1", "m2"])
    assert fetched.found["m1"].content == Content(subject="good")
    assert (type(fetched.refused["m2"]), fetched.refused["m2"].reason) == (kind, reason)
    assert fetched.refused.keys() == {"m2"}


def test_what_passes_in_a_batch_is_asked_again_for_as_long_as_anything_else():
    client = Client(batch(part(503), GOOD), batch(part(503)), batch(part(503)))
    fetched = client.messages(["a", "m1"])
    assert fetched.refused["a"].reason == "graph_unavailable"
    assert client.waited == [0.5, 2.0]


def test_a_part_that_passes_is_asked_again_beside_one_that_does_not():
    client = Client(batch(part(400, "ErrorInvalidIdMalformed"), part(503)), batch(GOOD))
    fetched = client.messages(["bad", "m1"])
    assert (set(fetched.found), set(fetched.refused)) == ({"m1"}, {"bad"})


def test_parts_that_are_all_denied_are_asked_for_once_more_with_a_fresh_token():
    denied, fresh = part(403, "UnknownError"), []
    client = Client(
        batch(denied, denied), batch(GOOD, denied), batch(denied), batch(denied), fresh_token=lambda: fresh.append(1)
    )
    fetched = client.messages(["m1", "m2"])
    assert (set(fetched.found), fetched.refused["m2"].reason, fresh) == ({"m1"}, "graph_forbidden", [1])


def test_an_outage_of_one_message_keeps_no_further_batch_from_being_asked():
    ids = [f"id-{n}" for n in range(21)]
    parts = [{"status": 200, "body": {"id": ids[n]}} for n in range(19)]
    bad = {**part(500, "ErrorContentConversionFailed"), "headers": {"Retry-After": "77"}}
    client = Client(batch(*parts, bad), batch({"status": 200, "body": {"id": ids[20]}}))
    fetched = client.messages(ids)
    assert set(fetched.found) == {*ids[:19], ids[20]}
    assert {name: error.retry_after for name, error in fetched.refused.items()} == {ids[19]: 77}


def test_where_graph_is_asked_too_much_no_further_batch_is_asked():
    ids = [f"id-{n}" for n in range(45)]
    parts = [{"status": 200, "body": {"id": ids[n]}} for n in range(19)]
    client = Client(batch(*parts, {"status": 429, "headers": {"Retry-After": "77"}}))
    fetched = client.messages(ids)
    assert set(fetched.found) == set(ids[:19])
    assert {(error.reason, error.retry_after) for error in fetched.refused.values()} == {("graph_throttled", 77)}
    assert set(fetched.refused) == set(ids[19:])
    assert client.waited == []


def test_an_entry_that_the_batch_forgot_is_asked_again():
    client = Client(Reply(200, {"responses": []}), batch({"status": 200, "body": {"id": "a"}}))
    assert set(client.messages(["a"]).found) == {"a"}


@pytest.mark.parametrize("code", ["ErrorItemNotFound", "itemNotFound", "ResourceNotFound"])
def test_a_message_that_is_gone_is_so_in_any_of_its_codes(code):
    assert Client(batch(part(404, code))).messages(["m1"]) == Fetched()


def test_parts_of_a_batch_that_have_changed_places_are_no_messages():
    there = [{"id": name, "subject": name} for name in ("m1", "m2")]
    swapped = batch(*({"status": 200, "body": body} for body in reversed(there)))
    fetched = Client(swapped, swapped, batch(*({"status": 200, "body": body} for body in there))).messages(["m1", "m2"])
    assert {name: message.content.subject for name, message in fetched.found.items()} == {"m1": "m1", "m2": "m2"}


def test_no_ids_no_request():
    assert Client().messages([]) == Fetched()


def test_half_of_a_surrogate_pair_in_a_batch_costs_that_character():
    half = rb'{"id":"0","status":200,"body":{"id":"m1","subject":"half \ud83d"}}'
    parts = half + b',{"id":"1","status":200,"body":{"id":"m2","subject":"whole"}}'
    found = Client(Reply(200, b'{"responses":[' + parts + b"]}")).messages(["m1", "m2"]).found
    assert {name: message.content.subject for name, message in found.items()} == {
        "m1": "half \ufffd",
        "m2": "whole",
    }


def test_odd_entries_and_headers_of_a_batch_cost_themselves():
    part = b'{"id":1,"status":200,"headers":{"Retry-After":5,"X":null},"body":{"id":"m2"}}'
    client = Client(
        Reply(200, b'{"responses":[null,{"id":"0","status":"odd"},' + part + b"]}"),
        batch({"status": 200, "headers": [], "body": {"id": "m1"}}),
    )
    assert set(client.messages(["m1", "m2"]).found) == {"m1", "m2"}


@pytest.mark.parametrize("error", [{"message": None}, {"message": 5}, {"message": None, "innerError": []}, {}])
def test_an_error_without_a_usable_message_keeps_its_code(error):
    body = {"error": {"code": "ErrorQuotaExceeded", **error}}
    with pytest.raises(RetryLater, match=r"mailbox_full.*ErrorQuotaExceeded"):
        Client(Reply(403, body, {"Retry-After": "77"})).start_delta("inbox", NOW)


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.me(),
        lambda c: c.folder_id("inbox"),
        lambda c: c.count("inbox", NOW),
        lambda c: c.start_delta("inbox", NOW),
        lambda c: c.history("inbox", NOW, None, 0),
        lambda c: c.messages(["m1"]),
    ],
)
@pytest.mark.parametrize(
    "raw", [b'{"value":[{"id":"m', b"", b"[null]", b"[" * 100_000, b'"\xff', b'{"id":5,"value":5}']
)
def test_half_an_answer_passes(ask, raw):
    with pytest.raises(RetryLater, match="graph_unavailable"):
        ask(Client(Reply(200, raw)))


def test_a_page_of_history_with_an_odd_link_is_not_its_last():
    with pytest.raises(RetryLater, match="graph_unavailable"):
        Client(Reply(200, {"value": [{"id": "m"}], "@odata.nextLink": 5})).history("inbox", NOW, None, 0)


OPERATIONS = {
    "me": lambda c: c.me(),
    "folder_id": lambda c: c.folder_id("inbox"),
    "count": lambda c: c.count("inbox", NOW),
    "start_delta": lambda c: c.start_delta("inbox", NOW),
    "follow_delta": lambda c: c.follow_delta(DELTA_LINK),
    "history": lambda c: c.history("inbox", NOW, None, 0),
    "messages": lambda c: c.messages(["m1", "m2"]),
}
PERSON = {"emailAddress": {"address": "ann@example.org", "name": "Ann"}}
MESSAGE = {
    "id": "m1",
    "receivedDateTime": "2026-01-02T03:04:05Z",
    "subject": "Hello",
    "from": PERSON,
    "toRecipients": [PERSON],
    "isRead": False,
    "body": {"contentType": "html", "content": "<p>"},
    "internetMessageHeaders": [{"name": "X-A", "value": "1"}],
}
ERROR = {"error": {"code": "ErrorItemNotFound", "message": "gone", "innerError": {}}}
ANSWERS = (
    {"id": "AA", "userPrincipalName": "owner@contoso.example", "mail": None},
    {"value": [MESSAGE, {"id": "m2", "@removed": {"reason": "deleted"}}], "@odata.deltaLink": DELTA_LINK},
    {"value": [MESSAGE], "@odata.nextLink": DELTA_LINK, "@odata.count": 1},
    {"responses": [{"id": "0", "status": 200, "body": MESSAGE}, {"id": "1", "status": 404, "body": ERROR}]},
    ERROR,
)
ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})


def replaced(value, odd, data):
    """A copy with an oddity in the place of any one part."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(value)))
        return {**value, name: replaced(value[name], odd, data)}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        return [replaced(value[0], odd, data), *value[1:]]
    return odd


@given(
    st.sampled_from(sorted(OPERATIONS)), st.sampled_from(ANSWERS), st.sampled_from([200, 200, 404, 403, 400]), st.data()
)
def test_whatever_graph_answers_ends_well_or_in_a_declared_error(operation, answer, status, data):
    if data.draw(st.booleans()):
        answer = replaced(answer, data.draw(ODD), data)
    content = json.dumps(answer).encode()
    if data.draw(st.booleans()):
        place, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 3))
        splinter = data.draw(st.binary(max_size=3) | st.sampled_from([rb"\ud800", b"null", b"\x00"]))
        content = content[:place] + splinter + content[place + length :]
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    client = Client(*[Reply(status, content)] * 3)
    with suppress(MailsyncError):
        OPERATIONS[operation](client)
