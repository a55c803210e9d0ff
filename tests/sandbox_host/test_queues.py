"""The queue listener of the real host process, on Azurite."""

import json
import signal


def test_a_message_is_handed_over_and_deleted(host, work):
    host.start()
    sent = work.send_message("hello")
    record = host.record()
    assert record["body"] == "hello"
    assert record["attempt"] == 1
    assert record["id"] == sent.id
    assert record["inserted"].startswith(sent.inserted_on.isoformat()[:19])
    assert host.stop() == 0
    assert work.get_queue_properties().approximate_message_count == 0
    assert "function=work" in host.output
    assert "outcome=succeeded" in host.output


def test_a_message_that_fails_ends_in_the_poison_queue(host, work):
    host.start()
    work.send_message("fail always")
    assert [host.record()["attempt"] for _ in range(3)] == [1, 2, 3]
    assert host.record() == {"poisoned": "fail always"}
    assert host.stop() == 0
    assert work.get_queue_properties().approximate_message_count == 0


def test_a_message_that_is_not_base64_goes_to_the_poison_queue_at_once(host, work, queues):
    host.start()
    queues.get_queue_client("work", message_encode_policy=None).send_message("no base64!")
    work.send_message("after")
    assert host.record()["body"] == "after"
    assert host.stop() == 0
    assert work.get_queue_properties().approximate_message_count == 0
    assert queues.get_queue_client("work-poison").get_queue_properties().approximate_message_count == 1


def test_a_message_stays_hidden_while_it_is_worked_on(host, work):
    host.start(SANDBOX_QUEUE_VISIBILITY_SECONDS="1")
    work.send_message("sleep 2.5")
    assert host.record()["attempt"] == 1
    assert host.stop() == 0  # waits for the invocation
    assert work.get_queue_properties().approximate_message_count == 0
    assert "outcome=succeeded" in host.output


def test_a_killed_host_loses_no_message(host, work):
    host.start(SANDBOX_QUEUE_VISIBILITY_SECONDS="1")
    work.send_message("sleep 5")
    assert host.record()["attempt"] == 1
    assert host.stop(signal.SIGKILL) == -signal.SIGKILL
    host.start(SANDBOX_QUEUE_VISIBILITY_SECONDS="1")
    assert host.record()["attempt"] == 2


def test_a_function_that_runs_over_its_time_costs_the_worker(host, work):
    path = host.app / "host.json"
    document = {**json.loads(path.read_text()), "functionTimeout": "00:00:01"}
    path.write_text(json.dumps(document))
    host.start(SANDBOX_QUEUE_VISIBILITY_SECONDS="1")
    work.send_message("sleep 2")
    assert [host.record()["attempt"] for _ in range(2)] == [1, 2]
    host.stop(signal.SIGKILL)
    assert "function=work ran longer than functionTimeout" in host.output
    assert host.output.count("host listening") == 2
