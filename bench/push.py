"""Row `push`: the remote calls from Graph's POST to the row of the one new message it tells of."""

from bench.connected import connected
from bench.measure import Bound, Figure, Say
from bench.services import Services, measured
from sandbox.client import Control
from sandbox.run import ADDRESS

MOST_CALLS = 8
_MAIL = b"From: Ann <ann@example.org>\r\nTo: hello@contoso.com\r\nSubject: Hello\r\n\r\nHi there\r\n"


def push(services: Services, _number: int, say: Say) -> list[Figure]:
    """The calls of a warm instance. The POST that warms it meets a Graph whose delta lags, and so brings nothing."""
    with connected(services) as (state, identity):
        control = Control(state)
        control.call("POST", "/faults", {"name": "delta-lag", "count": 1})
        [message_id] = control.send("POST", f"/mailboxes/{ADDRESS}/deliver", _MAIL, name="hello.eml")["ids"]
        calls = measured("bench.calls_child", "push", identity, message_id, message_id, environment=state.environment)
    say(f"  first POST to an instance: {calls['cold']}; the next: {calls['warm']}")
    warm: dict[str, int] = calls["warm"]
    name = "one message by push, POST to row: remote calls"
    return [Figure(name, (float(sum(warm.values())),), Bound(most=MOST_CALLS), calls)]
