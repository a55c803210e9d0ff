"""An administrator's approval for a whole organization: the request, and what its answer is worth.

Microsoft's answer comes by GET through the administrator's browser, and nothing of it is signed, so anybody can make
one up. What ties it to a request is `state`: a signature, by a secret that this browser alone holds, of what was asked
and until when an answer is good. An answer with such a state came back to the browser that asked; any other proves
nothing. Neither decides anything here: Entra alone knows what was approved, and says so at the owner's sign-in.
https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
"""

import base64
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta

from mailsync.clock import Clock
from mailsync.connect.connector import Started
from mailsync.connect.seal import SECRET_BYTES, is_secret, secret_text
from mailsync.errors import Rejected
from mailsync.mailboxes.ids import is_guid
from mailsync.reasons import Reason
from mailsync.settings import Settings
from mailsync.tokens.ports import Directory
from mailsync.tokens.records import ALL_SCOPES

LIFETIME = timedelta(hours=1)
"""How long an answer is good: administrators read, and have more to prove when they sign in."""

_STATE = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Answer:
    """Microsoft's answer. `checked`: it belongs to a request of this browser; else nothing of it is to be believed.

    `tenant`: the organization's id, "" where the answer is not checked or names none.
    """

    approved: bool
    checked: bool
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Approvals:
    """The use case."""

    settings: Settings
    directory: Directory
    clock: Clock
    _: KW_ONLY
    random: Callable[[int], bytes] = secrets.token_bytes

    def start(self, cookie: str | None) -> Started:
        """Begins a request. `cookie`: the browser's, if any. It stays good, for requests in other tabs."""
        secret = cookie if cookie and is_secret(cookie) else secret_text(self.random(SECRET_BYTES))
        until = int((self.clock() + LIFETIME).timestamp())
        state = f"{until}.{self._signature(secret, until)}"
        return Started(self.directory.admin_consent_url(self.settings.redirect_uri, state), secret)

    def answered(self, answer: Mapping[str, str], cookie: str | None) -> Answer:
        """What Microsoft's answer (the query of its GET) says. Raises Rejected `bad_answer` where it says nothing."""
        approved = "error" not in answer
        if approved and answer.get("admin_consent", "").lower() != "true":
            raise Rejected(Reason.BAD_ANSWER, "Only an administrator's approval comes by GET.")
        if not self._asked(answer.get("state", ""), cookie):
            return Answer(approved, checked=False)
        tenant = answer.get("tenant", "").lower()
        return Answer(approved, checked=True, tenant=tenant if is_guid(tenant) else "")

    def _asked(self, state: str, cookie: str | None) -> bool:
        """Whether `state` is of a request of this browser, made within LIFETIME."""
        found = _STATE.fullmatch(state)
        if not found or not cookie or not is_secret(cookie):
            return False
        until = int(found[1])
        genuine = hmac.compare_digest(found[2].encode(), self._signature(cookie, until).encode())
        return genuine and self.clock().timestamp() < until

    def _signature(self, secret: str, until: int) -> str:
        asked = ["mailsync approval 1", str(until), self.settings.client_id, self.settings.connect_url, *ALL_SCOPES]
        digest = hmac.digest(secret.encode(), "\n".join(asked).encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
