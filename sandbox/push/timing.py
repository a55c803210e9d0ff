"""The times by which Graph delivers change notifications, and how a test shortens them.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

from dataclasses import dataclass

HANDSHAKE_SECONDS = 10
"""Within which a URL answers when a subscription is made."""
FIRST_SECONDS = 3
"""Within which a notification is acknowledged."""
RETRY_SECONDS = 10
"""The same, when it is sent again."""
FIRST_WAIT = 10
"""Before the second attempt; doubled from each to the next. Only that it grows exponentially is documented."""
GIVE_UP = 4 * 3600
"""How long a notification is tried."""
WINDOW = 600
"""Over which slow answers are counted, and for which their penalty lasts."""
SLOW_SHARE = 0.10
"""More answers than this took over 3 seconds: what is new waits for the length of the window."""
DROP_SHARE = 0.15
"""More answers than this took over 10 seconds: what is new is lost for the length of the window."""


@dataclass(slots=True)
class Timing:
    """`deadlines` and `waits` multiply the times above, `waits` all that are not deadlines.

    `collect`: seconds for which notifications of one URL are gathered into one POST. `minimum_responses`: below so
    many in the window no share is reckoned, or else a single slow answer would be 100 %; not documented.
    """

    deadlines: float = 1.0
    waits: float = 1.0
    collect: float = 0.05
    minimum_responses: int = 10
