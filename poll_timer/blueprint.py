"""Timers: a hint for each mailbox that is due, and the sweeping of expired sign-ins."""

import azure.functions as func

from mailsync.bootstrap import app

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # azure.functions leaves it untyped


@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *", run_on_startup=False)
def poll_due_mailboxes(timer: func.TimerRequest) -> None:
    """Every minute: queues the mailboxes whose `next_poll_at` has passed."""
    app().poller.tick()


@blueprint.timer_trigger(arg_name="timer", schedule="0 17 * * * *", run_on_startup=False)
def sweep_sign_ins(timer: func.TimerRequest) -> None:
    """Every hour: deletes sign-ins that nobody finished."""
    app().poller.sweep()
