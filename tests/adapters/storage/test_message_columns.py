from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.adapters.storage.message_columns import FIRST_TIME, read, write
from mailsync.sync.records import Content, Header, Person, StoredMessage

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
ENTRY = StoredMessage("AAkALg=", "m1", "folder", 1)

ROW = {
    "messageId": "AAkALg=",
    "internetMessageId": "<1@example.org>",
    "conversationId": "c1",
    "subject": "Hello",
    "importance": "normal",
    "webLink": "https://outlook.example/1",
    "bodyPreview": "Hi",
    "isRead": False,
    "hasAttachments": True,
    "receivedDateTime": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "sentDateTime": datetime(2026, 1, 2, 3, 4, 3, tzinfo=UTC),
    "replyTo": "[]",
    "toRecipients": '[{"address":"ann@example.org","name":"Ann \u2603"},{"address":"bob@example.org","name":""}]',
    "ccRecipients": "[]",
    "parentFolderId": "folder",
    "fromAddress": "ann@example.org",
    "fromName": "Ann",
    "senderAddress": "ann@example.org",
    "bodyContentType": "html",
    "body": "<p>Hi</p>",
    "headers": '[{"name":"X-A","value":"1"},{"name":"X-A","value":"2"}]',
    "syncedDateTime": NOW,
    "removedDateTime": NOW,
}
"""A row as version 1.0 wrote it."""

CONTENTS = st.builds(
    Content,
    subject=st.text(),
    received=st.datetimes(FIRST_TIME.replace(tzinfo=None), timezones=st.just(UTC)),
    author=st.builds(Person, st.text(), st.text()),
    to_recipients=st.lists(st.builds(Person, st.text(), st.text())).map(tuple),
    headers=st.lists(st.builds(Header, st.text(), st.text())).map(tuple),
    is_read=st.booleans(),
)


def test_a_row_of_the_first_version_is_read_and_written_back_as_it_was():
    entry = read(ENTRY, ROW)
    assert entry.content.to_recipients == (Person("ann@example.org", "Ann \u2603"), Person("bob@example.org"))
    assert entry.content.headers == (Header("X-A", "1"), Header("X-A", "2"))
    assert entry.content.author == Person("ann@example.org", "Ann")
    assert (entry.synced_at, entry.removed_at, entry.others) == (NOW, NOW, {})
    assert entry.content.given().keys() == set(Content.__struct_fields__)
    assert write(entry) == ROW


@given(CONTENTS)
def test_what_is_written_is_read(content):
    entry = StoredMessage("AAkALg=", "m1", "folder", 1, content=content, synced_at=NOW)
    assert read(ENTRY, write(entry)) == entry


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("autoSubmitted", "auto-replied"),
        ("toRecipients", '[{"address":"a@example.org","name":"","kind":"group"}]'),
        ("toRecipients", '{"address":"a@example.org"}'),
        ("headers", '[{"name":"X-A"'),
        ("headers", "\ud800"),
        ("headers", True),
        ("isRead", "yes"),
        ("receivedDateTime", "2026-01-02"),
        ("subject", 5),
        ("fromAddress", False),
        ("removedDateTime", "never"),
    ],
)
def test_a_column_of_another_version_stays_as_it_is(column, value):
    row = ROW | {column: value}
    entry = read(ENTRY, row)
    assert entry.others[column] == value
    assert write(entry) == row


def test_graphs_word_takes_the_place_of_a_column_that_could_not_be_read():
    entry = read(ENTRY, {"messageId": "AAkALg=", "headers": "[", "isRead": "yes"})
    entry = StoredMessage("AAkALg=", "m1", "folder", 1, content=Content(headers=(), is_read=True), others=entry.others)
    assert write(entry) == {"messageId": "AAkALg=", "headers": "[]", "isRead": True}


def test_only_what_is_known_has_a_column():
    assert write(ENTRY) == {"messageId": "AAkALg="}


@pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(1600, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_a_time_that_no_table_can_hold_has_no_column(moment):
    message = StoredMessage("AAkALg=", "m1", "folder", 1, content=Content(sent=moment, received=FIRST_TIME))
    assert write(message) == {"messageId": "AAkALg=", "receivedDateTime": FIRST_TIME}
