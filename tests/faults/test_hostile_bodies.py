"""Class F of the fault catalogue on the running product: no hostile body is answered 5xx, harms the engine, or leaks anything."""

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.hostile_bodies import COMPLETIONS, MOST, Row, rows
from tests.faults.test_ownership import engine_pid
from tests.faults.wire import eventually, post, records
from tests.live import LiveServer, running_server

TABLE = list(rows())
INTERNALS = re.compile(r"0x[0-9a-f]{4,}|Traceback|site-packages|\.py\b|/src/|msgspec|llama|granian| object at ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running_server(tmp_path_factory.mktemp("hostile")) as server:
        yield server


def exchange(server: LiveServer, row: Row) -> tuple[int, bytes]:
    headers = {**server.headers, "content-type": "application/json"}
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=60)) as connection:
        connection.request("POST", row.path, row.body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()


def memory_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def test_every_hostile_body_gets_its_status_and_the_engine_survives(server):
    before, num_records = engine_pid(server), len(records(server))
    wrong, num_served = [], 0
    for row in TABLE:
        status, body = exchange(server, row)
        num_served += status == 200
        if status != row.status:
            wrong.append((row.name, row.path, status, body[:120]))
        if status != 200:
            error = json.loads(body)["error"]
            assert set(error) == {"message", "type", "param", "code"}, row.name
            assert not INTERNALS.search(error["message"]), row.name
            assert len(body) < 2_000, row.name
    assert wrong == []
    assert engine_pid(server) == before
    assert len(records(server)) == num_records + num_served


def test_refusing_four_megabytes_again_and_again_costs_no_memory(server):
    bodies = [row for row in TABLE if len(row.body) > MOST // 2 and row.status == 400]
    for row in bodies:
        exchange(server, row)
    before = memory_bytes(server.process.pid)
    for row in bodies:
        exchange(server, row)
    assert memory_bytes(server.process.pid) - before < 20 * 1024 * 1024


@contextmanager
def heartbeat(server: LiveServer) -> Iterator[list[float]]:
    """Seconds that `/health` took, one after another, while the body runs."""
    seconds: list[float] = []
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.is_set():
            started = time.perf_counter()
            with closing(http.client.HTTPConnection(server.host, server.port, timeout=60)) as connection:
                connection.request("GET", "/health")
                assert connection.getresponse().status == 200
            seconds.append(time.perf_counter() - started)
            is_over.wait(0.01)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield seconds
    finally:
        is_over.set()
        thread.join()


def test_fifty_texts_of_four_megabytes_do_not_hold_up_the_others(server):
    prompts: list[object] = ["a" * MOST, ["the cat " * 6_000] * (MOST // 50_000)]
    base = {"model": "text-davinci-003", "max_tokens": 1}
    bodies = [json.dumps(base | {"prompt": prompt}).encode() for prompt in prompts]
    # Each text of the second body could fit, so that all of it is tokenised.
    heavy = [Row(name="parallel", path=COMPLETIONS, body=bodies[number % 25 == 0]) for number in range(50)]
    statuses: list[int] = []
    with heartbeat(server) as seconds:
        threads = [threading.Thread(target=lambda row=row: statuses.append(exchange(server, row)[0])) for row in heavy]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [400] * 50
    # Generous, because the clients of this test take turns with the server on the same cores.
    assert sorted(seconds)[int(0.99 * len(seconds))] < 0.5


def test_a_long_reply_does_not_hold_up_the_others(server):
    """A million log-probabilities are some 15 MB of JSON."""
    prompt = [300 + number % 500 for number in range(4_000)]
    body = {"model": "text-davinci-003", "prompt": prompt, "max_tokens": 0, "echo": True, "logprobs": 5, "n": 20}
    with heartbeat(server) as seconds:
        status, reply = post(server, COMPLETIONS, body)
    assert status == 200
    assert [len(choice["logprobs"]["tokens"]) for choice in reply["choices"]] == [4_000] * 20
    assert max(seconds) < 0.5


def test_the_engine_has_no_work_left(server):
    """After all of the above, all slots are free: as many choices as there are slots come at once."""
    body = {"model": "text-davinci-003", "prompt": "a", "max_tokens": 1, "n": 8}
    status, reply = eventually(lambda: post(server, COMPLETIONS, body), lambda answer: answer[0] == 200)
    assert (status, len(reply["choices"])) == (200, 8)
