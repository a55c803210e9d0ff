"""What becomes of a stored message when Graph says something of it, as a table: one row a case.

The folder is the inbox in its second enumeration, whose window begins at START.
"""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from mailsync.mailboxes.records import Folder, History
from mailsync.sync.merge import merge, says_elsewhere, settled
from mailsync.sync.records import Content, Message, StoredMessage
from mailsync.sync.row_keys import row_key
from tests.mailsync.world import START

BEFORE = START + timedelta(days=1)
"""When the stored row last changed."""
NOW = START + timedelta(days=2)

HERE, ELSEWHERE = "id-of-inbox", "id-of-archive"
INBOX = Folder(name="inbox", since=START, folder_id=HERE, generation=2)
READ_THROUGH = msgspec.structs.replace(INBOX, enumerating=False)
HISTORY_LEFT = msgspec.structs.replace(READ_THROUGH, history=History())


def said(content=None, **more):
    """A message of which Graph says so much."""
    return Message("m", msgspec.structs.replace(content or Content(), **more))


def at(moment, stored):
    """The row as it is written at `moment`, content and all."""
    return replace(stored, synced_at=moment, kept=False)


CONTENT = Content(subject="Hello", received=START, is_read=False, parent_folder_id=HERE)
WHOLE = said(CONTENT)
REMOVED = Message("m", removed=True)

NEW = StoredMessage("m", row_key(START, "m"), HERE, 2, content=CONTENT, synced_at=NOW)
ROW = StoredMessage(
    "m", "a key", HERE, 2, content=CONTENT, synced_at=BEFORE, others={"x": 1}, version="7", index_version="8", kept=True
)
OF_GENERATION_1 = replace(ROW, generation=1)
GONE = replace(ROW, removed_generation=2, removed_at=BEFORE)
GONE_IN_1 = replace(GONE, generation=1, removed_generation=1)
ARCHIVED = replace(ROW, folder_id=ELSEWHERE, content=msgspec.structs.replace(CONTENT, parent_folder_id=ELSEWHERE))
ARCHIVED_IN_1 = replace(ARCHIVED, generation=1)
GONE_FROM_ARCHIVE = replace(ARCHIVED, removed_generation=2, removed_at=BEFORE)

NO_ROW = StoredMessage("m", None, HERE, 2, removed_generation=2, version="7", index_version="8")
"""The entry of a removal that came before its message."""
NO_ROW_IN_1 = replace(NO_ROW, generation=1, removed_generation=1)
NOT_REMOVED_IN_1 = replace(NO_ROW, generation=1, removed_generation=0)
"""The entry of a message whose row somebody has deleted."""
NEW_BESIDE_ENTRY = replace(NEW, version="7", index_version="8")

READ = at(NOW, replace(ROW, content=msgspec.structs.replace(CONTENT, is_read=True)))
BACK = at(NOW, ROW)
"""As before, but here again, written whole."""

REMOVALS = {
    "a removal marks the row": (ROW, INBOX, replace(GONE, removed_at=NOW, synced_at=NOW)),
    "a removal is also a sighting in this enumeration": (
        OF_GENERATION_1,
        INBOX,
        replace(GONE, removed_at=NOW, synced_at=NOW),
    ),
    "what is marked stays as it was marked": (GONE, INBOX, None),
    "what an older enumeration marked stays as it was marked": (GONE_IN_1, INBOX, None),
    "a removal from here says nothing of what has moved elsewhere": (ARCHIVED, INBOX, None),
    "what is not known is noted while it is enumerated": (None, INBOX, StoredMessage("m", None, HERE, 2, 2)),
    "what is not known is noted while history is left": (None, HISTORY_LEFT, StoredMessage("m", None, HERE, 2, 2)),
    "what is not known is not noted when everything is read": (None, READ_THROUGH, None),
    "what has no row is not noted twice": (NO_ROW, INBOX, None),
    "what has lost its row is noted, without times": (NOT_REMOVED_IN_1, INBOX, NO_ROW),
}


@pytest.mark.parametrize("sighting", [False, True])
@pytest.mark.parametrize(("stored", "folder", "expected"), REMOVALS.values(), ids=REMOVALS.keys())
def test_removal(stored, folder, expected, sighting):
    assert merged(stored, REMOVED, folder, sighting=sighting) == expected


# Stored, what Graph says, what delta's word makes of it, what a history page's makes of it.
WORDS = {
    # There is no row.
    "a new message": (None, WHOLE, NEW, NEW),
    "a new message is of this folder, whatever it says itself": (
        None,
        said(CONTENT, parent_folder_id=ELSEWHERE),
        NEW,
        NEW,
    ),
    "one received before the window": (None, said(CONTENT, received=START - timedelta(seconds=1)), None, None),
    "one that was gone before it could be read whole": (None, said(is_read=True), None, None),
    "removed in this enumeration: back by delta's word only": (NO_ROW, WHOLE, NEW_BESIDE_ENTRY, None),
    "removed in an older enumeration: back": (NO_ROW_IN_1, WHOLE, NEW_BESIDE_ENTRY, NEW_BESIDE_ENTRY),
    "its row was deleted by hand: a new one": (NOT_REMOVED_IN_1, WHOLE, NEW_BESIDE_ENTRY, NEW_BESIDE_ENTRY),
    # It is in this folder.
    "nothing new": (ROW, WHOLE, None, None),
    "nothing new, said in few words": (ROW, said(is_read=False), None, None),
    "it was read: history only sights it": (ROW, said(is_read=True), READ, None),
    "first sight in this enumeration is noted beside the content": (OF_GENERATION_1, WHOLE, ROW, ROW),
    "first sight, and it was read": (OF_GENERATION_1, said(is_read=True), READ, READ),
    "a row that was not read whole is not written as if it were": (
        replace(OF_GENERATION_1, kept=False),
        WHOLE,
        replace(ROW, kept=False),
        replace(ROW, kept=False),
    ),
    # It was removed.
    "removed in this enumeration: here again by delta's word only": (GONE, WHOLE, BACK, None),
    "removed in an older enumeration: here again": (GONE_IN_1, WHOLE, BACK, BACK),
    "removed by the latest, though last seen by an older": (replace(GONE, generation=1), WHOLE, BACK, None),
    # It is in another folder.
    "moved here": (ARCHIVED, WHOLE, BACK, BACK),
    "moved here, as few words tell": (ARCHIVED, said(is_read=False), BACK, BACK),
    "moved here before this enumeration": (ARCHIVED_IN_1, WHOLE, BACK, BACK),
    "moved here after it was removed there": (GONE_FROM_ARCHIVE, WHOLE, BACK, BACK),
    "a late word: it says itself that it is elsewhere": (
        ARCHIVED,
        said(CONTENT, parent_folder_id=ELSEWHERE, is_read=True),
        None,
        None,
    ),
    "it is stored here and says elsewhere: this folder's delta counts": (
        ROW,
        said(is_read=True, parent_folder_id=ELSEWHERE),
        READ,
        None,
    ),
    "it moves although its content says nothing else": (
        replace(ROW, folder_id=ELSEWHERE),
        WHOLE,
        ROW,
        ROW,
    ),
}


@pytest.mark.parametrize(("stored", "message", "by_delta", "by_history"), WORDS.values(), ids=WORDS.keys())
def test_word(stored, message, by_delta, by_history):
    assert merged(stored, message, sighting=False) == by_delta
    assert merged(stored, message, sighting=True) == by_history


def merged(stored, message, folder=INBOX, *, sighting):
    return merge(stored, message, folder, NOW, sighting=sighting)


SETTLED = {
    "seen in this enumeration": (ROW, True),
    "seen in the one before": (OF_GENERATION_1, False),
    "seen in a later one": (replace(ROW, generation=3), True),
    "removed in this enumeration, seen in the one before": (replace(GONE, generation=1), True),
    "removed in the one before": (GONE_IN_1, False),
    "seen in another folder": (ARCHIVED, False),
}


@pytest.mark.parametrize(("stored", "expected"), SETTLED.values(), ids=SETTLED.keys())
def test_settled(stored, expected):
    assert settled(stored, INBOX) is expected


PLACES = {
    "it names this folder": (WHOLE, False),
    "it names another": (said(parent_folder_id=ELSEWHERE), True),
    "it names none": (said(is_read=True), False),
    "it names an empty one": (said(parent_folder_id=""), True),
}


@pytest.mark.parametrize(("message", "expected"), PLACES.values(), ids=PLACES.keys())
def test_says_elsewhere(message, expected):
    assert says_elsewhere(message, INBOX) is expected
