"""A18: what an error costs, as an exact table: nothing where nothing was delivered, and else the tokens that were."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from tests.builders_faults import FaultyServer, faulty_server
from tests.faults.crowd import MARKER
from tests.faults.fake_engine.knobs import Knobs
from tests.faults.money_trial import INPUT_NANO, OUTPUT_NANO, Trial, prepare
from tests.faults.wire import data_lines, eventually, leave, read_all, read_until, records, send

MODELS = {
    "alpha": Knobs(tokens_per_second=50),
    "poisoned": Knobs(dies_of_token=MARKER),
    "frail": Knobs(dies_after_tokens=3),
    "absent": Knobs(exit_code=1),
}
PROMPT = [10, 11, 12]
RICH, SHORTER = 0, 2


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FaultyServer, Trial]]:
    folder = tmp_path_factory.mktemp("shop")
    trial = prepare(folder, seed=0, models=list(MODELS))
    with faulty_server(folder, MODELS, settings=trial.settings) as server:
        yield server, trial


def body_of(model: str, **changes: Any) -> dict[str, Any]:
    return {"model": model, "prompt": PROMPT, "max_tokens": 5} | changes


NEVER_RAN = {
    "an unknown key": (401, body_of("alpha"), None),
    "a field of the wrong type": (400, body_of("alpha", max_tokens="5"), RICH),
    "an unknown field": (400, body_of("alpha", colour="red"), RICH),
    "an empty batch of prompts": (400, body_of("alpha", prompt=[]), RICH),
    "more than the context": (400, body_of("alpha", max_tokens=5_000), RICH),
    "a token that is none": (400, body_of("alpha", prompt=[10**9]), RICH),
    "an unknown model": (404, body_of("omega"), RICH),
    "no money": (429, body_of("alpha", max_tokens=4_000), SHORTER),
    "an engine that cannot start": (503, body_of("absent"), RICH),
    "an engine that dies of it": (500, body_of("poisoned", prompt=[10, MARKER]), RICH),
}


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("what", NEVER_RAN)
def test_a18_an_error_before_the_first_token_costs_nothing(shop, what, is_stream):
    server, trial = shop
    status, body, payer = NEVER_RAN[what]
    live = replace(server.live, key="sk-nobody" if payer is None else trial.payers[payer].secret)
    user = f"{what}-{is_stream}"
    reply = read_all(send(live, "/v1/completions", {**body, "stream": is_stream, "user": user}))
    assert int(reply.split()[1]) == status, reply
    assert charge_of(server, user) in {None, 0}


def charge_of(server: FaultyServer, user: str) -> int | None:
    found = [row["charge_nano"] for row in records(server.live) if row["end_user"] == user]
    assert len(found) <= 1
    return found[0] if found else None


def words_of(reply: bytes) -> int:
    """The tokens that a stream delivered."""
    frames = [json.loads(line) for line in data_lines(reply) if line != b"[DONE]"]
    return sum(len(choice["text"].split()) for frame in frames for choice in frame.get("choices", ()))


@pytest.mark.parametrize("is_stream", [True, False])
def test_a18_an_engine_that_dies_later_costs_what_was_delivered(shop, is_stream):
    server, trial = shop
    live, user = replace(server.live, key=trial.payers[RICH].secret), f"frail-{is_stream}"
    # Not the same prompt twice: what an engine died of is refused.
    body = body_of("frail", prompt=[10, 11, 12 + is_stream], max_tokens=50, stream=is_stream, user=user)
    reply = read_all(send(live, "/v1/completions", body))
    assert b'"server_error"' in reply
    charge = charge_of(server, user)
    if not is_stream:
        assert charge == 0
        return
    num_delivered = words_of(reply)
    assert num_delivered > 0
    assert charge == len(PROMPT) * INPUT_NANO + num_delivered * OUTPUT_NANO


@pytest.mark.parametrize("is_stream", [True, False])
def test_a18_a_client_that_leaves_pays_for_what_was_generated(shop, is_stream):
    server, trial = shop
    live, user = replace(server.live, key=trial.payers[RICH].secret), f"left-{is_stream}"
    num_before = server.truth("alpha").num_tokens
    connection = send(live, "/v1/completions", body_of("alpha", max_tokens=1_000, stream=is_stream, user=user))
    if is_stream:
        read_until(connection, b"data: ")
    else:
        time.sleep(0.3)
    leave(connection, how="RST")
    charge = eventually(lambda: charge_of(server, user), lambda found: found is not None)
    num_generated = server.truth("alpha").num_tokens - num_before
    assert num_generated > 0
    assert charge == len(PROMPT) * INPUT_NANO + num_generated * OUTPUT_NANO


def test_a18_what_a_stopping_server_cuts_costs_what_was_delivered(tmp_path):
    trial = prepare(tmp_path, seed=0)
    settings = {**trial.settings, "PARLEY_DRAIN_SECONDS": "0"}
    with faulty_server(tmp_path, {"alpha": Knobs(tokens_per_second=50)}, settings=settings) as server:
        live = replace(server.live, key=trial.payers[RICH].secret)
        cut: dict[bool, socket.socket] = {
            is_stream: send(
                live, "/v1/completions", body_of("alpha", max_tokens=1_000, stream=is_stream, user=str(is_stream))
            )
            for is_stream in (False, True)
        }
        received = read_until(cut[True], b"data: ")
        server.live.process.send_signal(signal.SIGTERM)
        received += read_all(cut[True])
        with closing(cut[False]) as plain:
            assert b" 503 " in read_until(plain, b"\r\n\r\n")
        server.live.process.wait(20)
        assert charge_of(server, "False") == 0
        charged_tokens = (charge_of(server, "True") - len(PROMPT) * INPUT_NANO) / OUTPUT_NANO
        # One may be on its way to the socket when the stream is cut.
        assert charged_tokens - words_of(received) in {0, 1}
