"""What every `MailService` keeps to: the fake, and the Graph client on the stand-in."""

from datetime import timedelta

import pytest
import requests

from mailsync.adapters import http, json_texts
from mailsync.errors import AccessDenied, FilterRefused, Rejected, RetryLater, SyncStateLost
from mailsync.sync.records import Content, Fetched, Message
from tests.contracts.boxes import ADDRESS, BEFORE_ALL, START, FakeBox, GraphBox


@pytest.fixture
def graph(microsoft365):
    with requests.Session() as session:
        session.trust_env = False
        session.verify = microsoft365.ca_file
        yield GraphBox(microsoft365, session)


@pytest.fixture(params=["fake", "graph"])
def box(request):
    return FakeBox() if request.param == "fake" else request.getfixturevalue("graph")


def walk(box, page):
    """Every message from `page` on, and the delta link."""
    messages = list(page.messages)
    while not page.last:
        page = box.service.follow_delta(page.link)
        messages += page.messages
    return messages, page.link


def enumerated(box, since=BEFORE_ALL, folder="inbox"):
    return walk(box, box.service.start_delta(folder, since))


def changes(box, link):
    return walk(box, box.service.follow_delta(link))


def ids(messages):
    return [message.id for message in messages]


def test_me(box):
    me = box.service.me()
    assert me.address == ADDRESS
    assert me.mail == ADDRESS
    assert me.display_name
    assert len(me.user_id) == 36


def test_a_folder_is_known_by_name_and_by_id(box):
    folder_id = box.service.folder_id("inbox")
    assert folder_id != "inbox"
    assert box.service.folder_id(folder_id) == folder_id


def test_an_unknown_folder_is_rejected(box):
    with pytest.raises(Rejected, match="folder_not_found"):
        box.service.folder_id("nowhere")


@pytest.mark.parametrize("messages", [0, 1, 3])
def test_a_folder_is_surveyed_at_once(box, messages):
    for minutes in range(messages):
        box.deliver(minutes)
    assert box.service.survey("inbox", START) == (box.service.folder_id("inbox"), messages)
    with pytest.raises(Rejected, match="folder_not_found"):
        box.service.survey("nowhere", START)


def test_an_enumeration_is_newest_first_over_pages(box):
    delivered = [box.deliver(minutes) for minutes in range(5)]
    first = box.service.start_delta("inbox", BEFORE_ALL)
    assert len(first.messages) == 2
    assert not first.last
    messages, _ = walk(box, first)
    assert ids(messages) == delivered[::-1]


def test_an_empty_folder_is_one_last_page(box):
    page = box.service.start_delta("inbox", BEFORE_ALL)
    assert (page.messages, page.last) == ((), True)


def test_the_window_leaves_out_what_is_older(box):
    box.deliver(-5)
    young = box.deliver(5)
    assert ids(enumerated(box, START)[0]) == [young]
    assert len(enumerated(box, None)[0]) == 2


def test_a_filtered_enumeration_is_capped_and_another_is_not(box):
    everything = {box.deliver(minutes) for minutes in range(7)}
    box.cap(4)
    messages, _ = enumerated(box)
    assert len(messages) == 4
    assert set(ids(messages)) < everything
    assert set(ids(enumerated(box, None)[0])) == everything


def test_an_enumerated_message_has_its_content(box):
    box.deliver(subject="Spring offers")
    ((message,), _) = enumerated(box)
    assert message.received == START
    assert message.content.subject == "Spring offers"
    assert message.content.parent_folder_id == box.service.folder_id("inbox")
    assert message.content.is_read is False


def test_nothing_new(box):
    box.deliver()
    _, link = enumerated(box)
    messages, link = changes(box, link)
    assert messages == []
    assert changes(box, link)[0] == []


def test_new_mail_comes_with_the_next_round(box):
    _, link = enumerated(box)
    new = box.deliver(3)
    messages, link = changes(box, link)
    assert ids(messages) == [new]
    assert messages[0].received == START + timedelta(minutes=3)
    assert changes(box, link)[0] == []


def test_an_update_says_what_changed(box):
    message_id = box.deliver()
    _, link = enumerated(box)
    box.read(message_id)
    ((message,), _) = changes(box, link)
    assert message.id == message_id
    assert message.content.is_read is True
    assert (
        message.content.given().items() <= box.service.messages([message_id]).found[message_id].content.given().items()
    )


def test_lists_show_headers(box):
    times = {box.deliver(minutes): START + timedelta(minutes=minutes) for minutes in range(45)}
    wanted = list(times)[5:40]
    shown = box.service.headers("inbox", {message_id: times[message_id] for message_id in wanted} | {"gone": START})
    assert shown.keys() == set(wanted)
    whole = box.service.messages(wanted).found
    assert all(shown[each].content == Content(headers=whole[each].content.headers) for each in wanted)
    assert shown[wanted[0]].content.headers


def test_lists_of_another_folder_show_no_headers(box):
    times = {box.deliver(minutes): START + timedelta(minutes=minutes) for minutes in range(25)}
    assert box.service.headers("archive", times) == {}


def test_what_leaves_the_folder_is_removed(box):
    moved, deleted, stays = (box.deliver(minutes) for minutes in range(3))
    _, link = enumerated(box)
    box.move(moved, "archive")
    box.delete(deleted)
    messages, _ = changes(box, link)
    assert messages == [Message(moved, removed=True), Message(deleted, removed=True)]
    assert ids(enumerated(box)[0]) == [stays]


def test_what_comes_back_is_whole_and_has_its_id(box):
    message_id = box.deliver()
    box.move(message_id, "archive")
    _, link = enumerated(box)
    box.move(message_id, "inbox")
    ((message,), _) = changes(box, link)
    assert (message.id, message.removed, message.received) == (message_id, False, START)


def test_a_link_may_be_followed_again(box):
    message_id = box.deliver()
    _, link = enumerated(box)
    box.read(message_id)
    assert changes(box, link)[0] == changes(box, link)[0] != []


def test_a_next_link_may_be_followed_again(box):
    delivered = [box.deliver(minutes) for minutes in range(4)]
    page = box.service.start_delta("inbox", BEFORE_ALL)
    assert walk(box, page)[0] == walk(box, page)[0]
    assert ids(walk(box, page)[0]) == delivered[::-1]


def test_mail_that_comes_during_an_enumeration_is_not_lost(box):
    for minutes in range(3):
        box.deliver(minutes)
    page = box.service.start_delta("inbox", BEFORE_ALL)
    late = box.deliver(-1)
    messages, link = walk(box, page)
    assert late in ids(messages) + ids(changes(box, link)[0])


def test_folders_are_apart(box):
    box.deliver(folder="inbox")
    archived = box.deliver(folder="archive")
    assert ids(enumerated(box, folder="archive")[0]) == [archived]


def test_a_forgotten_link(box):
    _, link = enumerated(box)
    box.lose_links()
    with pytest.raises(SyncStateLost):
        box.service.follow_delta(link)


def test_a_refused_filter(box):
    message_id = box.deliver()
    box.refuse_filters()
    with pytest.raises(FilterRefused):
        box.service.start_delta("inbox", BEFORE_ALL)
    assert ids(enumerated(box, None)[0]) == [message_id]


def test_a_link_elsewhere_is_rejected(box):
    with pytest.raises(Rejected, match="foreign_link"):
        box.service.follow_delta("https://graph.evil.example/v1.0/me/messages/delta?$deltatoken=1")


def test_count_keeps_to_the_window(box):
    for minutes in (-5, 0, 5):
        box.deliver(minutes)
    box.deliver(5, "archive")
    assert box.service.count("inbox", START) == 2
    assert box.service.count("inbox", BEFORE_ALL) == 3


def test_count_may_have_an_end(box):
    for minutes in (-5, 0, 5):
        box.deliver(minutes)
    assert box.service.count("inbox", BEFORE_ALL, START) == 2


def test_pages_may_be_asked_for_smaller_or_larger(box):
    delivered = [box.deliver(minutes) for minutes in range(6)][::-1]
    first = box.service.start_delta("inbox", BEFORE_ALL, size=1)
    second = box.service.follow_delta(first.link, size=3)
    third = box.service.follow_delta(second.link)
    assert [ids(page.messages) for page in (first, second, third)] == [delivered[:1], delivered[1:4], delivered[4:]]
    assert third.last
    assert ids(box.service.history("inbox", BEFORE_ALL, None, 2, size=1).messages) == delivered[2:3]


def test_a_narrow_answer_has_what_a_message_can_be_placed_by(box):
    message_id = box.deliver()
    box.read(message_id)
    pages = (
        box.service.start_delta("inbox", BEFORE_ALL, narrow=True),
        box.service.history("inbox", BEFORE_ALL, None, 0, narrow=True),
    )
    whole = box.service.messages([message_id]).found[message_id].content.given()
    for page in pages:
        [message] = page.messages
        given = message.content.given()
        assert given.items() < whole.items()
        assert {"received", "parent_folder_id", "is_read", "subject"} <= given.keys()
        assert not {"body", "headers"} & given.keys()


def test_history_is_newest_first(box):
    delivered = [box.deliver(minutes) for minutes in range(5)]
    first = box.service.history("inbox", BEFORE_ALL, None, 0)
    assert (ids(first.messages), first.more) == (delivered[:2:-1], True)
    second = box.service.history("inbox", BEFORE_ALL, first.messages[-1].received, 1)
    assert (ids(second.messages), second.more) == ([delivered[2], delivered[1]], True)
    third = box.service.history("inbox", BEFORE_ALL, second.messages[-1].received, 1)
    assert (ids(third.messages), third.more) == ([delivered[0]], False)


def test_history_keeps_to_its_window(box):
    box.deliver(-5)
    inside = box.deliver(0)
    box.deliver(5)
    page = box.service.history("inbox", START, START, 0)
    assert (ids(page.messages), page.more) == ([inside], False)


def test_history_holds_every_message_of_its_last_second(box):
    delivered = {box.deliver(0) for _ in range(3)}
    first = box.service.history("inbox", BEFORE_ALL, START, 0)
    second = box.service.history("inbox", BEFORE_ALL, START, 2)
    assert {*ids(first.messages), *ids(second.messages)} == delivered
    assert (first.more, second.more) == (True, False)


def test_history_knows_the_whole_message(box):
    message_id = box.deliver()
    (message,) = box.service.history("inbox", BEFORE_ALL, None, 0).messages
    assert message == box.service.messages([message_id]).found[message_id]


def test_messages_by_id(box):
    here, moved, gone = (box.deliver(minutes) for minutes in range(3))
    box.move(moved, "archive")
    box.delete(gone)
    fetched = box.service.messages([here, moved, gone])
    assert fetched.found.keys() == {here, moved}
    assert fetched.found[moved].content.parent_folder_id == box.service.folder_id("archive")
    assert fetched.refused == {}
    assert box.service.messages([]) == Fetched()


def test_a_message_that_is_refused_keeps_none_from_the_others(box):
    good, other, bad = (box.deliver(minutes) for minutes in range(3))
    box.refuse(bad)
    fetched = box.service.messages([bad, good, other])
    assert fetched.found.keys() == {good, other}
    assert {message_id: error.reason for message_id, error in fetched.refused.items()} == {bad: "graph_unavailable"}


def test_more_messages_than_a_batch_holds(box):
    delivered = [box.deliver(minutes) for minutes in range(45)]
    assert set(box.service.messages(delivered).found) == set(delivered)


def test_a_whole_message_has_every_field(box):
    message_id = box.deliver()
    content = box.service.messages([message_id]).found[message_id].content
    assert content.given().keys() == set(Content.__struct_fields__)


def test_an_answer_cut_short_is_asked_for_again(graph):
    message_id = graph.deliver()
    graph.world.faults.order("graph-cut", 1)
    assert ids(enumerated(graph)[0]) == [message_id]
    assert graph.waited == [0.5]


def test_a_short_wait_is_taken_and_a_long_one_is_not(graph):
    graph.world.faults.order("graph-throttle", 1, seconds=2)
    graph.service.me()
    assert graph.waited == [2]
    graph.world.faults.order("graph-throttle", 1, seconds=60, date=True)
    with pytest.raises(RetryLater, match="graph_throttled") as caught:
        graph.service.me()
    assert 50 < caught.value.retry_after <= 60


def test_a_throttled_part_of_a_batch_is_asked_for_again(graph):
    delivered = [graph.deliver(minutes) for minutes in range(3)]
    graph.world.faults.order("graph-throttle", 1, seconds=1, operation="message")
    assert set(graph.service.messages(delivered).found) == set(delivered)
    assert graph.waited == [1]


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("access-denied", AccessDenied, "access_denied"),
        ("graph-unauthorized", AccessDenied, "graph_unauthorized"),
        ("graph-gateway-page", RetryLater, "graph_forbidden"),
        ("mailbox-not-enabled", Rejected, "mailbox_not_enabled"),
        ("mailbox-over-quota", RetryLater, "mailbox_full"),
        ("foreign-next-link", Rejected, "foreign_link"),
        ("graph-gateway-timeout", RetryLater, "graph_unavailable"),
    ],
)
def test_what_graph_refuses(graph, fault, kind, reason):
    graph.world.faults.order(fault)
    with pytest.raises(kind, match=reason):
        graph.service.start_delta("inbox", BEFORE_ALL)


@pytest.mark.parametrize("fault", ["graph-half-surrogates", "graph-bad-bytes", "graph-null-entries"])
@pytest.mark.parametrize("headers", [True, False])
def test_oddities_of_json_cost_nothing_else(graph, fault, headers):
    if headers:
        graph.world.faults.order("delta-headers")
    delivered = [graph.deliver(minutes, subject=f"Half \ufffd {minutes}") for minutes in range(3)]
    service = graph.service

    def everything():
        history = service.history("inbox", BEFORE_ALL, None, 0)
        return service.me(), service.folder_id("inbox"), enumerated(graph)[0], history, service.messages(delivered)

    right = everything()
    graph.world.faults.order(fault)
    assert everything() == right
    assert right[-1].found[delivered[0]].content.subject == "Half \ufffd 0"


@pytest.mark.parametrize("headers", [True, False])
def test_a_body_is_the_same_by_every_way(graph, headers):
    if headers:
        graph.world.faults.order("delta-headers")
    message_id = graph.deliver(body="1 < 2")
    ((changed,), _) = enumerated(graph)
    (listed,) = graph.service.history("inbox", BEFORE_ALL, None, 0).messages
    read = graph.service.messages([message_id]).found[message_id]
    assert changed.content.body == listed.content.body == read.content.body
    assert "1 &lt; 2" in changed.content.body
    assert {each.content.body_content_type for each in (changed, listed, read)} == {"html"}


def test_half_of_an_answer_is_asked_for_later(graph):
    graph.world.faults.order("graph-truncated-json")
    with pytest.raises(RetryLater, match="graph_unavailable"):
        graph.service.start_delta("inbox", BEFORE_ALL)


def test_an_error_without_a_message_keeps_its_code(graph):
    graph.world.faults.order("graph-null-message")
    graph.world.faults.order("mailbox-over-quota")
    with pytest.raises(RetryLater, match="ErrorQuotaExceeded"):
        graph.service.start_delta("inbox", BEFORE_ALL)


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "ResourceNotFound"), (401, "OrganizationFromTenantGuidNotFound"), (404, "ErrorInvalidUser")],
)
def test_who_has_no_mailbox(graph, status, code):
    graph.world.faults.order("mailbox-not-enabled", status=status, code=code)
    assert graph.service.me()
    with pytest.raises(Rejected, match="mailbox_not_enabled"):
        graph.service.folder_id("inbox")


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (500, "ErrorContentConversionFailed", "graph_unavailable"),
        (200, "ErrorContentConversionFailed", "graph_unavailable"),
        (400, "ErrorInvalidIdMalformed", "graph_refused"),
        (403, "ErrorAccessDenied", "access_denied"),
    ],
)
def test_what_graph_says_of_one_message(graph, status, code, reason):
    good, bad = graph.deliver(), graph.deliver(1)
    graph.world.faults.order("graph-message-refused", message=bad, status=status, code=code)
    fetched = graph.service.messages([bad, good])
    assert (set(fetched.found), fetched.refused[bad].reason) == ({good}, reason)


def test_mail_that_is_too_large_for_whole_pages_is_read_all_the_same(graph, monkeypatch):
    monkeypatch.setattr(http, "ANSWER_LIMIT", 24_000)
    monkeypatch.setattr(json_texts, "SHORTEST", 1_000)
    _, link = enumerated(graph)
    bodies = ["x" * length for length in (9_000, 9_000, 9_000, 90_000, 9_000)]
    delivered = [graph.deliver(minutes, body=body) for minutes, body in enumerate(bodies)]
    graph.service = graph.client(page_size=5)
    changed, _ = walk(graph, graph.service.follow_delta(link))
    assert sorted(ids(changed)) == sorted(delivered)
    read = {message.id: len(message.content.body) for message in changed}
    assert [read[message_id] for message_id in delivered if read[message_id] < 9_000] == [read[delivered[3]]]
    assert sorted(ids(enumerated(graph)[0])) == sorted(delivered)
    assert graph.service.messages(delivered).found.keys() == set(delivered)
    page = graph.service.history("inbox", BEFORE_ALL, None, 0)
    assert ids(page.messages) == delivered[:2:-1]
    assert page.more
    assert graph.waited == []
