from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailsync.adapters.storage.messages import TableMessageStore
from mailsync.errors import StaleWrite
from mailsync.mailboxes.ids import mailbox_id
from mailsync.sync.records import Content, Header, Person, StoredMessage
from mailsync.sync.row_keys import row_key
from tests.fakes.graph_mailbox import default_content
from tests.fakes.stores import FakeMessageStore

BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")
OTHER_BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002")
NOW = datetime(2026, 11, 25, 8, 30, 0, 123456, tzinfo=UTC)
FOLDER = "AAMkADo'dd_folder-id="


EVERYTHING = default_content("id", NOW).given() | {
    "parent_folder_id": FOLDER,
    "subject": "日本語 🙂 \u202e\x00\x1f\"'\\",
    "sent": datetime(1601, 1, 1, tzinfo=UTC),
    "cc_recipients": (Person("ann@example.org", 'Ann "\u2603"'), Person("", "")),
}


@pytest.fixture(params=["fake", "azure"])
def messages(request):
    return FakeMessageStore() if request.param == "fake" else TableMessageStore(request.getfixturevalue("storage"))


def a_message(message_id="AAkALg=", *, received=NOW, content=(), **fields) -> StoredMessage:
    """`content` overlays a content of a few fields."""
    folder_id = fields.get("folder_id", FOLDER)
    known = {"subject": "Re: Angebot", "received": received, "is_read": False, "has_attachments": True}
    return StoredMessage(
        **{
            "message_id": message_id,
            "row_key": row_key(received, message_id),
            "folder_id": folder_id,
            "generation": 1,
            "content": Content(**known | {"body_preview": "", "parent_folder_id": folder_id} | dict(content)),
        }
        | fields
    )


def read(messages, *ids, box=BOX, whole=True):
    """By id alone."""
    return messages.find(box, dict.fromkeys(ids), whole=whole)


def changed(stored, **fields):
    """With another content than its row has."""
    return replace(stored, kept=False, **fields)


def unversioned(stored):
    return replace(stored, version=None, index_version=None, kept=False)


def test_nothing_is_found_in_an_empty_table(messages):
    assert read(messages, "a", "b") == {}
    assert read(messages) == {}
    messages.write(BOX, [])


def test_a_message_comes_back_as_it_was_written(messages):
    written = a_message(content=EVERYTHING, removed_at=NOW, synced_at=NOW)
    messages.write(BOX, [written])
    found = read(messages, written.message_id)[written.message_id]
    assert found.version
    assert found.index_version
    assert found.kept
    assert unversioned(found) == written


def test_what_is_not_read_whole_has_no_content(messages):
    messages.write(BOX, [a_message(removed_generation=2, removed_at=NOW, synced_at=NOW)])
    found = read(messages, "AAkALg=", whole=False)["AAkALg="]
    bare = StoredMessage("AAkALg=", row_key(NOW, "AAkALg="), FOLDER, generation=1, removed_generation=2)
    assert found.version
    assert unversioned(found) == bare


def spread(seconds):
    """A message for each, so long before now."""
    return [a_message(f"id-{n}", received=NOW - timedelta(seconds=each)) for n, each in enumerate(seconds)]


DAY = 86_400
SPREADS = {
    "one": [0],
    "few": [0, 1, 2],
    "one after the other": range(120),
    "at one time": [0] * 60,
    "one long before": [*range(60), 700 * DAY],
    "one long after": [0, *range(700 * DAY, 700 * DAY + 60)],
    "two crowds": [*range(40), *range(30 * DAY, 30 * DAY + 40)],
    "far apart": range(0, 200 * DAY, 10 * DAY),
}


@pytest.mark.parametrize("seconds", SPREADS.values(), ids=SPREADS.keys())
@pytest.mark.parametrize("whole", [True, False])
def test_messages_are_found_by_their_times(messages, seconds, whole):
    written = spread(seconds)
    messages.write(BOX, written)
    messages.write(OTHER_BOX, spread(range(10)))
    sought = {message.message_id: message.content.received for message in written}
    found = messages.find(BOX, sought | {"unknown": NOW, "unknown too": NOW - timedelta(days=800)}, whole=whole)
    assert found.keys() == sought.keys()
    assert found == {
        id_: replace(each, index_version=None) for id_, each in read(messages, *sought, whole=whole).items()
    }


def test_a_few_are_found_among_many(messages):
    written = spread(range(0, 60_000, 60))
    messages.write(BOX, written)
    sought = {message.message_id: message.content.received for message in written[::60]}
    assert messages.find(BOX, sought).keys() == sought.keys()


def test_times_and_ids_are_asked_for_together(messages):
    written = spread(range(20))
    messages.write(BOX, [*written, StoredMessage("early", None, FOLDER, 1, removed_generation=1)])
    sought = {each.message_id: each.content.received if n % 2 else None for n, each in enumerate(written)}
    assert messages.find(BOX, sought | {"early": None}).keys() == {*sought, "early"}
    assert messages.known(BOX, [*sought, "early", "unknown"]) == {*sought, "early"}


def test_under_another_time_only_the_id_leads_to_it(messages):
    early = StoredMessage("early", None, FOLDER, 1, removed_generation=1)
    messages.write(BOX, [a_message(), early])
    assert messages.find(BOX, {"AAkALg=": NOW + timedelta(seconds=1), "early": NOW}) == {}
    assert read(messages, "AAkALg=").keys() == {"AAkALg="}


def test_what_is_kept_is_left_as_the_row_has_it(messages):
    messages.write(BOX, [a_message(content=EVERYTHING | {"body": "y" * 70_000}, others={"categories": "x"})])
    bare = read(messages, "AAkALg=", whole=False)["AAkALg="]
    messages.write(BOX, [replace(bare, generation=2)])
    once = read(messages, "AAkALg=")["AAkALg="]
    assert (once.generation, once.removed_at, once.content.body) == (2, None, "y" * 70_000)
    messages.write(BOX, [replace(once, removed_generation=2, removed_at=NOW, synced_at=NOW)])
    twice = read(messages, "AAkALg=")["AAkALg="]
    marked = replace(once, removed_generation=2, removed_at=NOW, synced_at=NOW)
    assert unversioned(twice) == unversioned(marked)
    with pytest.raises(StaleWrite):
        messages.write(BOX, [replace(once, generation=3)])
    messages.write(BOX, [changed(twice, removed_generation=0, removed_at=None)])
    assert read(messages, "AAkALg=")["AAkALg="].removed_at is None


def test_mailboxes_do_not_cross(messages):
    messages.write(BOX, [a_message(content={"subject": "one"})])
    messages.write(OTHER_BOX, [a_message(content={"subject": "two"})])
    assert read(messages, "AAkALg=")["AAkALg="].content.subject == "one"
    assert read(messages, "AAkALg=", box=OTHER_BOX)["AAkALg="].content.subject == "two"


@pytest.mark.parametrize(
    "pair",
    [("AAkALgAAB", "AAkALgAAb"), ("a/b", "a\\b"), ("a#", "a?"), ("x\x7f", "x\t"), ("é", "e\u0301"), ("'", "''")],
)
def test_ids_that_hardly_differ_stay_apart(messages, pair):
    messages.write(BOX, [a_message(key, content={"subject": f"of {key!r}"}) for key in pair])
    found = read(messages, *pair)
    assert {key: message.content.subject for key, message in found.items()} == {key: f"of {key!r}" for key in pair}


def test_more_than_fit_one_transaction(messages):
    many = [a_message(f"id-{n}", received=NOW - timedelta(seconds=n)) for n in range(130)]
    messages.write(BOX, many)
    found = read(messages, *(message.message_id for message in many), "unknown")
    assert found.keys() == {message.message_id for message in many}
    assert found["id-129"].content == many[129].content
    assert len(read(messages, *found, whole=False)) == 130


def test_an_id_asked_for_twice_is_found_once(messages):
    messages.write(BOX, [a_message()])
    assert list(read(messages, "AAkALg=", "AAkALg=")) == ["AAkALg="]


def test_writing_again_replaces_the_row_whole(messages):
    messages.write(BOX, [a_message(content={"body": "y" * 70_000}, others={"categories": "x"})])
    first = read(messages, "AAkALg=")["AAkALg="]
    assert first.others == {"categories": "x"}
    now = Content(subject="now", body="short")
    messages.write(BOX, [changed(first, content=now, others={}, generation=2)])
    second = read(messages, "AAkALg=")["AAkALg="]
    assert (second.content, second.others) == (Content(subject="now", body="short", parent_folder_id=FOLDER), {})
    assert second.generation == 2
    assert first.version != second.version


def test_creating_twice_is_stale(messages):
    messages.write(BOX, [a_message()])
    with pytest.raises(StaleWrite):
        messages.write(BOX, [a_message(content={"subject": "again"})])
    assert read(messages, "AAkALg=")["AAkALg="].content.subject == "Re: Angebot"


def test_an_old_version_is_stale_and_the_row_does_not_change(messages):
    messages.write(BOX, [a_message()])
    first = read(messages, "AAkALg=")["AAkALg="]
    messages.write(BOX, [replace(first, generation=2)])
    second = read(messages, "AAkALg=")["AAkALg="]
    for late in (replace(first, generation=9), changed(first, content=Content(subject="lost"))):
        with pytest.raises(StaleWrite):
            messages.write(BOX, [late])
    assert read(messages, "AAkALg=")["AAkALg="] == second


def test_a_version_of_a_message_that_is_not_there_is_stale(messages):
    messages.write(BOX, [a_message()])
    first = read(messages, "AAkALg=")["AAkALg="]
    strange = replace(a_message("other"), version=first.version, index_version=first.index_version)
    with pytest.raises(StaleWrite):
        messages.write(BOX, [strange])
    assert read(messages, "other") == {}


def test_a_removal_that_comes_before_the_message(messages):
    early = StoredMessage("AAkALg=", None, FOLDER, 1, removed_generation=1)
    messages.write(BOX, [early])
    noted = read(messages, "AAkALg=")["AAkALg="]
    assert replace(noted, index_version=None) == early
    assert noted.index_version
    messages.write(BOX, [a_message(removed_generation=1, index_version=noted.index_version)])
    found = read(messages, "AAkALg=")["AAkALg="]
    assert found.content == a_message().content
    assert found.removed_generation == 1
    with pytest.raises(StaleWrite):
        messages.write(BOX, [replace(early, index_version=noted.index_version)])


@pytest.mark.parametrize(
    "body",
    [
        "x" * 32_000,
        "x" * 32_001,
        "<p>Größe</p>" * 20_000,
        "漢字" * 40_000,
        "🙂" * 40_000,
        "a" + "🙂" * 40_000,
        "\x00\x01" * 60_000,
    ],
    ids=["one part", "a bit more", "umlauts", "Chinese", "pairs", "pairs across the cut", "controls"],
)
def test_a_body_over_several_properties(messages, body):
    messages.write(BOX, [a_message(content={"body": body, "headers": (Header("X", body[:50_000]),)})])
    content = read(messages, "AAkALg=")["AAkALg="].content
    assert content.body == body
    assert content.headers == (Header("X", body[:50_000]),)


@pytest.mark.parametrize("body", ["x" * 3_000_000, "漢🙂" * 400_000], ids=["Latin", "Chinese"])
def test_a_body_over_one_row(messages, body):
    messages.write(BOX, [a_message(content={"body": body, "headers": (Header("X", "h" * 100_000),)})])
    first = read(messages, "AAkALg=")["AAkALg="]
    assert first.content.body == body
    assert first.content.headers == (Header("X", "h" * 100_000),)
    messages.write(BOX, [changed(first, content=Content(body="short"))])
    second = read(messages, "AAkALg=")["AAkALg="]
    assert second.content == Content(body="short", parent_folder_id=FOLDER)


def test_many_large_messages_at_once(messages):
    body = "漢" * 300_000
    large = [a_message(f"id-{n}", content={"body": body}) for n in range(6)]
    messages.write(BOX, large)
    found = read(messages, *(message.message_id for message in large))
    assert all(message.content.body == body for message in found.values())
    assert len(found) == 6


def test_lone_surrogates_become_replacement_characters(messages):
    messages.write(BOX, [a_message(content={"subject": "a\ud800b\udc00", "body": "\ud83d\ude42"})])
    content = read(messages, "AAkALg=")["AAkALg="].content
    assert content.subject == "a\ufffdb\ufffd"
    assert content.body == "🙂"


def test_a_time_that_no_table_can_hold_is_left_out(messages):
    before = datetime(1601, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
    messages.write(BOX, [a_message(content={"sent": before}), a_message("other")])
    assert read(messages, "AAkALg=")["AAkALg="].content == a_message().content


def test_unseen(messages):
    since = NOW - timedelta(days=30)
    messages.write(
        BOX,
        [
            a_message("old generation"),
            a_message("at the edge", received=since),
            a_message("seen", generation=3),
            a_message("removed", removed_generation=1),
            a_message("other folder", folder_id="AAMkADother="),
            a_message("before the window", received=since - timedelta(milliseconds=1)),
            StoredMessage("no row", None, FOLDER, 1, removed_generation=1),
        ],
    )
    messages.write(OTHER_BOX, [a_message("other mailbox")])
    unseen = {entry.message_id: entry for entry in messages.unseen(BOX, FOLDER, 3, since)}
    assert unseen.keys() == {"old generation", "at the edge"}
    bare = read(messages, *unseen, whole=False)
    assert unseen == {id_: replace(each, index_version=None) for id_, each in bare.items()}
    assert [entry.message_id for entry in messages.unseen(BOX, FOLDER, 1, since)] == []


def test_unseen_while_rows_are_written(messages):
    messages.write(BOX, [a_message(f"id-{n}") for n in range(100)])
    for entry in messages.unseen(BOX, FOLDER, 2, NOW - timedelta(days=1)):
        row = read(messages, entry.message_id)[entry.message_id]
        messages.write(BOX, [replace(row, removed_generation=2)])
    assert list(messages.unseen(BOX, FOLDER, 2, NOW - timedelta(days=1))) == []
