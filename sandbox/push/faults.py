"""The faults that can be ordered from subscriptions and notifications. `address` restricts one to a mailbox."""

from sandbox.control.faults import register
from sandbox.control.parameters import number, text, whole

DROP = register("notification-drop", "Notifications are lost", address=None)
DELAY = register("notification-delay", "Notifications set out `seconds` late", seconds=number(10.0), address=None)
REPEAT = register("notification-repeat", "Notifications are sent `times` more", times=whole(1, most=100), address=None)
REORDER = register(
    "notification-reorder",
    "Each notification waits any time up to `seconds`, so that others pass it",
    seconds=number(2.0),
    address=None,
)
FORGE = register(
    "notification-forge",
    "Notifications come with a forged copy, of another `clientState` (null: of none), in the same POST",
    clientState=text("forged", nullable=True),
    address=None,
)
BATCH = register(
    "notification-batch",
    "Notifications of one URL are gathered for `seconds` into one POST",
    seconds=number(2.0),
    address=None,
)
CAP = register(
    "subscription-cap", "Subscriptions may live `minutes` at most, else 400", minutes=whole(4230, least=1), address=None
)
REFUSED = register("subscription-refused", "Graph answers 403 to the creation of a subscription", address=None)
WITHHOLD = register("reauthorization-withhold", "reauthorizationRequired is due and is not sent", address=None)
REMOVE = register(
    "subscription-remove",
    "Removes the subscriptions of `address`, or all, at once; subscriptionRemoved is sent where `lifecycle` is true",
    lifecycle=False,
    address=None,
)
REAUTHORIZE = register(
    "reauthorize", "Sends reauthorizationRequired for the subscriptions of `address`, or all, at once", address=None
)
MISSED = register("missed", "Sends missed for the subscriptions of `address`, or all, at once", address=None)
