"""Queue `mailbox-sync` and its poison queue."""

import azure.functions as func

from mailsync.bootstrap import app

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # azure.functions leaves it untyped


@blueprint.queue_trigger(arg_name="message", queue_name="mailbox-sync", connection="MAIL_STORAGE")
def sync_mailbox(message: func.QueueMessage) -> None:
    """Brings one mailbox up to date, or wakes a share of those that are due."""
    from mailsync.schedule.hints import decode_hint

    app().worker.run(decode_hint(message.get_body()))


@blueprint.queue_trigger(arg_name="message", queue_name="mailbox-sync-poison", connection="MAIL_STORAGE")
def record_poisoned_hint(message: func.QueueMessage) -> None:
    """Records on its mailbox a hint that failed too often."""
    from mailsync.schedule.hints import decode_poison

    app().worker.poisoned(decode_poison(message.get_body()))
