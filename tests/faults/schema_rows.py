"""Row F9 as figures: bombs by the hundred, and schemas that nobody has seen before by the thousand."""

import asyncio
import json
import time
from pathlib import Path

from tests.engines.test_grammar_check import BOMBS
from tests.faults.body_rows import heartbeat
from tests.faults.process_rows import Figure, Scale, at_most, exactly, resident_bytes, within
from tests.faults.wire import post
from tests.live import LiveServer, running_server

MOST_BYTES = 256 << 20


def ask(server: LiveServer, name: str, schema: object) -> int:
    answer = {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}
    body = {
        "model": "gpt-4",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 1,
        "response_format": answer,
    }
    return post(server, "/v1/chat/completions", body)[0]


async def f9(folder: Path, scale: Scale) -> list[Figure]:
    """Every bomb in many variants, none of which has a verdict yet; then sound schemas, each another one."""
    num_bombs, num_sound = scale.pick(len(BOMBS), 200), scale.pick(50, 10_000)
    with running_server(folder) as server:
        ask(server, "first", {"type": "integer"})
        before = resident_bytes(server.process.pid)
        with heartbeat(server) as beats:
            slowest, bombed = await asyncio.to_thread(_bomb, server, num_bombs)
        sound = {await asyncio.to_thread(ask, server, f"s{k}", _unique(k)) for k in range(num_sound)}
        return [
            exactly("F9", f"statuses of {num_bombs} bombs", {400}, bombed),
            within("F9", "the slowest of them", 2.5, slowest),
            *beats.figures("F9", "beside the bombs"),
            exactly("F9", f"statuses of {num_sound:,} schemas, each another one", {200}, sound),
            at_most(
                "F9",
                "resident memory more after all of them",
                MOST_BYTES / 2**20,
                (resident_bytes(server.process.pid) - before) / 2**20,
                " MiB",
            ),
        ]


def _bomb(server: LiveServer, count: int) -> tuple[float, set[int]]:
    """How long the slowest refusal took, and the statuses of all."""
    slowest, statuses, names = 0.0, set(), list(BOMBS)
    for number in range(count):
        schema = {**BOMBS[names[number % len(names)]], "title": str(number)}
        begin = time.monotonic()
        statuses.add(ask(server, "bomb", schema))
        slowest = max(slowest, time.monotonic() - begin)
    return slowest, statuses


def _unique(number: int) -> dict[str, object]:
    properties = {f"a{number}": {"type": "string"}, "b": {"enum": [number, json.dumps(number)]}}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
