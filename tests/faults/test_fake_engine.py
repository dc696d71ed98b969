"""The fake engine itself: it tells the truth in its journal, misbehaves as told, and is supervised as every worker is."""

import asyncio
import os
from pathlib import Path

import pytest

from parley.core.errors import EngineDied, EngineFailed, ModelLoadFailed
from parley.core.events import Delta, Finished
from tests.builders_engines import HANG_SECONDS, read_out, round_of, run_round
from tests.builders_faults import fake_engine, faulty_server
from tests.faults.fake_engine.journal import read_truth
from tests.faults.fake_engine.knobs import Knobs, write_knobs
from tests.faults.wire import post, records


async def test_it_answers_with_its_name_and_writes_every_token_down(tmp_path):
    async with fake_engine(tmp_path, model="alpha") as engine:
        outcome = await run_round(engine, round_of([1, 2, 3], max_tokens=5, num_sequences=2))
        assert outcome.texts == ["alpha " * 5] * 2
        truth = read_truth(tmp_path, "alpha")
        assert (truth.num_tokens, len(truth.begun), len(truth.finished)) == (10, 1, 1)


async def test_an_abort_reaches_it_and_ends_its_work(tmp_path):
    async with fake_engine(tmp_path) as engine:
        request = round_of([1], max_tokens=1_000_000)
        generation = await engine.generate(request)
        await anext(generation)
        await engine.abort(request.round_id)
        assert [event async for event in generation] == []
        await run_round(engine, round_of([1], max_tokens=1))
        truth = read_truth(tmp_path, "alpha")
        assert truth.aborted == [request.round_id]
        assert engine.num_open_rounds == 0


async def test_whoever_leaves_is_told_how_much_was_generated_meanwhile(tmp_path):
    async with fake_engine(tmp_path) as engine:
        generation = await engine.generate(round_of([1], max_tokens=1_000_000, num_sequences=3))
        first = await anext(generation)
        # Tokens that come while nobody reads them.
        await asyncio.sleep(0.05)
        num_untold = await generation.aclose()
        assert num_untold > 0
        assert first.num_tokens + num_untold == read_truth(tmp_path, "alpha").num_tokens
        assert await generation.aclose() == 0


async def test_one_that_ignores_aborts_goes_on_and_nobody_hears_it(tmp_path):
    async with fake_engine(tmp_path, Knobs(ignores_abort=True)) as engine:
        generation = await engine.generate(round_of([1], max_tokens=50))
        await anext(generation)
        await generation.aclose()
        outcome = await run_round(engine, round_of([1], max_tokens=60))
        assert outcome.num_tokens == [60]
        assert read_truth(tmp_path, "alpha").num_tokens == 110


async def test_one_that_dies_after_some_tokens_fails_its_rounds_and_comes_back(tmp_path):
    async with fake_engine(tmp_path, Knobs(dies_after_tokens=3)) as engine:
        generation = await engine.generate(round_of([1], max_tokens=100))
        write_knobs(tmp_path, "alpha", Knobs())
        assert [(await anext(generation)).num_tokens for _ in range(3)] == [1, 1, 1]
        with pytest.raises(EngineDied):
            await anext(generation)
        outcome = await run_round(engine, round_of([1], max_tokens=4))
        assert outcome.num_tokens == [4]
        assert len(read_truth(tmp_path, "alpha").starts) == 2


async def test_it_names_the_round_that_it_was_reading_when_it_died(tmp_path):
    async with fake_engine(tmp_path, Knobs(dies_of_token=7)) as engine:
        innocent = await engine.generate(round_of([1], max_tokens=1_000_000))
        await anext(innocent)
        poison = round_of([1, 7], max_tokens=5)
        guilty = await engine.generate(poison)
        for generation in (innocent, guilty):
            with pytest.raises(EngineDied) as died:
                await asyncio.wait_for(read_out(generation, 1), HANG_SECONDS)
            assert died.value.suspects == {poison.round_id}


@pytest.mark.parametrize("broken", ["utf8", "json"])
async def test_a_line_that_is_nonsense_fails_its_rounds_and_ends_that_worker(tmp_path, broken):
    async with fake_engine(tmp_path, Knobs(broken=broken)) as engine:
        write_knobs(tmp_path, "alpha", Knobs())
        generation = await engine.generate(round_of([1], max_tokens=5))
        with pytest.raises(EngineFailed, match="error while processing"):
            await read_out(generation, 1)
        outcome = await run_round(engine, round_of([1], max_tokens=5))
        assert outcome.texts == ["alpha " * 5]


@pytest.mark.parametrize(
    ("usage", "counted"), [("honest", 4), ("double", 8), ("zero", 0), ("negative", -4), ("missing", 0)]
)
async def test_its_last_frame_counts_as_it_is_told(tmp_path, usage, counted):
    async with fake_engine(tmp_path, Knobs(usage=usage)) as engine:
        events = [event async for event in await engine.generate(round_of([1], max_tokens=4))]
        assert isinstance(events[-1], Finished)
        assert events[-1].usage.output_tokens == counted
        assert sum(event.num_tokens for event in events if isinstance(event, Delta)) == 4


async def test_one_that_ends_at_once_cannot_be_started(tmp_path):
    with pytest.raises(ModelLoadFailed) as failed:
        async with fake_engine(tmp_path, Knobs(exit_code=3)):
            pass
    assert "status 3" in failed.value.detail
    assert "told to fail" in failed.value.detail


async def test_ballast_is_memory_that_it_really_holds(tmp_path):
    async with fake_engine(tmp_path, Knobs(ballast_bytes=64 << 20)) as engine:
        num_pages = int(Path(f"/proc/{engine.child.pid}/statm").read_text().split()[1])
        assert num_pages * os.sysconf("SC_PAGE_SIZE") > 64 << 20


@pytest.mark.parametrize("usage", ["double", "zero", "negative", "missing"])
def test_what_an_engine_says_of_its_usage_reaches_no_record(tmp_path, usage):
    with faulty_server(tmp_path, {"alpha": Knobs(usage=usage)}) as server:
        body = {"model": "alpha", "prompt": "Hi", "max_tokens": 6}
        status, reply = post(server.live, "/v1/completions", body)
        assert (status, reply["usage"]["completion_tokens"]) == (200, 6)
        assert reply["choices"][0]["text"] == "alpha " * 6
        assert [row["output_tokens"] for row in records(server.live)] == [server.truth("alpha").num_tokens]
