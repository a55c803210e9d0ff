"""What goes wrong shows in the mailbox's status, and nothing more comes of it than must."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from mailsync.mailboxes.records import MailboxState
from mailsync.schedule.records import Hint
from sandbox.commands import ensure_account
from sandbox.state import PROJECT
from tests.e2e.people import Owner, operator
from tests.e2e.product import differences

SAMPLES = sorted((PROJECT / "sandbox/samples").glob("*.eml"))


def show(product, name):
    return json.loads(operator(product.state, "mailbox", "show", name, "--json"))


def connected(product, address, *samples):
    product.deliver(address, *(samples or SAMPLES[:2]))
    mailbox = product.connect(address)
    product.wait_for_rows(mailbox, len(samples) or 2)
    return mailbox


def test_status_of_a_good_mailbox(product):
    mailbox = connected(product, "ann@status.example")
    shown = show(product, mailbox)
    assert (shown["state"], shown["messages"], shown["lastError"]) == ("active", 2, None)
    assert shown["connectedAt"] < shown["lastSuccessAt"] < shown["nextPollAt"]
    assert "ann@status.example" in operator(product.state, "mailbox", "show", "Ann@Status.example")
    assert mailbox in operator(product.state, "mailbox", "list")


def test_accounts_have_their_own_inboxes(product):
    first = connected(product, "ann@first-account.example", SAMPLES[0])
    second = connected(product, "ann@second-account.example", SAMPLES[1], SAMPLES[2])
    listed = {entry["id"]: entry for entry in json.loads(operator(product.state, "mailbox", "list", "--json"))}
    assert (listed[first]["accountId"], listed[first]["messages"]) == ("first-account-example", 1)
    assert (listed[second]["accountId"], listed[second]["messages"]) == ("second-account-example", 2)


def test_two_people_who_connect_one_inbox_at_once_end_as_one(product):
    address = "shared@status.example"
    product.deliver(address, *SAMPLES[:2])
    ensure_account(product.state, address)
    with Owner(product.state) as one, Owner(product.state) as other, ThreadPoolExecutor(2) as pool:
        answers = [(one, one.decide(one.sign_in(one.begin(), address), "accept"))]
        answers.append((other, other.sign_in(other.begin(), address)))
        pages = list(pool.map(lambda pair: pair[0].answer(pair[1]), answers))
    assert all(page.url.endswith("/connect/done") for page in pages)
    found = [mailbox for mailbox in product.app.mailboxes.list() if mailbox.address == address]
    assert len(found) == 1
    assert differences(product.wait_for_rows(found[0].id, 2), product.truth(address)) == []
    assert product.mailbox(found[0].id).messages == 2


def test_reconnecting_keeps_what_was_read(product):
    address = "bob@status.example"
    mailbox = connected(product, address)
    before, rows = product.mailbox(mailbox), product.rows(mailbox)
    assert product.connect(address) == mailbox
    product.deliver(address, SAMPLES[2])
    again = product.wait_for_rows(mailbox, 3, poll=True)
    after = product.mailbox(mailbox)
    assert [row for row in again if row in rows] == rows
    assert (after.connected_at, after.folders[0].generation) == (before.connected_at, 1)
    assert after.granted_at > before.granted_at
    assert after.folders[0].enumerated == before.folders[0].enumerated
    assert differences(again, product.truth(address)) == []


def test_a_revoked_grant_and_its_cure(product):
    address = "cleo@status.example"
    mailbox = connected(product, address)
    product.control.call("POST", "/revoke", {"address": address})
    product.until(
        lambda: product.mailbox(mailbox).state is MailboxState.NEEDS_RECONNECT, "the grant is lost", poll=True
    )
    shown = show(product, address)
    assert (shown["state"], shown["nextPollAt"]) == ("needs_reconnect", None)
    assert shown["lastError"]["reason"]
    assert "needs_reconnect" in operator(product.state, "mailbox", "show", address)
    assert len(product.rows(mailbox)) == 2
    product.deliver(address, SAMPLES[2])
    assert product.connect(address) == mailbox
    rows = product.wait_for_rows(mailbox, 3)
    assert differences(rows, product.truth(address)) == []
    shown = show(product, address)
    assert (shown["state"], shown["lastError"]) == ("active", None)


def test_a_throttled_mailbox_waits_as_long_as_it_is_told(product):
    address = "dora@status.example"
    product.deliver(address, *SAMPLES[:2])
    product.fault("graph-throttle", 1, seconds=6, address=address, operation="delta")
    mailbox = product.connect(address)
    product.until(lambda: product.mailbox(mailbox).not_before, "the mailbox is throttled")
    shown = show(product, address)
    assert (shown["state"], shown["lastError"]["reason"]) == ("active", "graph_throttled")
    assert shown["notBefore"] > shown["lastError"]["at"]
    rows = product.wait_for_rows(mailbox, 2)
    assert differences(rows, product.truth(address)) == []
    assert show(product, address)["lastError"] is None


def test_short_outages_are_sat_out(product):
    address = "emil@status.example"
    for name in ("graph-throttle", "graph-outage"):
        product.fault(name, 1, seconds=1, address=address, operation="delta")
    product.fault("graph-cut", 1, address=address, operation="folder")
    mailbox = connected(product, address)
    assert product.mailbox(mailbox).failures == 0


def test_a_credential_of_ours_that_fails_is_loud_and_costs_no_mailbox(product, home):
    address = "fay@status.example"
    mailbox = connected(product, address)
    before = product.mailbox(mailbox)
    # Without its grant the token in memory is of no use, so the app has to prove itself for another.
    product.control.call("POST", "/revoke", {"address": address})
    product.fault("invalid-client")
    product.until(lambda: product.mailbox(mailbox).problem, "the error is recorded", poll=True)
    after = product.mailbox(mailbox)
    assert (after.state, after.folders, after.granted_at) == (MailboxState.ACTIVE, before.folders, before.granted_at)
    assert after.next_poll_at
    assert after.problem == "invalid_client"
    loud = [
        line for line in (home / "logs/host.log").read_text().splitlines() if " ERROR mailsync misconfigured" in line
    ]
    assert any(mailbox in line and "reason=invalid_client" in line for line in loud)


def test_a_poisoned_hint_is_recorded(product):
    mailbox = connected(product, "gus@status.example")
    hint = Hint(mailbox, datetime.now(UTC))
    poison(product, hint)
    product.until(lambda: product.mailbox(mailbox).problem == "poisoned", "the poison is recorded")
    assert product.mailbox(mailbox).state is MailboxState.ACTIVE
    assert product.mailbox(mailbox).next_poll_at


def poison(product, hint):
    """Puts a hint on the poison queue, as the host does with one that failed five times."""
    from azure.storage.queue import QueueClient, TextBase64EncodePolicy

    from mailsync.schedule.hints import encode_hint

    with QueueClient.from_connection_string(
        product.connection_string,
        "mailbox-sync-poison",
        message_encode_policy=TextBase64EncodePolicy(),
        connection_verify=product.state.ca_file,
    ) as queue:
        queue.send_message(encode_hint(hint))
