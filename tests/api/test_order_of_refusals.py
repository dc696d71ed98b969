"""Of several faults the first in the order is told: 401, 400 for the body, 404 for the model, 403, 400 for the context."""

import os
import re
import subprocess
import sys

import pytest
import requests

from tests.live import LiveServer

TOO_LONG = "word " * 6_000


@pytest.fixture(scope="module")
def davinci_key(live_server: LiveServer) -> str:
    """A key that may use text-davinci-003 alone, made with the command line while the server runs."""
    environment = {"PATH": os.environ["PATH"], "PARLEY_DATA": str(live_server.data)}
    command = [sys.executable, "-m", "parley.cli.main", "keys", "create", "only-davinci", "--model", "text-davinci-003"]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    found = re.search(r"sk-[0-9A-Za-z]{36}", output)
    assert found, output
    return found.group()


def ask(server: LiveServer, key: str, **changes: object) -> tuple[int, dict[str, object]]:
    body = {"model": "text-davinci-002", "prompt": "x", "max_tokens": 1} | changes
    reply = requests.post(
        f"{server.base_url}/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=30
    )
    return reply.status_code, reply.json().get("error", {})


def test_a_wrong_key_comes_before_a_wrong_body(live_server):
    assert ask(live_server, "sk-wrong-key-0123456789abcdef", max_tokens="many")[0] == 401


def test_a_wrong_body_comes_before_an_unknown_model(live_server, davinci_key):
    status, error = ask(live_server, davinci_key, model="nothing", max_tokens="many")
    assert (status, error["code"], error["param"]) == (400, "invalid_type", "max_tokens")


def test_an_unknown_model_comes_before_a_forbidden_one(live_server, davinci_key):
    status, error = ask(live_server, davinci_key, model="nothing", prompt=TOO_LONG)
    assert (status, error["code"]) == (404, "model_not_found")


def test_a_forbidden_model_comes_before_the_context(live_server, davinci_key):
    status, error = ask(live_server, davinci_key, prompt=TOO_LONG)
    assert (status, error["code"]) == (403, "model_not_found")


def test_an_allowed_model_comes_to_the_context(live_server, davinci_key):
    status, error = ask(live_server, davinci_key, model="text-davinci-003", prompt=TOO_LONG)
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert "maximum context length is 4097 tokens" in str(error["message"])


def test_what_fits_is_answered(live_server, davinci_key):
    assert ask(live_server, davinci_key, model="text-davinci-003")[0] == 200
