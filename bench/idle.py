"""Row `idle`: the remote calls of a poll that finds nothing, counted in the program on the whole sandbox."""

from bench.connected import connected
from bench.measure import Bound, Figure, Say
from bench.services import Services, measured

MOST_CALLS = 4


def idle(services: Services, _number: int, say: Say) -> list[Figure]:
    """Calls of a poll by a warm instance: all of them, Graph's, Key Vault's and Entra's."""
    with connected(services) as (state, identity):
        calls = measured("bench.calls_child", "idle", identity, environment=state.environment)
    say(f"  first poll of an instance: {calls['cold']}; the next: {calls['warm']}")
    warm: dict[str, int] = calls["warm"]
    elsewhere = warm.get("keyVault", 0) + warm.get("entra", 0)
    return [
        Figure("idle poll: remote calls", (float(sum(warm.values())),), Bound(most=MOST_CALLS), calls),
        Figure("idle poll: calls to Graph", (float(warm.get("graph", 0)),), Bound(least=1, most=1)),
        Figure("idle poll: calls to Key Vault and Entra", (float(elsewhere),), Bound(most=0)),
    ]
