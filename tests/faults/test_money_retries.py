"""A9, A14, A17: a request whose answer was lost is sent again, and is charged once, however often that is done."""

import http.client
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.builders_faults import FaultyServer, faulty_server, write_catalog
from tests.faults.fake_engine.knobs import Knobs
from tests.faults.wire import records

MODEL = "alpha"
BODY = {"model": MODEL, "prompt": [10, 11], "max_tokens": 4}
CHARGE = 2 * 2_000 + 4 * 3_000


def ask(server: FaultyServer, key: str, *, seconds: float = 20) -> tuple[int, dict[str, Any]] | None:
    """Status and body of a request under an Idempotency-Key; None where its server died instead, or took longer."""
    live = server.live
    connection = http.client.HTTPConnection(live.host, live.port, timeout=seconds)
    headers = live.headers | {"content-type": "application/json", "idempotency-key": key}
    with closing(connection):
        try:
            connection.request("POST", "/v1/completions", json.dumps(BODY), headers)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        except (OSError, http.client.HTTPException):
            return None


def charges(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / "data" / "parley.db")) as database:
        return [nano for (nano,) in database.execute("SELECT amount_nano FROM ledger_entries WHERE kind = 'charge'")]


@pytest.mark.parametrize(
    ("failpoint", "answer"),
    [
        # Its rows are written and not committed: it was never done, and is done now.
        ("settle-written", 200),
        # Done and charged, and nobody heard of it; the reply is not kept yet.
        ("settle-durable", 400),
        # Done, charged and kept.
        ("last-byte", 200),
    ],
)
def test_a14_a17_what_died_on_its_way_to_the_client_is_charged_once_whether_it_is_fetched_or_not(
    tmp_path, failpoint, answer
):
    write_catalog(tmp_path / "data", [MODEL], {}, price_nano=(2_000, 3_000))
    with faulty_server(tmp_path, {MODEL: Knobs()}, settings={"FAIL_AT": f"{failpoint}:1"}) as server:
        assert ask(server, "order-1") is None
        assert server.live.process.wait(20) == 137
    # Fetched never: what is durable by now is all that there will be.
    assert charges(tmp_path) == ([] if failpoint == "settle-written" else [CHARGE])
    with faulty_server(tmp_path, {MODEL: Knobs()}) as server:
        replies = [ask(server, "order-1") for _ in range(100)]
        assert {status for status, _ in replies} == {answer}
        assert len({json.dumps(body) for _, body in replies}) == 1
        if answer == 400:
            assert replies[0][1]["error"]["code"] == "idempotency_key_reused"
        assert [row["charge_nano"] for row in records(server.live)] == [CHARGE]
    assert charges(tmp_path) == [CHARGE]


def test_a9_what_a_client_did_not_wait_for_is_there_when_it_comes_back(tmp_path):
    write_catalog(tmp_path / "data", [MODEL], {}, price_nano=(2_000, 3_000))
    with faulty_server(tmp_path, {MODEL: Knobs(tokens_per_second=10)}) as server:
        for number in range(4):
            assert ask(server, f"order-{number}", seconds=0.1) is None
        deadline = time.monotonic() + 20
        for number in range(4):
            while (reply := ask(server, f"order-{number}")) is not None and reply[0] == 409:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert reply is not None
            assert (reply[0], reply[1]["usage"]["completion_tokens"]) == (200, 4)
        assert [row["charge_nano"] for row in records(server.live)] == [CHARGE] * 4


def test_a9_without_a_key_each_success_is_charged_and_what_failed_is_not(tmp_path):
    write_catalog(tmp_path / "data", [MODEL], {}, price_nano=(2_000, 3_000))
    # The engine dies of every first request: who is told so sends it again.
    with faulty_server(tmp_path, {MODEL: Knobs(dies_after_tokens=3)}) as server:
        statuses = [(ask(server, f"try-{number}") or (0,))[0] for number in range(2)]
        server.set_knobs(MODEL, Knobs())
        assert statuses == [500, 500]
        assert sum(row["charge_nano"] for row in records(server.live)) == 0
