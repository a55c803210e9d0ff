"""Timers: a hint for each mailbox that is due, the sweeping of expired sign-ins, new signing keys."""

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


@blueprint.timer_trigger(arg_name="timer", schedule="0 41 3 * * *", run_on_startup=False)
def rotate_signing_key_when_due(timer: func.TimerRequest) -> None:
    """Every day: makes a new signing key where the newest is a month old."""
    app().key_rotation.rotate_when_due()
