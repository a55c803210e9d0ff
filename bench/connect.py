"""Row `connect`: the remote calls of a sign-in and the first reading of a mailbox, counted on the whole sandbox."""

from bench.connected import connected
from bench.measure import Bound, Figure, Say
from bench.services import Services, measured
from sandbox.client import Control, mail_files
from sandbox.commands import deliver_files
from sandbox.run import SAMPLES

MOST_CALLS = 20
_ADDRESSES = ("first@contoso.com", "second@contoso.com")


def connect(services: Services, _number: int, say: Say) -> list[Figure]:
    """The calls of a warm instance, from the consent button until all mail of a small inbox is read."""
    with connected(services) as (state, _):
        control = Control(state)
        for address in _ADDRESSES:
            control.call("POST", "/users", {"address": address})
            deliver_files(control, address, mail_files([SAMPLES]))
        cold, warm = measured("bench.connect_child", *_ADDRESSES, environment=state.environment)
    say(f"  first mailbox of an instance: {cold['calls']}; the next: {warm['calls']}")
    name = "connect and first reading: remote calls"
    return [Figure(name, (float(sum(warm["calls"].values())),), Bound(most=MOST_CALLS), warm)]
