"""Registers the functions; each folder's blueprint says what they are."""

import azure.functions as func

from auth_callback.blueprint import blueprint as auth_callback
from health.blueprint import blueprint as health
from management.blueprint import blueprint as management
from poll_timer.blueprint import blueprint as poll_timer
from sync_worker.blueprint import blueprint as sync_worker
from webhook_receiver.blueprint import blueprint as webhook_receiver

app = func.FunctionApp()
for blueprint in (auth_callback, health, management, poll_timer, sync_worker, webhook_receiver):
    app.register_functions(blueprint)
