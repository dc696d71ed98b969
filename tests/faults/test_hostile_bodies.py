"""Class F of the fault catalogue on the running product: no hostile body is answered 5xx, harms the engine, or leaks anything."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.body_rows import exchange, long_reply, long_texts
from tests.faults.hostile_bodies import COMPLETIONS, MOST, rows
from tests.faults.wire import eventually, post, records
from tests.live import LiveServer, engine_pid, running_server

TABLE = list(rows())
INTERNALS = re.compile(r"0x[0-9a-f]{4,}|Traceback|site-packages|\.py\b|/src/|msgspec|llama|httptools| object at ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running_server(tmp_path_factory.mktemp("hostile")) as server:
        yield server


def memory_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def test_f1_to_f16_every_hostile_body_gets_its_status_and_the_engine_survives(server):
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


@pytest.mark.parametrize("load", [long_texts, long_reply])
def test_f13_what_is_long_does_not_hold_up_the_others(server, load):
    """How long they wait is looked at by `make faults`."""
    figures = load(server)
    assert [figure for figure in figures if not figure.holds and not figure.is_timing] == []


def test_the_engine_has_no_work_left(server):
    """After all of the above, all slots are free: as many choices as there are slots come at once."""
    body = {"model": "text-davinci-003", "prompt": "a", "max_tokens": 1, "n": 8}
    status, reply = eventually(lambda: post(server, COMPLETIONS, body), lambda answer: answer[0] == 200)
    assert (status, len(reply["choices"])) == (200, 8)
