"""Mail that is in the inbox is in the table, as Graph has it, whatever happens to it there."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sandbox.state import PROJECT
from tests.e2e.product import differences

SAMPLES = PROJECT / "sandbox/samples"


def test_rows_are_what_graph_answers(product):
    address = "ann@pull.example"
    delivered = product.deliver(address, *sorted(SAMPLES.glob("*.eml")))
    mailbox = product.connect(address)
    rows = product.wait_for_rows(mailbox, delivered)
    assert differences(rows, product.truth(address)) == []
    assert all(row["PartitionKey"] == mailbox for row in rows)
    assert [row["receivedDateTime"] for row in rows] == sorted((row["receivedDateTime"] for row in rows), reverse=True)
    assert all(row["body"] and row["headers"] for row in rows)


@pytest.mark.parametrize("fault", ["graph-half-surrogates", "graph-bad-bytes", "graph-null-entries"])
def test_odd_json_costs_no_row_anything(product, fault):
    address = f"{fault}@pull.example"
    delivered = product.deliver(address, *sorted(SAMPLES.glob("*.eml")))
    product.fault(fault, address=address)
    rows = product.wait_for_rows(product.connect(address), delivered)
    assert differences(rows, product.truth(address)) == []
    product.clear_faults()


def test_the_comparison_sees_differences(product):
    address = "dan@pull.example"
    product.deliver(address, SAMPLES / "01-plain-reply.eml", SAMPLES / "10-japanese.eml")
    rows, truth = product.wait_for_rows(product.connect(address), 2), product.truth(address)
    assert len(differences(rows[:1], truth)) == 1
    assert len(differences([*rows, rows[1]], truth)) == 1
    assert len(differences([rows[0] | {"body": rows[0]["body"] + " "}, rows[1]], truth)) == 1
    assert len(differences([rows[0] | {"headers": rows[0]["headers"][1:]}, rows[1]], truth)) == 1
    assert "not in order" in differences(rows[::-1], truth)[0]
    assert len(differences(rows, {})) == 2


def test_inboxes_read_at_the_same_time_do_not_mix(product):
    addresses = [f"{name}@pull.example" for name in ("eva", "finn", "gil", "hana")]
    for number, address in enumerate(addresses):
        product.generate(address, 60, seed=number, days=20)
    with ThreadPoolExecutor(4) as pool:
        mailboxes = list(pool.map(product.connect, addresses))
    for address, mailbox in zip(addresses, mailboxes, strict=True):
        assert differences(product.wait_for_rows(mailbox, 60), product.truth(address)) == []


def test_new_mail_and_changes_follow(product):
    address = "ida@pull.example"
    product.deliver(address, SAMPLES / "01-plain-reply.eml")
    mailbox = product.connect(address)
    first = product.wait_for_rows(mailbox, 1)[0]
    product.deliver(address, SAMPLES / "14-newsletter.eml", SAMPLES / "12-russian.eml")
    product.control.call("POST", f"/mailboxes/{address}/messages/{first['messageId']}", {"isRead": True})
    rows = product.wait_for_rows(mailbox, 3, poll=True)
    assert differences(rows, product.truth(address)) == []
    assert next(row for row in rows if row["messageId"] == first["messageId"])["isRead"] is True


def test_what_the_owner_removes_is_marked_and_stays(product):
    address = "kai@pull.example"
    product.deliver(address, *sorted(SAMPLES.glob("0[1-3]*.eml")))
    mailbox = product.connect(address)
    kept, deleted, moved = product.wait_for_rows(mailbox, 3)
    product.control.call("POST", f"/mailboxes/{address}/messages/{deleted['messageId']}/delete")
    product.control.call("POST", f"/mailboxes/{address}/messages/{moved['messageId']}/move", {"folder": "archive"})

    def removed():
        rows = {row["messageId"]: row for row in product.rows(mailbox)}
        return rows if sum("removedDateTime" in row for row in rows.values()) == 2 else None

    rows = product.until(removed, "two rows marked removed", poll=True)
    assert "removedDateTime" not in rows[kept["messageId"]]
    for before in (deleted, moved):
        after = rows[before["messageId"]]
        assert after["removedDateTime"] >= before["syncedDateTime"]
        assert {**after, **before} == {**before, **after, "syncedDateTime": before["syncedDateTime"]}
    assert product.mailbox(mailbox).removed == 2


def test_a_killed_worker_is_followed_by_another(product, sandbox):
    address = "lea@pull.example"
    product.generate(address, 1_200, days=20)
    product.fault("graph-slow", seconds=0.5, address=address)
    mailbox = product.connect(address)
    product.until(lambda: product.mailbox(mailbox).messages, "the first pages")
    sandbox.child("host").process.kill()
    sandbox.child("host").process.wait()
    product.clear_faults()
    try:
        left = product.mailbox(mailbox)
        assert left.messages < 1_200
        assert left.lease
        # A minute passes: the lease of the dead run is over.
        product.app.mailboxes.save(replace(left, lease=replace(left.lease, expires_at=left.lease.started_at)))
    finally:
        sandbox.check()  # which starts another host, for the tests after this one too
    rows = product.wait_for_rows(mailbox, 1_200)
    assert differences(rows, product.truth(address)) == []
    assert product.mailbox(mailbox).messages == 1_200
