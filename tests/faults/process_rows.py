"""The faults of processes, row by row: each is brought about on a running server, and what is seen is set beside what is demanded.

A row takes a `Scale`. `make test` runs them small and looks at what happened, `make faults` runs them whole and looks at
how long it took besides.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parley.serving.engines.child import Supervision
from tests.builders_engines import byte_ids, llama_engine, round_of, run_round
from tests.builders_faults import QUICK, FaultyServer, fake_engine, faulty_server, is_alive
from tests.faults.crowd import MARKER, Crowd, Seen, begun, leave_at_random, until
from tests.faults.fake_engine.journal import read_truth
from tests.faults.fake_engine.knobs import Knobs
from tests.faults.wire import get, post, records

SEED = 20230301
MANY_SLOTS = {"PARLEY_NUM_SLOTS": "64", "PARLEY_MAX_WAITING": "2000"}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large a row is run. `supervision` is what the server keeps its engines with."""

    is_full: bool
    supervision: Supervision

    def pick(self, small: int, full: int) -> int:
        return full if self.is_full else small


SMALL = Scale(is_full=False, supervision=QUICK)
FULL = Scale(is_full=True, supervision=Supervision())


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One demand and what was seen. A timing is looked at in the full run only."""

    row: str
    what: str
    demanded: str
    seen: str
    holds: bool
    is_timing: bool = False


def exactly(row: str, what: str, demanded: object, seen: object) -> Figure:
    return Figure(row=row, what=what, demanded=str(demanded), seen=str(seen), holds=demanded == seen)


def at_most(row: str, what: str, demanded: float, seen: float, unit: str = "", *, is_timing: bool = False) -> Figure:
    return Figure(
        row=row,
        what=what,
        demanded=f"<= {demanded:g}{unit}",
        seen=f"{seen:.3g}{unit}",
        holds=seen <= demanded,
        is_timing=is_timing,
    )


def at_least(row: str, what: str, demanded: float, seen: float) -> Figure:
    return Figure(row=row, what=what, demanded=f">= {demanded:,}", seen=f"{seen:,}", holds=seen >= demanded)


def within(row: str, what: str, seconds: float, seen: float) -> Figure:
    return at_most(row, what, seconds, seen, " s", is_timing=True)


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def zombies() -> int:
    count = 0
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        try:
            count += Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            continue
    return count


async def answers(server: FaultyServer, model: str) -> bool:
    """Whether the model answers one request by itself."""
    status, reply = await asyncio.to_thread(
        post, server.live, "/v1/completions", {"model": model, "prompt": "Hi", "max_tokens": 2}
    )
    return status == 200 and reply["choices"][0]["text"] == f"{model} {model} "


async def c1(folder: Path, scale: Scale) -> list[Figure]:
    """An engine is killed under its streams; another model's streams run beside them."""
    num_streams = scale.pick(5, 50)
    models = {"alpha": Knobs(tokens_per_second=20), "beta": Knobs(tokens_per_second=20)}
    with faulty_server(folder, models, settings=MANY_SLOTS, supervision=scale.supervision) as server:
        async with Crowd(server.live) as crowd:
            alphas = [crowd.start("alpha", max_tokens=1000) for _ in range(num_streams)]
            betas = [crowd.start("beta", max_tokens=scale.pick(40, 160)) for _ in range(num_streams)]
            await begun([*alphas, *betas])
            killed_at = time.monotonic()
            os.kill(server.pid("alpha"), signal.SIGKILL)
            await until(lambda: all(seen.ended_at is not None for seen in alphas))
            is_back = await answers(server, "alpha")
            back_after = time.monotonic() - killed_at
            await crowd.all_ended()
        outcomes = [row["outcome"] for row in records(server.live)]
        return [
            exactly("C1", "streams of the killed engine that got one error object", num_streams, one_error(alphas)),
            exactly("C1", "and no [DONE]", 0, sum(seen.has_done for seen in alphas)),
            within("C1", "from the kill to the last error object", 1.0, latest_error(alphas) - killed_at),
            exactly("C1", "whole streams of the other model", num_streams, sum(seen.is_whole for seen in betas)),
            exactly("C1", "the killed model answers again", True, is_back),
            within("C1", "from the kill to its answer (2 s + its load, allowed 1 s)", 3.0, back_after),
            exactly("C1", "usage records of failed requests", num_streams, outcomes.count("failed")),
        ]


def one_error(crowd: Sequence[Seen]) -> int:
    return sum(len(seen.errors) == 1 and set(seen.errors[0]) == {"message", "type", "param", "code"} for seen in crowd)


def latest_error(crowd: Sequence[Seen]) -> float:
    return max(seen.error_at or float("inf") for seen in crowd)


async def c2(folder: Path, scale: Scale) -> list[Figure]:
    """An engine stands still in the middle of a stream."""
    stall = 30.0 if scale.is_full else 3.0
    supervision = scale.supervision if scale.is_full else Supervision(stall_seconds=stall, stall_check_seconds=0.1)
    one_slot = {"PARLEY_NUM_SLOTS": "1"}
    with faulty_server(
        folder, {"alpha": Knobs(tokens_per_second=50)}, settings=one_slot, supervision=supervision
    ) as server:
        async with Crowd(server.live) as crowd:
            stream = crowd.start("alpha", max_tokens=4000)
            await begun([stream])
            stopped, stopped_at = server.pid("alpha"), time.monotonic()
            os.kill(stopped, signal.SIGSTOP)
            await crowd.all_ended()
            is_back = await answers(server, "alpha")
            back_after = time.monotonic() - stopped_at
        return [
            exactly("C2", "error objects in the stream", 1, one_error([stream])),
            exactly("C2", "and no [DONE]", False, stream.has_done),
            within("C2", "from the stop to the error object", 35.0, latest_error([stream]) - stopped_at),
            exactly("C2", "the only slot serves again", True, is_back),
            within("C2", "from the stop to that answer", 40.0, back_after),
            exactly("C2", "the stopped process is gone", False, is_alive(stopped)),
        ]


async def c3(folder: Path, scale: Scale) -> list[Figure]:
    """A request that kills the engine as soon as it is read, among innocents that run and wait."""
    num_innocents, num_poisons = scale.pick(20, 50), scale.pick(2, 3)
    knobs = Knobs(tokens_per_second=50, dies_of_token=MARKER)
    with faulty_server(folder, {"alpha": knobs}, supervision=scale.supervision) as server:
        poisons: list[Seen] = []
        innocents: list[Seen] = []
        async with Crowd(server.live) as crowd:
            for number in range(num_poisons):
                innocents += [
                    crowd.start("alpha", max_tokens=30, is_stream=k % 3 == 0, prompt=(10, k % 50))
                    for k in range(num_innocents)
                ]
                await begun([seen for seen in innocents if seen.is_stream][:1])
                starts = len(server.truth("alpha").starts)
                poisons.append(crowd.start("alpha", max_tokens=5, is_stream=number % 2 == 1, prompt=(number, MARKER)))
                await until(lambda: len(server.truth("alpha").starts) > starts)  # noqa: B023 - awaited here
                # Nobody is run a third time, so each poison meets innocents of its own.
                await crowd.all_ended()
            unsent = [seen for seen in innocents if not (seen.is_stream and seen.errors and seen.num_frames)]
            starts = len(server.truth("alpha").starts)
            again = [crowd.start("alpha", max_tokens=5, is_stream=False, prompt=(0, MARKER)) for _ in range(5)]
            await crowd.all_ended()
        share = sum(seen.is_whole for seen in unsent) / len(unsent)
        plain = {seen.status for seen in poisons if not seen.is_stream}
        num_plain = sum(not seen.is_stream for seen in poisons)
        num_streams = num_poisons - num_plain
        return [
            exactly("C3", "answers to the poisons that are no streams", {500}, plain),
            exactly("C3", "error objects in the poisons that are streams", num_streams, one_error(poisons) - num_plain),
            Figure(
                row="C3",
                what=f"innocents that had been sent nothing and were answered whole, of {len(unsent)}",
                demanded=">= 99 %",
                seen=f"{share:.1%}",
                holds=share >= 0.99,
            ),
            at_most("C3", "restarts for a poison", 1, (starts - 1) / num_poisons),
            exactly(
                "C3", "restarts for the same poison within ten minutes", 0, len(server.truth("alpha").starts) - starts
            ),
            exactly("C3", "answers to it", {"request_quarantined"}, {seen.errors[0]["code"] for seen in again}),
        ]


async def c4(folder: Path, scale: Scale) -> list[Figure]:
    """A model whose engine always ends with status 1, asked for all the time."""
    seconds = scale.pick(6, 300)
    with faulty_server(
        folder, {"alpha": Knobs(), "broken": Knobs(exit_code=1)}, supervision=scale.supervision
    ) as server:
        statuses, begin = set(), time.monotonic()
        cpu_before = cpu_seconds(server.live.process.pid)
        while time.monotonic() - begin < seconds:
            body = {"model": "broken", "prompt": "Hi", "max_tokens": 1}
            status, _ = await asyncio.to_thread(post, server.live, "/v1/completions", body)
            statuses.add(status)
            await asyncio.sleep(0.5)
        share = (cpu_seconds(server.live.process.pid) - cpu_before) / (time.monotonic() - begin)
        return [
            exactly("C4", "answers while it cannot be loaded", {503}, statuses),
            at_most("C4", f"starts in {seconds} s", 8, len(server.truth("broken").starts)),
            at_most("C4", "the server's share of a CPU meanwhile", 5, 100 * share, " %", is_timing=True),
            exactly("C4", "the other model answers", True, await answers(server, "alpha")),
        ]


async def c5(folder: Path, scale: Scale) -> list[Figure]:
    """The server is killed; its engines must not survive it, one that stands still no more than one that runs."""
    models = {"alpha": Knobs(), "beta": Knobs()}
    with faulty_server(folder, models, supervision=scale.supervision) as server:
        assert await answers(server, "beta")
        workers = [server.pid("alpha"), server.pid("beta")]
        os.kill(workers[1], signal.SIGSTOP)
        killed_at = time.monotonic()
        server.live.process.kill()
        server.live.process.wait()
        await until(lambda: not any(is_alive(pid) for pid in workers), seconds=20)
        gone_after = time.monotonic() - killed_at
        survivors = sum(is_alive(pid) for pid in workers)
    with faulty_server(folder, models, supervision=scale.supervision) as server:
        is_back = await answers(server, "alpha")
    return [
        exactly("C5", "engines that survive the server", 0, survivors),
        within("C5", "from the kill to their end", 2.0, gone_after),
        exactly("C5", "the next server answers", True, is_back),
    ]


async def c6(folder: Path, scale: Scale) -> list[Figure]:
    """SIGTERM under streams that fit the window, and under streams that do not."""
    num_streams = scale.pick(6, 50)
    rate, window = (20, 30.0) if scale.is_full else (100, 5.0)
    chance = random.Random(SEED)
    figures: list[Figure] = []
    for is_fitting in (True, False):
        seconds = (5.0, 20.0) if scale.is_full else (0.5, 2.0)
        settings = {**MANY_SLOTS, "PARLEY_DRAIN_SECONDS": str(window if is_fitting or scale.is_full else 0.5)}
        part = folder / ("fitting" if is_fitting else "longer")
        part.mkdir()
        with faulty_server(part, {"alpha": Knobs(tokens_per_second=rate)}, settings=settings) as server:
            async with Crowd(server.live) as crowd:
                longer = scale.pick(30, 60)
                lengths = [chance.uniform(*seconds) if is_fitting else longer for _ in range(num_streams)]
                streams = [crowd.start("alpha", max_tokens=int(length * rate)) for length in lengths]
                await begun(streams)
                told_at = time.monotonic()
                server.live.process.send_signal(signal.SIGTERM)
                await crowd.all_ended()
                status = await asyncio.to_thread(server.live.process.wait, 60)
                took = time.monotonic() - told_at
            rows = records(server.live)
            num_durable = sum(row["outcome"] == ("finished" if is_fitting else "cut") for row in rows)
            if is_fitting:
                whole = sum(seen.is_whole for seen in streams)
                figures.append(exactly("C6", "whole streams that fit the window", num_streams, whole))
            else:
                figures.append(
                    exactly("C6", "longer streams that end with an error object", num_streams, one_error(streams))
                )
            figures += [
                exactly("C6", "their usage records", num_streams, num_durable),
                exactly("C6", "exit status", 0, status),
                within("C6", "from SIGTERM to the exit (window + 2 s)", window + 2.0, took),
            ]
    return figures


async def c7(folder: Path, scale: Scale) -> list[Figure]:
    """A second SIGTERM ends the window."""
    num_streams = scale.pick(5, 50)
    settings = {**MANY_SLOTS, "PARLEY_DRAIN_SECONDS": "600"}
    with faulty_server(folder, {"alpha": Knobs(tokens_per_second=20)}, settings=settings) as server:
        async with Crowd(server.live) as crowd:
            streams = [crowd.start("alpha", max_tokens=4000) for _ in range(num_streams)]
            await begun(streams)
            server.live.process.send_signal(signal.SIGTERM)
            await until(lambda: b"stopping" in server.live.log.read_bytes())
            told_at = time.monotonic()
            server.live.process.send_signal(signal.SIGTERM)
            await crowd.all_ended()
            status = await asyncio.to_thread(server.live.process.wait, 60)
            took = time.monotonic() - told_at
        truth, rows = server.truth("alpha"), records(server.live)
        return [
            exactly("C7", "streams that end with an error object", num_streams, one_error(streams)),
            exactly("C7", "usage records", num_streams, len(rows)),
            at_most(
                "C7",
                "tokens charged that were not generated",
                0,
                sum(row["output_tokens"] for row in rows) - truth.num_tokens,
            ),
            exactly("C7", "exit status", 0, status),
            within("C7", "from the second signal to the exit", 2.0, took),
        ]


async def c8(folder: Path, scale: Scale) -> list[Figure]:
    """Requests that wait are left by their clients while another one runs."""
    rounds, chance = scale.pick(1, 5), random.Random(SEED)
    whole, num_begun = 0, 0
    with faulty_server(
        folder, {"alpha": Knobs(tokens_per_second=100)}, settings={**MANY_SLOTS, "PARLEY_NUM_SLOTS": "1"}
    ) as server:
        for _ in range(rounds):
            async with Crowd(server.live) as crowd:
                runner = crowd.start("alpha", max_tokens=200)
                await begun([runner])
                waiting = [crowd.start("alpha", max_tokens=4000, is_stream=k % 2 == 0) for k in range(50)]
                await asyncio.gather(*(leave_at_random(seen, chance, most_seconds=1.0) for seen in waiting))
                await until(lambda: runner.ended_at is not None)  # noqa: B023 - awaited here
            whole += runner.is_whole and runner.text.split() == ["alpha"] * 200
            await until(lambda: free_slots(server) == [1])
            num_begun += len(server.truth("alpha").begun)
        return [
            exactly("C8", "runners that were not disturbed", rounds, whole),
            exactly("C8", "slots free afterwards", [1], free_slots(server)),
            exactly("C8", "engine restarts", 0, len(server.truth("alpha").starts) - 1),
        ]


def free_slots(server: FaultyServer) -> list[int]:
    _, reply = get(server.live, "/v1/replicas")
    return [replica["num_free_slots"] for replica in reply["data"]]


async def c9(folder: Path, scale: Scale) -> list[Figure]:
    """Aborts by the thousand on the real engine: of rounds that run, that ended, and that never were."""
    seconds, num_aborts, num_rounds = scale.pick(1, 30), 0, 0
    async with llama_engine(folder) as engine:
        pid, begin = engine.pid, time.monotonic()
        while time.monotonic() - begin < seconds:
            request = round_of(byte_ids("a"), max_tokens=400, temperature=0.0)
            generation = await engine.generate(request)
            if num_rounds % 2:
                await anext(generation)
            num_rounds += 1
            for _ in range(20):
                await engine.abort(request.round_id)
                await engine.abort(f"round_unknown_{num_aborts}")
                num_aborts += 2
            # A thousand in a second, and no more.
            await asyncio.sleep(max(0.0, begin + num_aborts / 1000 - time.monotonic()))
        outcome = await run_round(engine, round_of(byte_ids("a"), max_tokens=3, temperature=0.0))
        rate = num_aborts / (time.monotonic() - begin)
        return [
            exactly(
                "C9", f"restarts after {num_aborts:,} aborts ({rate:.0f}/s) of {num_rounds:,} rounds", pid, engine.pid
            ),
            exactly("C9", "tokens of the next round", [3], outcome.num_tokens),
            exactly("C9", "rounds left open", 0, engine.num_open_rounds),
        ]


async def c10(folder: Path, scale: Scale) -> list[Figure]:
    """Streams whose clients vanish, round after round."""
    rounds, each, chance = scale.pick(2, 10), scale.pick(40, 1000), random.Random(SEED)
    free, files = [], []
    with faulty_server(folder, {"alpha": Knobs(tokens_per_second=50)}, settings=MANY_SLOTS) as server:
        for _ in range(rounds):
            async with Crowd(server.live) as crowd:
                streams = [crowd.start("alpha", max_tokens=4000) for _ in range(each)]
                leaving = (leave_at_random(seen, chance, most_seconds=scale.pick(1, 5)) for seen in streams)
                await asyncio.gather(*leaving)
            await until(lambda: free_slots(server) == [64], seconds=20)
            free.append(free_slots(server)[0])
            files.append(descriptors(server.live.process.pid))
        is_well = await answers(server, "alpha")
        rows = records(server.live)
        return [
            exactly("C10", f"free slots after each {each:,} vanished streams", [64] * rounds, free),
            at_most("C10", "descriptors more at the end than after the first round", 2, files[-1] - files[0]),
            exactly("C10", "the model answers", True, is_well),
            at_most(
                "C10",
                "tokens charged that were not generated",
                0,
                sum(row["output_tokens"] for row in rows) - server.truth("alpha").num_tokens,
            ),
        ]


async def c11(folder: Path, scale: Scale) -> list[Figure]:
    """An engine is killed and started again, many times."""
    num_restarts = scale.pick(8, 1000)
    supervision = Supervision(first_backoff_seconds=0.0, last_backoff_seconds=0.0, max_crashes=10_000)
    async with fake_engine(folder, supervision=supervision) as engine:
        before: tuple[int, int] | None = None
        for number in range(num_restarts + 5):
            if number == 5:
                # The first ones fill caches.
                before = descriptors(os.getpid()), resident_bytes(os.getpid())
            pid = engine.child.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda: engine.child.pid not in {pid, None}, seconds=60)  # noqa: B023 - awaited here
            await run_round(engine, round_of([1], max_tokens=1))
        assert before is not None
        return [
            exactly(
                "C11", f"descriptors more after {num_restarts:,} restarts", 0, descriptors(os.getpid()) - before[0]
            ),
            exactly("C11", "zombies", 0, zombies()),
            at_most("C11", "resident memory more", 20, (resident_bytes(os.getpid()) - before[1]) / 2**20, " MiB"),
            exactly("C11", "starts by the truth journal", num_restarts + 6, len(read_truth(folder, "alpha").starts)),
        ]


async def c12(folder: Path, scale: Scale) -> list[Figure]:
    """Two models share a memory that holds one of them, and are asked for in turn, under load."""
    num_swaps, settings = scale.pick(4, 100), {"PARLEY_MEMORY_BUDGET_MIB": "300", "PARLEY_NUM_SLOTS": "4"}
    with faulty_server(folder, {"alpha": Knobs(), "gamma": Knobs()}, settings=settings) as server:
        seen: list[Seen] = []
        async with Crowd(server.live) as crowd:
            for number in range(num_swaps):
                model = ("gamma", "alpha")[number % 2]
                asked = [crowd.start(model, max_tokens=20, is_stream=k % 2 == 0) for k in range(5)]
                await until(lambda: all(each.ended_at is not None for each in asked))  # noqa: B023 - awaited here
                seen += asked
            both = [crowd.start(("alpha", "gamma")[k % 2], max_tokens=20) for k in range(scale.pick(10, 100))]
            await crowd.all_ended()
        seen += both
        foreign = sum(bool(each.text) and set(each.text.split()) != {each.model} for each in seen)
        refused = [each for each in seen if not each.is_whole]
        num_loads = len(server.truth("alpha").starts) + len(server.truth("gamma").starts) - 1
        return [
            exactly("C12", f"answers by another model, of {len(seen)} over {num_loads} loads", 0, foreign),
            exactly("C12", "answers that were neither whole nor 503", 0, sum(each.status != 503 for each in refused)),
            Figure(
                row="C12",
                what="loads that swapped the models",
                demanded=f">= {num_swaps}",
                seen=str(num_loads),
                holds=num_loads >= num_swaps,
            ),
        ]


async def c13(folder: Path, scale: Scale) -> list[Figure]:
    """An idle engine stands still: nobody asks it for anything but the probe behind `/ready`."""
    supervision = scale.supervision if scale.is_full else Supervision(stall_seconds=3.0, stall_check_seconds=0.1)
    with faulty_server(folder, {"alpha": Knobs()}, supervision=supervision) as server:
        was_ready = page(server, "/ready")
        stopped, stopped_at = server.pid("alpha"), time.monotonic()
        os.kill(stopped, signal.SIGSTOP)
        told = await until(lambda: page(server, "/ready") == 503)
        unready_after = time.monotonic() - stopped_at
        others = [page(server, path) for path in ("/health", "/v1/models")]
        is_back = await until(lambda: page(server, "/ready") == 200)
        return [
            exactly("C13", "`/ready` before", 200, was_ready),
            exactly("C13", "`/ready` says no", True, told),
            within("C13", "from the stop to that", 45.0, unready_after),
            exactly(
                "C13", "meanwhile `/health`, which is about the event loop, and the list of models", [200, 200], others
            ),
            exactly("C13", "`/ready` says yes again", True, is_back),
            exactly("C13", "the stopped process is gone", False, is_alive(stopped)),
            exactly("C13", "the new one answers", True, await answers(server, "alpha")),
            exactly("C13", "probes in the usage records", 1, len(records(server.live))),
        ]


def page(server: FaultyServer, path: str) -> int:
    return get(server.live, path)[0]


ROWS = (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13)
