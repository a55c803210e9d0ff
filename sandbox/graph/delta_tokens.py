"""Opaque state tokens of delta queries, bound to a mailbox and a folder.

The server remembers what they stand for, and no more of them than its cache holds: "the upper limit isn't
fixed" (https://learn.microsoft.com/graph/delta-query-overview#token-duration).
"""

import base64
import binascii
import hashlib
import hmac
import secrets

from sandbox.graph.protocol import GraphError

_KEPT = 2000
"""How many tokens a mailbox has at the most; older ones are forgotten."""


class DeltaTokens[State]:
    """Tokens and their states."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, State]] = {}

    def issue(self, state: State, user_id: str, folder_id: str) -> str:
        """A new token for a state."""
        serial = secrets.token_bytes(24)
        token = base64.urlsafe_b64encode(serial + _seal(serial, user_id, folder_id)).decode()
        states = self._states.setdefault(user_id, {})
        states[token] = state
        if len(states) > _KEPT:
            del states[next(iter(states))]
        return token

    def find(self, token: str, user_id: str, folder_id: str) -> State | None:
        """The state of a token; None where it is forgotten. Raises GraphError for one of another place."""
        try:
            data = base64.urlsafe_b64decode(token)
        except (ValueError, binascii.Error):
            data = b""
        if not hmac.compare_digest(data[24:], _seal(data[:24], user_id, folder_id)):
            raise GraphError(400, "ErrorInvalidSyncStateData", "The sync state data is invalid.")
        return self._states.get(user_id, {}).get(token)


def _seal(serial: bytes, user_id: str, folder_id: str) -> bytes:
    """Ties a token to its place, in a way that outlives the process: a token from before a restart is expired."""
    return hashlib.shake_128(serial + f"{user_id}/{folder_id}".encode()).digest(24)
