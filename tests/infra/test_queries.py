"""The check of the queries, by Microsoft's own parser."""

import json

import pytest

from infra import queries

LOCK = json.loads((queries.FOLDER / "package-lock.json").read_text())


def test_every_query_is_sound():
    found = queries.of_alerts() | queries.of_workbook()
    assert len(found) > 15
    assert queries.faults(found) == []


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("traces | where mesage == 'x'", "'mesage'"),
        ("traces | summarize last = max(timestamp)", "'last'"),
        ("tracs | count", "'tracs'"),
        ("traces | where itemCount > 'a'", "'>'"),
        ("traces | extend a = extrct('a', 0, message)", "'extrct'"),
        ("traces | where", "expression"),
    ],
)
def test_what_is_wrong_is_found(query, fault):
    found = queries.faults({"good": "traces | count", "bad": query})
    assert found
    assert all(line.startswith("bad: ") for line in found)
    assert fault in found[0]


def test_every_table_that_is_declared_is_read():
    read = {text.split()[0] for text in (queries.of_alerts() | queries.of_workbook()).values()}
    assert read == queries.tables().keys()


def test_the_lock_file_pins_by_hash_and_names_no_download_address():
    packages = [package for path, package in LOCK["packages"].items() if path]
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages)
    assert not any("resolved" in package for package in packages)
