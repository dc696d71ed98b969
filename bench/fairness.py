"""What a flood does to its neighbours: the p99 of a steady project beside one that sends as much as it can, and without it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.command_line import parley
from bench.load import Load, Outcome, measured, request_text
from bench.report import Row
from tests.live import LiveServer, running_server

NUM_SLOTS = 8
# The neighbour takes a tenth of what the slots can do; the flood has eight times as many requests open as there are slots.
NEIGHBOUR_RATE = 2.5
NUM_FLOOD_CLIENTS = 64
# Three times what a request takes: by then the flood has filled slots and queue.
HEAD_START_SECONDS = 1.0
P99_GOAL = 1.25
BODY = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}


def measure(folder: Path, *, num_passes: int, seconds: float) -> list[Row]:
    """A project of the flood's organization, and one of another, each by itself and beside the flood, in turns."""
    folder.mkdir(parents=True)
    alone: dict[str, list[float]] = {}
    beside: dict[str, list[float]] = {}
    with running_server(folder, {"PARLEY_NUM_SLOTS": str(NUM_SLOTS)}, program=("bench.slow_engine",)) as server:
        flood = _key(server, "flood")
        neighbours = {"a project of its organization": _key(server, "near"), "another organization": _stranger(server)}
        for _ in range(num_passes):
            for whose, key in neighbours.items():
                alone.setdefault(whose, []).append(_p99(_steady(server, key, seconds)))
                with _flooding(server, flood, seconds):
                    beside.setdefault(whose, []).append(_p99(_steady(server, key, seconds)))
    return [
        Row(
            measure=f"fairness: p99 of {whose} beside a flood (peer: without)",
            unit="ms",
            parley=beside[whose],
            peer=alone[whose],
            goal=P99_GOAL,
            is_less_better=True,
        )
        for whose in neighbours
    ]


def _steady(server: LiveServer, key: str, seconds: float) -> Outcome:
    request = request_text("/v1/chat/completions", BODY, key=key)
    num = int(NEIGHBOUR_RATE * seconds)
    return measured(
        Load(address=server.port, requests=[request], num_clients=16, num_requests=num, rate=NEIGHBOUR_RATE)
    )


@contextmanager
def _flooding(server: LiveServer, key: str, seconds: float) -> Iterator[None]:
    """A client that sends as much as it can, from before the block until after it."""
    request = request_text("/v1/chat/completions", BODY, key=key)
    flood_seconds = seconds + 3 * HEAD_START_SECONDS
    load = Load(address=server.port, requests=[request], num_clients=NUM_FLOOD_CLIENTS, seconds=flood_seconds)
    with ThreadPoolExecutor(1) as threads:
        flood = threads.submit(measured, load)
        time.sleep(HEAD_START_SECONDS)
        yield
        outcome = flood.result()
    if outcome.num_replies < NEIGHBOUR_RATE * flood_seconds:
        raise RuntimeError(f"the flood had {outcome.num_replies} replies in {flood_seconds:.0f} s, which is none")


def _p99(outcome: Outcome) -> float:
    return float(np.percentile(outcome.reply_seconds, 99) * 1000)


def _key(server: LiveServer, name: str, *options: str) -> str:
    """A key of a new project, of the first organization or of that which the options name."""
    project = parley(server, "projects", "create", name, *options)
    return parley(server, "keys", "create", name, "--project", project, *options)


def _stranger(server: LiveServer) -> str:
    """A key of another organization, which may as much as it needs."""
    organization = parley(server, "orgs", "create", "strangers")
    parley(server, "orgs", "tier", organization, "paid")
    parley(server, "credits", "add", "1000", "--org", organization)
    return _key(server, "far", "--org", organization)
