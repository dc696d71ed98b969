"""Requests with everything on: key, limits, hold, ledger entries and usage, beside a gateway that keeps none of it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench import litellm_peer
from bench.command_line import parley
from bench.edge import MODEL, NUM_CLIENTS, REQUEST_GOAL
from bench.load import Load, Outcome, measured, request_text
from bench.processes import spent_by
from bench.report import Row
from tests.live import KEY, LiveServer, running_server

BODY = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
# Limits that count every request and refuse none.
_TIERS = (
    "[bench]\nrequests_per_minute = 100_000_000\ntokens_per_minute = 10_000_000_000\nrequests_per_day = 1_000_000_000\n"
)
_SNAPSHOT = "parley-echo-2026-11-21"


@dataclass(slots=True)
class Figures:
    """One side's, a figure for each pass."""

    per_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, outcome: Outcome, cpu_seconds: float) -> None:
        """Milliseconds and microseconds of one pass."""
        self.per_second.append(outcome.num_replies / outcome.seconds)
        for times, percentile in ((self.p50, 50), (self.p99, 99)):
            times.append(float(np.percentile(outcome.reply_seconds, percentile) * 1000))
        self.cpu.append(cpu_seconds / outcome.num_replies * 1e6)


def compare(program: Path, folder: Path, *, num_passes: int, seconds: float) -> list[Row]:
    """Parley with the echo engine and the LiteLLM proxy before a server that answers at once, in turns."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "tiers.toml").write_text(_TIERS)
    ours, theirs = Figures(), Figures()
    with (
        running_server(folder, {"PARLEY_NUM_SLOTS": str(2 * NUM_CLIENTS)}) as server,
        litellm_peer.running_proxy(program, folder / "litellm") as (port, pid),
    ):
        sides = ((ours, server.port, server.process.pid, _paying_key(server)), (theirs, port, pid, KEY))
        for _, address, _, key in sides:
            _apply(address, key, seconds=1.0)
        for _ in range(num_passes):
            for figures, address, process, key in sides:
                before = spent_by(process)
                outcome = _apply(address, key, seconds=seconds)
                spent = spent_by(process) - before
                figures.add(outcome, spent.own + spent.children)
    title = f"everything on, {NUM_CLIENTS} clients (peer: LiteLLM {litellm_peer.VERSION}, no database)"
    return [
        Row(
            measure=f"{title}: requests",
            unit="1/s",
            parley=ours.per_second,
            peer=theirs.per_second,
            goal=REQUEST_GOAL,
            bounds_figure=True,
        ),
        Row(measure=f"{title}: p50", unit="ms", parley=ours.p50, peer=theirs.p50, is_less_better=True),
        Row(measure=f"{title}: p99", unit="ms", parley=ours.p99, peer=theirs.p99, is_less_better=True),
        Row(measure=f"{title}: CPU of a request", unit="µs", parley=ours.cpu, peer=theirs.cpu, is_less_better=True),
    ]


def _apply(port: int, key: str, *, seconds: float) -> Outcome:
    request = request_text("/v1/chat/completions", BODY, key=key)
    return measured(Load(address=port, requests=[request], num_clients=NUM_CLIENTS, seconds=seconds))


def _paying_key(server: LiveServer) -> str:
    """A key of an organization with limits, a balance, a budget and a price, so that each request writes to the ledger."""
    organization = parley(server, "orgs", "create", "payers")
    parley(server, "orgs", "tier", organization, "bench")
    parley(server, "credits", "add", "100000", "--org", organization)
    parley(server, "credits", "budget", organization, "90000")
    parley(server, "credits", "price", _SNAPSHOT, "1000", "1000", "2000", "--org", organization)
    return parley(server, "keys", "create", "app", "--org", organization)
