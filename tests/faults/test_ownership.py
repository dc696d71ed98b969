"""Whatever happens to a request on the real engine: its work stops, its slot is free, and one usage record says what it used."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.wire import data_lines, eventually, leave, post, read_all, read_until, records, send
from tests.live import LiveServer, engine_pid, running_server

# Forced tokens keep the model talking for as long as it may.
TOKEN = 300
LONG: dict[str, Any] = {"model": "text-davinci-003", "prompt": "Once", "max_tokens": 4000, "logit_bias": {TOKEN: 100}}
SHORT: dict[str, Any] = {"model": "text-davinci-003", "prompt": "Say this is a test", "max_tokens": 2}


@pytest.fixture(scope="module")
def one_slot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server on which a second request is answered only when the first one's slot is free."""
    with running_server(tmp_path_factory.mktemp("one-slot"), {"PARLEY_NUM_SLOTS": "1"}) as server:
        yield server


def next_record(server: LiveServer, num_before: int) -> dict[str, Any]:
    return eventually(lambda: records(server), lambda rows: len(rows) > num_before)[-1]


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_client_that_leaves_before_the_first_byte_is_aborted(one_slot, how, is_stream):
    num_before = len(records(one_slot))
    connection = send(one_slot, "/v1/completions", {**LONG, "stream": is_stream})
    # The client's patience: it leaves while its request runs, not before it was read.
    time.sleep(0.15)
    leave(connection, how=how)
    record = next_record(one_slot, num_before)
    assert record["outcome"] == "aborted"
    assert record["output_tokens"] < LONG["max_tokens"]
    assert post(one_slot, "/v1/completions", SHORT)[0] == 200
    assert len(records(one_slot)) == num_before + 2


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_client_that_leaves_mid_stream_pays_for_what_was_generated(one_slot, how):
    num_before = len(records(one_slot))
    connection = send(one_slot, "/v1/completions", {**LONG, "stream": True})
    received = read_until(connection, b"data: ")
    while received.count(b"data: ") < 20:
        received += connection.recv(65536)
    leave(connection, how=how)
    record = next_record(one_slot, num_before)
    assert record["outcome"] == "aborted"
    assert 20 <= record["output_tokens"] < LONG["max_tokens"]
    assert record["input_tokens"] > 0
    assert post(one_slot, "/v1/completions", SHORT)[0] == 200


def test_a_client_that_leaves_during_prefill_frees_the_slot(one_slot):
    num_before = len(records(one_slot))
    prompt = [TOKEN + step % 50 for step in range(4000)]
    body = {"model": "text-davinci-003", "prompt": prompt, "max_tokens": 90, "stream": True}
    connection = send(one_slot, "/v1/completions", body)
    time.sleep(0.15)
    leave(connection, how="RST")
    record = next_record(one_slot, num_before)
    assert (record["outcome"], record["output_tokens"]) == ("aborted", 0)
    assert post(one_slot, "/v1/completions", SHORT)[0] == 200


def test_a_client_that_leaves_the_queue_leaves_the_runner_alone(one_slot):
    num_before = len(records(one_slot))
    runner = send(one_slot, "/v1/completions", {**LONG, "max_tokens": 600, "stream": True})
    read_until(runner, b"data: ")
    waiting = [send(one_slot, "/v1/completions", LONG) for _ in range(10)]
    time.sleep(0.15)
    for connection in waiting:
        leave(connection, how="RST")
    rows = eventually(lambda: records(one_slot), lambda rows: len(rows) >= num_before + 10)
    assert {row["output_tokens"] for row in rows[num_before : num_before + 10]} == {0}
    reply = read_all(runner)
    assert reply.rstrip().endswith(b"data: [DONE]") or b"data: [DONE]" in reply
    assert records(one_slot)[-1]["outcome"] == "finished"
    assert records(one_slot)[-1]["output_tokens"] == 600


def test_a_stream_and_a_plain_reply_are_recorded_alike(one_slot):
    for is_stream in (True, False):
        read_all(send(one_slot, "/v1/completions", {**LONG, "max_tokens": 30, "stream": is_stream}))
    streamed, plain = records(one_slot)[-2:]
    assert (streamed["is_stream"], plain["is_stream"]) == (1, 0)
    for column in ("outcome", "input_tokens", "output_tokens"):
        assert streamed[column] == plain[column]


def test_n_and_best_of_are_recorded_with_all_that_was_generated(one_slot):
    body = {**LONG, "max_tokens": 7, "n": 2, "best_of": 3}
    status, reply = post(one_slot, "/v1/completions", body)
    assert status == 200
    assert reply["usage"]["completion_tokens"] == 21
    assert records(one_slot)[-1]["output_tokens"] == 21


def test_c1_a_killed_engine_ends_its_streams_with_an_error_frame_and_comes_back(tmp_path):
    with running_server(tmp_path) as server:
        # Sent before the streams that are seen to run, so it runs too.
        plain = send(server, "/v1/completions", {**LONG, "max_tokens": 800})
        streams = [send(server, "/v1/completions", {**LONG, "stream": True}) for _ in range(4)]
        for stream in streams:
            read_until(stream, b"data: ")
        before = engine_pid(server)
        os.kill(before, signal.SIGKILL)
        for stream in streams:
            *_, last = data_lines(read_all(stream))
            assert set(json.loads(last)["error"]) == {"message", "type", "param", "code"}
            assert json.loads(last)["error"]["type"] == "server_error"
        # Nothing of it had been sent, so it was run again.
        reply = read_all(plain)
        assert b" 200 " in reply[:20]
        assert json.loads(reply.partition(b"\r\n\r\n")[2])["usage"]["completion_tokens"] == 800
        assert engine_pid(server) != before
        rows = records(server)
        assert [row["outcome"] for row in rows] == ["failed"] * 4 + ["finished"]
        assert rows[-1]["output_tokens"] == 800


def test_c5_no_worker_survives_a_killed_server(tmp_path):
    with running_server(tmp_path) as server:
        worker = engine_pid(server)
        server.process.kill()
        server.process.wait()
        eventually(lambda: Path(f"/proc/{worker}").exists(), lambda exists: not exists)
    with running_server(tmp_path) as server:
        assert post(server, "/v1/completions", SHORT)[0] == 200


def test_c6_a_drain_lets_short_streams_end_and_cuts_the_rest_with_a_frame(tmp_path):
    # The window is long for 20 tokens on a busy machine, and short for 56,000 on a quick one.
    with running_server(tmp_path, {"PARLEY_DRAIN_SECONDS": "3"}) as server:
        cut = send(
            server, "/v1/completions", {**LONG, "model": "parley-mini", "max_tokens": 8000, "n": 7, "stream": True}
        )
        whole = send(server, "/v1/completions", {**LONG, "max_tokens": 20, "stream": True})
        read_until(cut, b"data: ")
        read_until(whole, b"data: ")
        server.process.send_signal(signal.SIGTERM)
        assert b"data: [DONE]" in read_all(whole)
        reply = read_all(cut)
        assert b"data: [DONE]" not in reply
        *_, last = data_lines(reply)
        assert "error" in json.loads(last)
        assert server.process.wait(timeout=120) == 0
        outcomes = sorted(row["outcome"] for row in records(server))
        assert outcomes == ["cut", "finished"]


def test_c7_a_second_signal_skips_the_window_and_still_settles(tmp_path):
    with running_server(tmp_path, {"PARLEY_DRAIN_SECONDS": "600"}) as server:
        stream = send(server, "/v1/completions", {**LONG, "stream": True})
        read_until(stream, b"data: ")
        server.process.send_signal(signal.SIGTERM)
        eventually(server.log.read_bytes, lambda log: b"stopping" in log)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=120) == 0
        assert [row["outcome"] for row in records(server)] == ["cut"]
        stream.close()
