"""A hint: what the queue carries."""

import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

MOST_CREATED = 50
"""Ids of new messages that one hint names; delta shows the others without being told."""

MOST_SUBSCRIPTIONS = 20

MESSAGE_ID = re.compile(r"\A[!#-\[\]-~]{1,512}\Z")

SUBSCRIPTION_ID = re.compile(r"\A[!#-\[\]-~]{1,64}\Z")
"""As MESSAGE_ID, visible ASCII of which JSON escapes none. Within these limits a hint is below the 48 KiB of a queue
message, and the ids that are looked for below the 64 KiB of a property."""

type _Ids[Id] = Annotated[tuple[Id, ...], Meta(max_length=MOST_SUBSCRIPTIONS)]

type _MessageId = Annotated[str, Meta(pattern=MESSAGE_ID.pattern)]

type _SubscriptionId = Annotated[str, Meta(pattern=SUBSCRIPTION_ID.pattern)]

type _Key = Annotated[str, Meta(pattern=r"\A[0-9A-Za-z.-]{0,128}\Z")]

type _Nonce = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,22}\Z")]


class Hint(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A message on the queue: this mailbox may have news, seen at `at`. Holds ids and times, never content.

    `continues`: a run that stopped at its budget goes on, whatever has been completed since.
    `pushed`: Graph itself told of it. `created`: ids of new messages that Graph named, which delta may not show
    yet. `looks`: the number of this look for such messages, whose ids the mailbox's record keeps; 0 for no look.
    `renew`, `removed`: subscriptions that Graph wants reauthorized, or has removed.
    `nonces`: those of the subscriptions that the notifications were of; older versions name none.
    `share_from`: the due key from which on a share wakes what is due of this mailbox's shard at `at`; empty for any
    other hint. The key is the mailbox's own, so an older version, which ignores the field, syncs a mailbox that
    is due.

    The fields are what the queue carries; the properties say what kind of hint that makes.
    """

    mailbox_id: str
    at: datetime
    continues: bool = False
    pushed: bool = False
    created: Annotated[tuple[_MessageId, ...], Meta(max_length=MOST_CREATED)] = ()
    looks: Annotated[int, Meta(ge=0, le=10)] = 0
    renew: _Ids[_SubscriptionId] = ()
    removed: _Ids[_SubscriptionId] = ()
    nonces: _Ids[_Nonce] = ()
    share_from: _Key = ""

    @property
    def is_share(self) -> bool:
        """It is of the schedule, and not of its mailbox alone."""
        return bool(self.share_from)

    @property
    def is_sequel(self) -> bool:
        """The program sent it to itself: a run goes on, or looks again."""
        return self.continues or self.looks > 0

    @property
    def is_next_look(self) -> bool:
        """The mailbox's record says what is looked for. A look with ids of its own is of an older version."""
        return self.looks > 0 and not self.created

    @property
    def is_of_subscriptions(self) -> bool:
        """A lifecycle notification came, which Graph sends once: a subscription is to be renewed, or was removed."""
        return bool(self.renew or self.removed)

    @property
    def is_notified(self) -> bool:
        """Notifications made it, of mail or of the lifecycle. Who has seen one can post it again, so it is paced."""
        return (self.pushed or self.is_of_subscriptions) and not self.is_sequel

    @property
    def is_of_mail(self) -> bool:
        """Graph has just told of mail, and not of the lifecycle alone."""
        return self.pushed and not self.is_sequel and bool(self.created or not self.is_of_subscriptions)

    @property
    def is_plain(self) -> bool:
        """It says only that there may be news, so that any run which begins later does all that it asks for."""
        return not (self.continues or self.created or self.is_of_subscriptions)
