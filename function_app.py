"""Registers the functions; each folder's blueprint says what they are."""

import azure.functions as func

from auth_callback.blueprint import blueprint as auth_callback
from poll_timer.blueprint import blueprint as poll_timer
from sync_worker.blueprint import blueprint as sync_worker

app = func.FunctionApp()
for blueprint in (auth_callback, poll_timer, sync_worker):
    app.register_functions(blueprint)
