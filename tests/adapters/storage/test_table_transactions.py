"""Transactions as the service gets them."""

import pytest

from mailsync.adapters import azure_sdk
from mailsync.adapters.storage.entities import Change
from mailsync.adapters.storage.services import table_service
from mailsync.adapters.storage.tables import Table
from mailsync.errors import Rejected, StaleWrite


def heads_of_batches(monkeypatch):
    """The headers of every transaction that is sent, as they leave."""
    heads = []
    send = azure_sdk.Transport.send

    def noted(self, request, **options):
        if request.url.endswith("/$batch"):
            heads.append({name.lower(): value.split("boundary")[0] for name, value in request.headers.items()})
        return send(self, request, **options)

    monkeypatch.setattr(azure_sdk.Transport, "send", noted)
    return heads


def test_a_transaction_goes_out_as_the_sdk_sends_its_own(storage, monkeypatch):
    heads = heads_of_batches(monkeypatch)
    table_service(storage).get_table_client("mailboxes").submit_transaction(
        [("create", {"PartitionKey": "p", "RowKey": "theirs"})]
    )
    Table(storage, "mailboxes").transact([Change("create", {"PartitionKey": "p", "RowKey": "ours"})])
    theirs, ours = heads
    assert ours.keys() == theirs.keys()
    differing = {name for name, value in ours.items() if value != theirs[name]}
    assert differing <= {"date", "x-ms-date", "x-ms-client-request-id", "authorization", "content-length", "user-agent"}
    assert ours["x-ms-version"]


def test_what_the_table_refuses_is_rejected(storage):
    with pytest.raises(Rejected) as problem:
        Table(storage, "mailboxes").transact([Change("create", {"PartitionKey": "p", "RowKey": "r"})] * 2)
    assert problem.value.reason == "storage_refused"


def test_a_transaction_is_made_whole_or_not_at_all(storage):
    table = Table(storage, "mailboxes")
    etag = table.create({"PartitionKey": "p", "RowKey": "there"})
    changes = [
        Change("create", {"PartitionKey": "p", "RowKey": "new"}),
        Change("delete", {"PartitionKey": "p", "RowKey": "not there"}),
    ]
    with pytest.raises(StaleWrite):
        table.transact(changes)
    assert table.get("p", "new") is None
    assert table.delete("p", "there", etag) is True
    assert table.delete("p", "there", etag) is False
