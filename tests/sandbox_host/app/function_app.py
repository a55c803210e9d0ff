"""A small function app that shows on the outside what the host handed to it."""

import contextvars
import json
import logging
import os
import threading
import time
from pathlib import Path

import azure.functions as func

log = logging.getLogger("talk")
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def record(**fields):
    """One line, in one write, to the pipe on which the test listens."""
    with Path(os.environ["RECORD_PIPE"]).open("ab", buffering=0) as pipe:
        pipe.write(json.dumps(fields).encode() + b"\n")


@app.route("echo/{name}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    content = {
        "method": req.method,
        "url": req.url,
        "name": req.route_params["name"],
        "params": dict(req.params),
        "header": req.headers.get("X-Test"),
        "body": req.get_body().decode(),
        "form": dict(req.form or {}),
    }
    return func.HttpResponse(json.dumps(content), mimetype="application/json", headers={"X-Answer": "yes"})


@app.route("cookies", methods=["GET"])
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    answer = func.HttpResponse("", status_code=303, headers={"Location": "/elsewhere"})
    answer.headers.add("Set-Cookie", "__Host-a=b-_c; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=600")
    answer.headers.add("Set-Cookie", "second=2; Path=/")
    return answer


@app.route("guarded", auth_level=func.AuthLevel.FUNCTION, methods=["GET"])
def guarded(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route("broken")
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("broken on purpose")


@app.route("slow", methods=["GET", "HEAD"])
async def slow(req: func.HttpRequest) -> str:
    return "async works"


@app.route("talk", methods=["GET"])
def talk(req: func.HttpRequest) -> str:
    """Says what is kept, and what the real host would drop."""
    log.info("in the function ")
    log.debug("for debugging")
    context = contextvars.copy_context()
    for say in (
        lambda: context.run(log.info, "in a thread with its context"),
        lambda: log.info("in a bare thread"),
    ):
        thread = threading.Thread(target=say)
        thread.start()
        thread.join()
    LATER.append(context)
    return "said"


LATER: list[contextvars.Context] = []


@app.route("talk-async", methods=["GET"])
async def talk_async(req: func.HttpRequest) -> str:
    log.info("in a coroutine")
    LATER.pop().run(log.info, "after the end")
    return "said"


@app.timer_trigger("timer", "0 0 0 1 1 *", use_monitor=False)
def yearly(timer: func.TimerRequest) -> None:
    record(timer=timer.past_due)


@app.queue_trigger("msg", "work", "TEST_STORAGE")
def work(msg: func.QueueMessage) -> None:
    body = msg.get_body().decode()
    record(body=body, attempt=msg.dequeue_count, id=msg.id, inserted=msg.insertion_time.isoformat())
    if body.startswith("fail"):
        raise ValueError("failed on purpose")
    if body.startswith("sleep"):
        time.sleep(float(body.split()[1]))


@app.queue_trigger("msg", "work-poison", "TEST_STORAGE")
def poisoned(msg: func.QueueMessage) -> None:
    record(poisoned=msg.get_body().decode())
