from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailsync.adapters.storage.message_rows import (
    PROPERTY_UNITS,
    ROW_BYTES,
    blob_name,
    join,
    split,
)
from mailsync.mailboxes.ids import mailbox_id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")
MOMENTS = st.integers(-11_644_473_600_000_000, 253_402_214_400_000_000).map(lambda n: EPOCH + timedelta(microseconds=n))
NAMES = st.sampled_from(["body", "headers", "subject", "isRead", "sentDateTime", "toRecipients", "bodyPreview"])
PIECES = st.sampled_from(["x", "ß", "漢", "🙂", '"', "\x00", "\r\n", "\ufeff"])
LONG = st.builds(lambda pieces, times: "".join(pieces) * times, st.lists(PIECES, max_size=7), st.integers(0, 40_000))
COLUMNS = st.dictionaries(NAMES, st.one_of(st.text(), LONG, st.booleans(), MOMENTS), max_size=7)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def azure_size(properties) -> int:
    """https://learn.microsoft.com/archive/blogs/avkashchauhan/how-the-size-of-an-entity-is-caclulated-in-windows-azure-table-storage"""
    size = 4 + 2 * (len(BOX) + 49) + 8 + 2 * len("Timestamp") + 8
    for name, value in properties.items():
        value_size = 2 * units(value) + 4 if isinstance(value, str) else 1 if isinstance(value, bool) else 8
        size += 8 + 2 * len(name) + value_size
    return size


@settings(deadline=None)  # megabytes take their time on a busy machine
@given(COLUMNS)
@example({"body": "🙂" * 16_000, "headers": "a" + "🙂" * 16_000})
@example({"body": "x" * 3_000_000, "headers": "y" * 499_000})
def test_split_and_join_are_inverse_and_within_azures_limits(columns):
    row = split(columns, BOX, "id")
    assert join(row.properties, row.blobs.get) == columns
    assert azure_size(row.properties) <= ROW_BYTES
    assert all(units(value) <= PROPERTY_UNITS for value in row.properties.values() if isinstance(value, str))
    assert len(row.properties) < 252


@given(st.text(st.characters(codec=None, categories=["Cs", "Lu"]), max_size=20))
def test_lone_surrogates_are_replaced_once(text):
    stored = join(split({"subject": text}, BOX, "id").properties, str)["subject"]
    stored.encode()
    assert join(split({"subject": stored}, BOX, "id").properties, str)["subject"] == stored


def test_short_texts_keep_their_names():
    row = split({"body": "x" * PROPERTY_UNITS, "isRead": True}, BOX, "id")
    assert row.properties == {"body": "x" * PROPERTY_UNITS, "isRead": True}
    assert row.blobs == {}


def test_long_texts_are_numbered():
    row = split({"body": "x" * (2 * PROPERTY_UNITS + 1)}, BOX, "id")
    assert {name: len(value) for name, value in row.properties.items()} == {"body": 32_000, "body1": 32_000, "body2": 1}


def test_only_the_largest_texts_leave_a_row_that_is_too_large():
    row = split({"body": "x" * 600_000, "headers": "y" * 30_000, "subject": "s"}, BOX, "id")
    assert row.properties == {"bodyBlob": blob_name(BOX, "id", "body"), "headers": "y" * 30_000, "subject": "s"}
    assert row.blobs == {blob_name(BOX, "id", "body"): "x" * 600_000}
    assert blob_name(BOX, "id", "body").startswith(f"{BOX}/")


def test_a_row_just_within_the_limit_stays_whole():
    fitting = split({"body": "x" * 498_000}, BOX, "id")
    assert not fitting.blobs
    assert azure_size(fitting.properties) > ROW_BYTES - 5_000


def test_a_column_whose_blob_is_lost_is_missing():
    row = split({"body": "x" * 600_000, "subject": "s"}, BOX, "id")
    assert join(row.properties, {}.get) == {"subject": "s"}


def test_a_row_of_columns_without_end_is_an_error():
    with pytest.raises(ValueError, match="cannot be stored"):
        split({f"column_{n}_": "x" * 100 for n in range(5000)}, BOX, "id")
