"""What Graph posts to the webhook, as the program sees it."""

from typing import NamedTuple


class Notification(NamedTuple):
    """A change notification or a lifecycle notification, believed by nobody yet. What is not said is "".

    `tenants`: the ids of the tenant, under whichever names Graph gave it. `user_id`: whose mailbox the resource is in.
    `created`: the id of a new message. `event`: a lifecycle event, lower case. Ids are lower case but for messages'.
    """

    subscription_id: str
    client_state: str = ""
    tenants: tuple[str, ...] = ()
    user_id: str = ""
    created: str = ""
    event: str = ""
