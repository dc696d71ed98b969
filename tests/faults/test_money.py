"""Money on the real server: crowds against a small balance, kills at any moment, requests that are sent again."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from parley.api.platform.commands import Command
from parley.api.platform.control import ask
from parley.api.platform.money_commands import AddCredits, SetPrice
from tests.faults.wire import data_lines, post, read_all, read_until, records, send
from tests.live import LiveServer, running_server

METERED = {"PARLEY_MODE": "metered"}
# Four bytes of prompt, four of answer: the echo engine's tokens.
REQUEST: dict[str, Any] = {"model": "parley-echo", "prompt": "abcd", "max_tokens": 4}
INPUT_NANO, OUTPUT_NANO = 2_000, 3_000
CHARGE = 4 * INPUT_NANO + 4 * OUTPUT_NANO
LONG: dict[str, Any] = {
    "model": "parley-mini",
    "prompt": "Once",
    "max_tokens": 6000,
    "logit_bias": {300: 100},
    "stream": True,
}


def parley(
    data: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The command line on this data folder, with these variables of ours and no others."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    environment |= variables or {}
    command = [sys.executable, "-m", "parley.cli.main", *arguments, "--data", str(data)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def query(data: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{data / 'parley.db'}?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()


def first_state(server: LiveServer) -> bytes | None:
    """What is written down of the only request that runs; None as long as nothing is."""
    return next((state for (state,) in query(server.data, "SELECT state FROM holds")), None)


def balance(data: Path) -> int:
    (found,) = query(
        data,
        "SELECT coalesce(sum(CASE WHEN credit LIKE 'credit:%' THEN amount_nano ELSE 0 END)"
        " - sum(CASE WHEN debit LIKE 'credit:%' THEN amount_nano ELSE 0 END), 0) FROM ledger_entries",
    )[0]
    return int(found)


def dollars(nano: int) -> str:
    return f"{nano // 10**9}.{nano % 10**9:09}"


def prepare(server: LiveServer, nano: int) -> None:
    """A price for the models of these tests, and so much to spend."""
    for model in ("parley-echo", "parley-mini"):
        command(server, SetPrice(model=model, numbers=(INPUT_NANO, 0, OUTPUT_NANO)))
    if nano:
        top_up(server, nano)


def top_up(server: LiveServer, nano: int) -> None:
    command(server, AddCredits(nano=nano))


def command(server: LiveServer, wanted: Command) -> None:
    """What the command line sends, without starting one."""
    reply = ask(server.data / "control.sock", wanted)
    assert reply is not None
    assert reply.error is None, reply.error


@pytest.fixture
def metered(tmp_path: Path) -> Iterator[LiveServer]:
    with running_server(tmp_path, METERED) as server:
        yield server


async def crowd(server: LiveServer, bodies: list[dict[str, Any]], headers: dict[str, str] | None = None) -> list[Any]:
    """All requests at once: (status, JSON) of each; None for one whose connection broke."""
    start = asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(body: dict[str, Any]) -> tuple[int, Any] | None:
            await start.wait()
            try:
                url, sent = f"{server.base_url}/completions", server.headers | (headers or {})
                async with session.post(url, json=body, headers=sent) as reply:
                    return reply.status, await reply.json()
            except (aiohttp.ClientError, OSError):
                return None

        tasks = [asyncio.ensure_future(one(body)) for body in bodies]
        await asyncio.sleep(0)
        start.set()
        return await asyncio.gather(*tasks)


def test_a1_of_two_hundred_at_once_as_many_are_served_as_are_paid_for(metered):
    prepare(metered, 0)
    for turn in range(3):
        top_up(metered, 50 * CHARGE)
        results = asyncio.run(crowd(metered, [REQUEST] * 200))
        statuses = [status for status, _ in results]
        assert (statuses.count(200), statuses.count(429)) == (50, 150)
        refusals = [body["error"] for status, body in results if status == 429]
        assert {(error["type"], error["code"]) for error in refusals} == {("insufficient_quota", "insufficient_quota")}
        assert balance(metered.data) == 0
        assert len(records(metered)) == 50 * (turn + 1)
    assert parley(metered.data, "ledger", "verify").returncode == 0


def test_an_open_server_refuses_nothing_and_counts_what_it_cost(tmp_path):
    with running_server(tmp_path) as server:
        prepare(server, 0)
        results = asyncio.run(crowd(server, [REQUEST] * 20))
        assert [status for status, _ in results] == [200] * 20
        assert [row["charge_nano"] for row in records(server)] == [CHARGE] * 20
        shown = parley(server.data, "credits", "show").stdout
        assert "open" in shown
        assert f"${dollars(20 * CHARGE)}".rstrip("0") in shown


def test_a4_a_stream_that_its_server_s_death_cuts_is_charged_once_for_what_was_kept(tmp_path):
    with running_server(tmp_path, METERED) as server:
        prepare(server, 10**9)
        connection = send(server, "/v1/completions", LONG)
        received = read_until(connection, b"data: ")
        states = {first_state(server)}
        # What is used so far is written down twice a second: the second time it is not nothing.
        while len(states) < 3:
            received += connection.recv(65_536)
            states.add(first_state(server))
        server.process.send_signal(signal.SIGKILL)
        received += read_all(connection)
        server.process.wait()
    num_received = sum(b'"text":"' in line for line in received.split(b"\n"))
    assert query(tmp_path / "data", "SELECT count(*) FROM usage_records") == [(0,)]
    for _ in range(2):
        with running_server(tmp_path, METERED) as server:
            (row,) = records(server)
            assert row["outcome"] == "failed"
            assert 0 < row["output_tokens"] <= num_received
            assert row["charge_nano"] == row["input_tokens"] * INPUT_NANO + row["output_tokens"] * OUTPUT_NANO
            assert balance(server.data) == 10**9 - row["charge_nano"]
            assert query(server.data, "SELECT count(*) FROM holds") == [(0,)]
            assert parley(server.data, "ledger", "verify").returncode == 0


def test_a4_b1_whoever_got_a_whole_reply_is_charged_for_it_once_whenever_the_server_is_killed(tmp_path):
    chance = random.Random(4)
    answered: set[str] = set()
    with running_server(tmp_path, METERED) as server:
        prepare(server, 10**9)
    for num_kills in range(30):
        if num_kills >= 3 and len(answered) > 50:
            break
        with running_server(tmp_path, METERED) as server:
            delay = chance.uniform(0.05, 0.6)
            answered |= asyncio.run(load_until_killed(server, delay))
    with running_server(tmp_path, METERED) as server:
        kept = {row["request_id"]: row["charge_nano"] for row in records(server)}
        assert answered - kept.keys() == set()
        assert len(answered) > 50
        assert set(kept.values()) == {CHARGE}
        assert balance(server.data) == 10**9 - len(kept) * CHARGE
        assert query(server.data, "SELECT count(*) FROM holds") == [(0,)]
        verdict = parley(server.data, "ledger", "verify")
        assert verdict.returncode == 0, verdict.stderr


async def load_until_killed(server: LiveServer, delay: float) -> set[str]:
    """Ids of the requests whose whole reply came before the server was killed under load."""
    answered: set[str] = set()
    async with aiohttp.ClientSession(headers=server.headers) as session:

        async def client() -> None:
            try:
                while True:
                    async with session.post(f"{server.base_url}/completions", json=REQUEST) as reply:
                        await reply.read()
                        if reply.status == 200:
                            answered.add(reply.headers["x-request-id"])
            except (aiohttp.ClientError, OSError):
                return

        clients = [asyncio.ensure_future(client()) for _ in range(8)]
        await asyncio.sleep(delay)
        server.process.send_signal(signal.SIGKILL)
        await asyncio.gather(*clients)
    return answered


def test_a7_restarts_refill_nothing(tmp_path):
    with running_server(tmp_path, METERED) as server:
        prepare(server, CHARGE)
    statuses = []
    for _ in range(2):
        with running_server(tmp_path, METERED) as server:
            statuses.append(post(server, "/v1/completions", REQUEST)[0])
    assert statuses == [200, 429]


def test_a9_of_fifty_twins_one_is_run_and_all_get_its_reply(metered):
    prepare(metered, 10**9)
    key = {"Idempotency-Key": "order-7"}
    results = asyncio.run(crowd(metered, [REQUEST] * 50, key))
    assert {status for status, _ in results} <= {200, 409}
    later = asyncio.run(crowd(metered, [REQUEST], key))
    bodies = {json.dumps(body) for status, body in results + later if status == 200}
    assert len(bodies) == 1
    assert len(records(metered)) == 1
    assert balance(metered.data) == 10**9 - CHARGE


def test_a9_a_key_means_one_request_also_after_a_restart(tmp_path):
    key = {"Idempotency-Key": "order-8"}
    with running_server(tmp_path, METERED) as server:
        prepare(server, 10**9)
        ((_, first),) = asyncio.run(crowd(server, [REQUEST], key))
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with running_server(tmp_path, METERED) as server:
        assert asyncio.run(crowd(server, [REQUEST], key)) == [(200, first)]
        ((status, other),) = asyncio.run(crowd(server, [{**REQUEST, "prompt": "abce"}], key))
        assert (status, other["error"]["code"]) == (400, "idempotency_key_reused")
        assert len(records(server)) == 1


def test_a9_a_stream_s_twin_is_told_that_it_is_done_and_a_failed_one_may_be_sent_again(metered):
    prepare(metered, 0)
    key = {"Idempotency-Key": "order-9"}
    assert [status for status, _ in asyncio.run(crowd(metered, [REQUEST], key))] == [429]
    top_up(metered, 10**9)
    assert [status for status, _ in asyncio.run(crowd(metered, [REQUEST], key))] == [200]

    async def stream() -> tuple[int, bytes]:
        async with aiohttp.ClientSession(headers={**metered.headers, "Idempotency-Key": "order-10"}) as session:
            async with session.post(f"{metered.base_url}/completions", json={**REQUEST, "stream": True}) as reply:
                return reply.status, await reply.read()

    status, body = asyncio.run(stream())
    assert (status, list(data_lines(body))[-1]) == (200, b"[DONE]")
    status, body = asyncio.run(stream())
    assert (status, json.loads(body)["error"]["code"]) == (400, "idempotency_key_reused")


def test_a10_the_charge_does_not_depend_on_what_the_stream_shows(metered):
    prepare(metered, 10**9)
    for changes in (
        {},
        {"stream": True},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {"include_usage": False}},
    ):
        read_all(send(metered, "/v1/completions", {**REQUEST, **changes}))
    assert [row["charge_nano"] for row in records(metered)] == [CHARGE] * 4


def test_budgets_and_thawing_by_the_command_line(metered):
    prepare(metered, 10**9)
    post(metered, "/v1/completions", REQUEST)
    (row,) = records(metered)
    assert parley(metered.data, "credits", "budget", row["project_id"], dollars(2 * CHARGE)).returncode == 0
    assert [post(metered, "/v1/completions", REQUEST)[0] for _ in range(2)] == [200, 429]
    assert parley(metered.data, "credits", "budget", row["project_id"]).returncode == 0
    assert post(metered, "/v1/completions", REQUEST)[0] == 200
    assert parley(metered.data, "credits", "budget", "nobody", "1").returncode == 1
    assert parley(metered.data, "credits", "add", "1", "--org", "org-nobody").returncode == 1
    paid = [parley(metered.data, "credits", "add", "1", "--payment", "invoice-1").returncode for _ in range(2)]
    assert paid == [0, 1]
    # PostgreSQL has no room for a longer one, and SQLite no bound.
    nameless = [parley(metered.data, "credits", "add", "1", "--payment", name) for name in ("", "p" * 101)]
    assert ["1 to 100" in refusal.stderr for refusal in nameless] == [True, True]


def test_the_ledger_is_exported_whole_and_a_change_in_it_is_named(metered):
    prepare(metered, 10**9)
    post(metered, "/v1/completions", REQUEST)
    lines = parley(metered.data, "ledger", "export").stdout.splitlines()
    assert len(lines) == 1 + query(metered.data, "SELECT count(*) FROM ledger_entries")[0][0]
    exported = [
        json.loads(line) for line in parley(metered.data, "ledger", "export", "--format", "json").stdout.splitlines()
    ]
    assert [entry["amount_nano"] for entry in exported if entry["kind"] == "charge"] == [CHARGE]
    with closing(sqlite3.connect(metered.data / "parley.db")) as database:
        database.execute("UPDATE ledger_entries SET note = 'another' WHERE seq = 2")
        database.commit()
    verdict = parley(metered.data, "ledger", "verify")
    assert verdict.returncode == 1
    assert "entry 2" in verdict.stderr
