"""Overload, storms of retries, and what time tells: rows E1, E2, I7, I8, I11 and I15. See `process_rows`."""

import asyncio
import itertools
import math
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import httpx
from msgspec import structs
from openai import AsyncOpenAI, OpenAIError

from parley.api.platform.commands import Command, CreateKey, Reply, RevokeKey
from parley.api.platform.control import ask
from parley.core.clock import SystemClock
from parley.core.events import Finished
from parley.domain.accounts.key_shape import new_secret
from parley.domain.accounts.ring import Ring
from parley.serving.engines.child import Supervision
from tests.builders_engines import llama_engine, round_of
from tests.builders_faults import FaultyServer, faulty_server
from tests.faults.fake_engine.knobs import Knobs
from tests.faults.money_trial import prompt_of
from tests.faults.process_rows import SEED, Figure, Scale, at_least, at_most, exactly, within
from tests.faults.wire import data_lines, eventually, post, read_all, read_until, records, send

MODEL = "alpha"
_TOKENS, _TOKENS_PER_SECOND, _NUM_SLOTS = 20, 100, 8
# Requests per second that the engine can answer, were its steps free.
_CAPACITY = _NUM_SLOTS * _TOKENS_PER_SECOND / _TOKENS
_BODY = {"model": MODEL, "prompt": [10, 11], "max_tokens": _TOKENS}


@dataclass
class Step:
    """What came of one offered load. Times in seconds, from the sending to the end."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    others: Counter[int] = field(default_factory=Counter)


def p99(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)] if times else math.inf


async def e1(folder: Path, scale: Scale) -> list[Figure]:
    """Loads from half of what can be answered to ten times as much, sent without waiting for replies."""
    seconds = scale.pick(1, 15)
    settings = {"PARLEY_NUM_SLOTS": str(_NUM_SLOTS), "PARLEY_MAX_WAITING": str(_NUM_SLOTS)}
    steps: dict[float, Step] = {}
    with faulty_server(folder, {MODEL: Knobs(tokens_per_second=_TOKENS_PER_SECOND)}, settings=settings) as server:
        for load in (1.0, 10.0) if not scale.is_full else (0.5, 1.0, 2.0, 5.0, 10.0):
            steps[load] = await _offer(server, load * _CAPACITY, seconds)
    peak = max(len(step.answered) for step in steps.values())
    at_ten, at_one = steps[10.0], steps[1.0]
    return [
        exactly("E1", "replies that are neither 200 nor 503", {}, dict(at_ten.others + at_one.others)),
        at_least("E1", "refused at ten times the load", 1, len(at_ten.refused)),
        Figure(
            row="E1",
            what="answered at ten times the load, of the most at any",
            demanded=">= 90 %",
            seen=f"{len(at_ten.answered) / peak:.1%}",
            holds=len(at_ten.answered) >= 0.9 * peak,
            is_timing=True,
        ),
        at_most(
            "E1",
            f"p99 of what was let in at ten times the load, of that at once ({p99(at_one.answered):.2f} s)",
            1.5,
            p99(at_ten.answered) / p99(at_one.answered),
            is_timing=True,
        ),
        at_most("E1", "p99 of a refusal at ten times the load", 50, p99(at_ten.refused) * 1000, " ms", is_timing=True),
    ]


async def _offer(server: FaultyServer, per_second: float, seconds: float) -> Step:
    step, chance = Step(), random.Random(SEED)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=server.live.headers, connector=connector) as session:

        async def ask() -> None:
            begin = time.monotonic()
            async with session.post(f"{server.live.base_url}/completions", json=_BODY) as reply:
                await reply.read()
            took = time.monotonic() - begin
            if reply.status == 200:
                step.answered.append(took)
            elif reply.status == 503:
                step.refused.append(took)
            else:
                step.others[reply.status] += 1

        asking, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            asking.append(asyncio.create_task(ask()))
            # As many as come by chance, rather than in step.
            await asyncio.sleep(chance.expovariate(per_second))
        await asyncio.gather(*asking)
    return step


async def e2(folder: Path, scale: Scale) -> list[Figure]:
    """Clients with the official SDK, each asking now and then, while the engine is away for a while."""
    num_clients, pause, away = scale.pick(20, 500), scale.pick(1, 10), scale.pick(1, 30)
    supervision = Supervision(first_backoff_seconds=0.05, last_backoff_seconds=1.0, max_crashes=1_000)
    knobs = Knobs(tokens_per_second=1_000)
    with faulty_server(folder, {MODEL: knobs}, settings={"PARLEY_NUM_SLOTS": "64"}, supervision=supervision) as server:
        storm = Storm(server, num_clients, pause_seconds=pause)
        async with storm:
            await asyncio.sleep(2 * pause)
            base = storm.num_sent / (2 * pause)
            server.set_knobs(MODEL, replace(knobs, exit_code=1))
            os.kill(server.pid(MODEL), 9)
            await asyncio.sleep(away)
            server.set_knobs(MODEL, knobs)
            back_at, num_before = time.monotonic(), storm.num_sent
            await storm.until_all_answered(since=back_at)
            normal_after = time.monotonic() - back_at
            await asyncio.sleep(max(0.0, 2 * pause - normal_after))
            offered = (storm.num_sent - num_before) / (time.monotonic() - back_at)
    return [
        exactly(
            "E2", "clients that were answered after the engine was back", num_clients, storm.num_answered_since(back_at)
        ),
        at_most(
            "E2", f"requests offered after that, of the {base:.0f} a second before", 1.3, offered / base, is_timing=True
        ),
        within("E2", "from the engine's return until every client was answered", 30.0, normal_after),
    ]


class Storm:
    """Clients of the official SDK, with its own retries."""

    def __init__(self, server: FaultyServer, num_clients: int, *, pause_seconds: float) -> None:
        self._server = server
        self._num_clients = num_clients
        self._pause_seconds = pause_seconds
        self._answered_at: dict[int, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._numbers = itertools.count()
        self.num_sent = 0

    async def __aenter__(self) -> "Storm":
        async def count(_: httpx.Request) -> None:
            self.num_sent += 1

        limits = httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(event_hooks={"request": [count]}, limits=limits, timeout=60)
        live = self._server.live
        self._client = AsyncOpenAI(base_url=live.base_url, api_key=live.key, http_client=self._http)
        chance = random.Random(SEED)
        self._tasks = [asyncio.create_task(self._ask_on(n, chance.random())) for n in range(self._num_clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    def num_answered_since(self, since: float) -> int:
        return sum(at >= since for at in self._answered_at.values())

    async def until_all_answered(self, *, since: float) -> None:
        async with asyncio.timeout(120):
            while self.num_answered_since(since) < self._num_clients:
                await asyncio.sleep(0.05)

    async def _ask_on(self, number: int, share: float) -> None:
        # Each at its own time.
        await asyncio.sleep(share * self._pause_seconds)
        while True:
            begin = time.monotonic()
            try:
                # Each its own: of two that are alike the second is refused where an engine was killed under the first.
                prompt = prompt_of(next(self._numbers))
                await self._client.completions.create(model=MODEL, prompt=prompt, max_tokens=2)
                self._answered_at[number] = time.monotonic()
            except OpenAIError:
                pass
            await asyncio.sleep(max(0.0, self._pause_seconds - (time.monotonic() - begin)))


async def i7(folder: Path, scale: Scale) -> list[Figure]:
    """A key is revoked while it streams and asks: how long it counts after the revocation was answered, and before."""
    num_streams = scale.pick(3, 20)
    with faulty_server(folder, {MODEL: Knobs(tokens_per_second=50)}, settings={"PARLEY_NUM_SLOTS": "32"}) as server:
        made = command(server, CreateKey(name="short-lived"))
        live = replace(server.live, key=made.secret)
        body = {"model": MODEL, "prompt": [10, 11], "max_tokens": 4_000, "stream": True}
        streams = [await asyncio.to_thread(send, live, "/v1/completions", body) for _ in range(num_streams)]
        for stream in streams:
            await asyncio.to_thread(read_until, stream, b"data: ")
        begin = time.monotonic()
        await asyncio.to_thread(command, server, RevokeKey(key_id=made.keys[0].id))
        revoked_after = time.monotonic() - begin
        status = (await asyncio.to_thread(post, live, "/v1/completions", {**body, "stream": False}))[0]
        ends = [list(data_lines(await asyncio.to_thread(read_all, stream)))[-1] for stream in streams]
        ended_after = time.monotonic() - begin
        rows = await asyncio.to_thread(eventually, lambda: records(server.live), lambda rows: len(rows) == num_streams)
    return [
        exactly("I7", "status of the first request after the revocation's answer", 401, status),
        exactly("I7", "streams that ended with an error object", num_streams, sum(b'"error"' in end for end in ends)),
        exactly("I7", "their usage records", num_streams, len(rows)),
        within("I7", "from the revocation to its answer", 1.0, revoked_after),
        within("I7", "from the revocation to the end of the last stream", 10.0, ended_after),
    ]


def command(server: FaultyServer, wanted: Command) -> Reply:
    """What the command line sends."""
    reply = ask(server.live.data / "control.sock", wanted)
    assert reply is not None
    assert reply.error is None, reply.error
    return reply


async def i11(folder: Path, scale: Scale) -> list[Figure]:
    """Does the time of a refusal tell how much of a key is right? Welch's t over keys that differ from a real one in their
    last six characters, and keys that differ everywhere."""
    del folder
    num_samples = scale.pick(2_000, 100_000)
    ring, known = ring_of_one_key()
    nearly, strange = [known[:-6] + new_secret()[-6:] for _ in range(num_samples)], new_secrets(num_samples)
    times = timed(ring.authenticate, {"near": nearly, "far": strange})
    ratio = statistics.median(times["near"]) / statistics.median(times["far"])
    return [
        exactly(
            "I11", "keys nearly right that are let in", 0, sum(ring.authenticate(each) is not None for each in nearly)
        ),
        at_most(
            "I11",
            f"abs(t) of {num_samples:,} samples each",
            4.5,
            abs(welch(times["near"], times["far"])),
            is_timing=True,
        ),
        at_most("I8", "medians, of each other", 1.05, max(ratio, 1 / ratio), is_timing=True),
    ]


def ring_of_one_key() -> tuple[Ring, str]:
    """A ring in which one key counts, and that key."""
    ring, known = Ring(os.urandom(32), SystemClock()), new_secret()
    # Only its place counts here; whose it is does not.
    digest = ring.digest(known)
    ring._keys[digest] = (digest, None)
    return ring, known


def new_secrets(number: int) -> list[str]:
    """Keys that count nowhere."""
    return [new_secret() for _ in range(number)]


def timed(call: Callable[[str], object], given: Mapping[str, Sequence[str]]) -> dict[str, list[float]]:
    """Nanoseconds of each call, in an order of chance, without the slowest twentieth, which is the machine's doing."""
    order = [(name, secret) for name, secrets in given.items() for secret in secrets]
    random.Random(SEED).shuffle(order)
    times: dict[str, list[float]] = {name: [] for name in given}
    for name, secret in order:
        begin = time.perf_counter_ns()
        call(secret)
        times[name].append(time.perf_counter_ns() - begin)
    return {name: sorted(found)[: int(len(found) * 0.95)] for name, found in times.items()}


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Welch's t."""
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread)


async def i15(folder: Path, scale: Scale) -> list[Figure]:
    """Does the time to the first token tell that somebody else has sent this prompt before?"""
    num_samples, num_tokens = scale.pick(10, 200), 450
    chance = random.Random(SEED)
    times: dict[str, list[float]] = {"own": [], "foreign": [], "unseen": []}
    cached: dict[str, list[int]] = {name: [] for name in times}
    async with llama_engine(folder) as engine:

        async def ttft(prompt: Sequence[int], salt: str) -> tuple[float, int]:
            begin = time.perf_counter()
            generation = await engine.generate(
                structs.replace(round_of(prompt, max_tokens=1, temperature=0.0), cache_salt=salt)
            )
            await anext(generation)
            took = time.perf_counter() - begin
            [usage] = [event.usage async for event in generation if isinstance(event, Finished)]
            await generation.aclose()
            return took, usage.cached_tokens

        for _ in range(num_samples):
            sent, unseen = (tuple(chance.choices(range(6, 200), k=num_tokens)) for _ in range(2))
            await ttft(sent, "victim")
            asked = [("own", sent, "victim"), ("foreign", sent, "attacker"), ("unseen", unseen, "attacker")]
            chance.shuffle(asked)
            for name, prompt, salt in asked:
                took, num_cached = await ttft(prompt, salt)
                times[name].append(took)
                cached[name].append(num_cached)
    foreign = separation(times["foreign"], times["unseen"])
    return [
        at_least("I15", "prompts of each kind", num_samples, len(times["foreign"])),
        # The cache by its own account, which no busy machine disturbs; what the clock tells of it is a timing.
        at_least("I15", "cached tokens of each of one's own prompts", num_tokens - 1, min(cached["own"])),
        at_most("I15", "cached tokens of any prompt of a stranger", 10, max(cached["foreign"])),
        at_most(
            "I15",
            "AUC of an unseen prompt against one's own: the measure sees a cache",
            0.1,
            separation(times["unseen"], times["own"]),
            is_timing=True,
        ),
        at_most(
            "I15", "AUC of a stranger's prompt against an unseen one", 0.6, max(foreign, 1 - foreign), is_timing=True
        ),
    ]


def separation(faster: Sequence[float], slower: Sequence[float]) -> float:
    """AUC: how often one of the first is less than one of the second; a half where they cannot be told apart."""
    wins = sum((one < other) + (one == other) / 2 for one in faster for other in slower)
    return wins / (len(faster) * len(slower))
