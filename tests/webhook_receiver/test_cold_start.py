"""What a handshake costs an instance that has just started: the whole app inside Microsoft's own runtime."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.imports import HEAVY

ROOT = Path(__file__).parents[2]

_HANDSHAKE = """
import asyncio, json, pathlib, sys
import httpx
from sandbox.host.config import load_options
from sandbox.host.http import create_application
from sandbox.host.keys import Keys
from sandbox.host.runtime import Runtime

ROOT = pathlib.Path.cwd()
HEAVY = set(sys.argv[1:])

async def main():
    at_first = HEAVY & sys.modules.keys()
    runtime = await Runtime.load(ROOT)
    application = create_application(runtime, Keys("", ""), load_options(ROOT), None)
    answers = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="https://connect.example") as client:
        for path in ("/graph/notifications", "/graph/lifecycle"):
            post = await client.post(path + "?validationToken=a%2Bb%2520c+d%3Ce%3E", content=b"")
            get = await client.get(path + "?validationToken=a")
            answers[path] = [post.status_code, post.text, dict(post.headers), get.status_code]
        health = await client.get("/health")
        answers["/health"] = [health.status_code, health.json()]
    print(json.dumps({"heavy": sorted(at_first | HEAVY & sys.modules.keys()), "answers": answers}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def started():
    """The answers of a process of its own, which has no settings at all."""
    kept = ("PATH", "HOME", "PYTHONDONTWRITEBYTECODE")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    process = subprocess.run(
        [sys.executable, "-c", _HANDSHAKE, *HEAVY],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.parametrize("path", ["/graph/notifications", "/graph/lifecycle"])
def test_the_token_comes_back_decoded_once(started, path):
    status, text, headers, of_get = started["answers"][path]
    assert (status, text) == (200, "a+b%20c d<e>")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert of_get == 404


def test_health_needs_no_key_and_tells_no_secret(started):
    assert started["answers"]["/health"] == [503, {"status": "misconfigured"}]


def test_nothing_heavy_is_imported(started):
    assert started["heavy"] == []
