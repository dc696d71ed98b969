"""Every admitted request ends with everything freed and exactly one usage record, whatever happens to it."""

import asyncio

import pytest

from parley.core.errors import EngineFailed, Overloaded
from parley.core.events import Finished
from parley.core.usage import Outcome, Usage
from parley.serving.engines.echo import EchoEngine
from tests.builders_serving import BrokenEngine, Gate, chat, completion, make_bench, texts


async def test_a_finished_request_is_settled_before_finished_is_told():
    bench = make_bench()
    run = await bench.open(chat("hello"))
    async for event in run:
        assert (
            (event == Finished(bench.sink.records[0].usage)) if bench.sink.records else not isinstance(event, Finished)
        )
    assert [r.outcome for r in bench.sink.records] == [Outcome.FINISHED]
    assert bench.sink.records[0].usage.output_tokens == 5
    assert bench.pool.num_free_slots == 4


async def test_closing_twice_settles_once():
    bench = make_bench()
    run = await bench.open(chat("hello"))
    await run.aclose()
    await run.aclose()
    assert len(bench.sink.records) == 1


async def test_who_waits_is_told_for_what():
    bench = make_bench(engine=EchoEngine(num_slots=1))
    running, waiting = await bench.open(chat("hello")), await bench.open(chat("hello"))
    assert (running.progress, waiting.progress) == ("waiting for the first token", "waiting for a slot")
    await running.aclose()
    assert waiting.progress == "waiting for the first token"
    await waiting.aclose()


async def test_a_run_that_never_started_costs_nothing_and_frees_its_slot():
    bench = make_bench()
    run = await bench.open(chat("hello"))
    await run.aclose()
    assert bench.sink.records[0].usage == Usage()
    assert bench.sink.records[0].outcome is Outcome.ABORTED
    assert bench.pool.num_free_slots == 4


async def test_an_aborted_run_is_charged_for_what_reached_us():
    bench = make_bench()
    run = await bench.open(chat("hello", is_stream=True))
    for _ in range(3):
        await run.__anext__()
    await run.aclose()
    record = bench.sink.records[0]
    assert (record.outcome, record.usage.output_tokens) == (Outcome.ABORTED, 3)
    assert record.usage.input_tokens == run_prompt_length(run)
    assert bench.engine.num_open_rounds == 0
    assert [event async for event in run] == []


def run_prompt_length(run) -> int:
    return len(run.grant.prompts[0].token_ids)


async def test_the_end_of_a_drain_is_recorded_as_cut():
    bench = make_bench()
    run = await bench.open(chat("hello"))
    await run.__anext__()
    await run.aclose(Outcome.CUT)
    assert bench.sink.records[0].outcome is Outcome.CUT


async def test_a_finished_run_cannot_be_recorded_as_cut():
    bench = make_bench()
    run = await bench.open(chat("hello"))
    async for _ in run:
        pass
    await run.aclose(Outcome.CUT)
    assert [r.outcome for r in bench.sink.records] == [Outcome.FINISHED]


async def test_an_engine_that_fails_before_the_first_token_costs_nothing():
    bench = make_bench(engine=BrokenEngine(num_good=0))
    run = await bench.open(chat("hello"))
    with pytest.raises(EngineFailed):
        await run.__anext__()
    await run.aclose()
    assert (bench.sink.records[0].outcome, bench.sink.records[0].usage) == (Outcome.FAILED, Usage())


async def test_an_engine_that_fails_later_is_charged_for_what_was_delivered():
    for is_stream, num_delivered in ((True, 2), (False, 0)):
        bench = make_bench(engine=BrokenEngine(num_good=2))
        run = await bench.open(chat("hello", is_stream=is_stream))
        with pytest.raises(EngineFailed):
            async for _ in run:
                pass
        await run.aclose()
        (record,) = bench.sink.records
        assert (record.outcome, record.usage.output_tokens) == (Outcome.FAILED, num_delivered)
    assert bench.pool.num_free_slots == 4


async def test_one_failed_round_of_many_ends_them_all():
    bench = make_bench(engine=BrokenEngine(num_good=1))
    run = await bench.open(completion("a", "b", "c", max_tokens=5))
    with pytest.raises(EngineFailed):
        async for _ in run:
            pass
    await run.aclose()
    assert bench.pool.num_free_slots == 4
    assert len(bench.sink.records) == 1


async def test_cancelling_the_close_still_settles():
    bench = make_bench()
    gate = bench.sink.gate = Gate()
    run = await bench.open(chat("hello"))
    closing = asyncio.ensure_future(run.aclose())
    await gate.reached.wait()
    closing.cancel()
    await asyncio.sleep(0)
    assert not closing.done()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert len(bench.sink.records) == 1


async def test_what_is_charged_as_finished_is_told_also_to_whoever_is_cancelled_meanwhile():
    bench = make_bench()
    gate = bench.sink.gate = Gate()
    run = await bench.open(chat("hello"))
    reading = asyncio.ensure_future(_all_of(run))
    await gate.reached.wait()
    reading.cancel()
    await asyncio.sleep(0)
    gate.open.set()
    events = await reading
    assert isinstance(events[-1], Finished)
    assert [record.outcome for record in bench.sink.records] == [Outcome.FINISHED]


async def test_a_settlement_that_fails_while_its_reader_is_cancelled_raises_its_error():
    bench = make_bench()
    gate = bench.sink.gate = Gate(error=OSError("the disk"))
    run = await bench.open(chat("hello"))
    reading = asyncio.ensure_future(_all_of(run))
    await gate.reached.wait()
    reading.cancel()
    await asyncio.sleep(0)
    gate.open.set()
    with pytest.raises(OSError, match="the disk"):
        await reading


async def _all_of(run):
    return [event async for event in run]


async def test_a_request_that_waits_for_a_slot_can_leave_the_queue():
    bench = make_bench(engine=EchoEngine(num_slots=1))
    first = await bench.open(chat("first", is_stream=True))
    await first.__anext__()
    second = await bench.open(chat("second"))
    third = await bench.open(chat("third"))
    assert bench.pool.num_waiting == 2
    await second.aclose()
    assert bench.pool.num_waiting == 1
    await first.aclose()
    assert texts([event async for event in third]) == {0: "third"}
    assert [r.outcome for r in bench.sink.records] == [Outcome.ABORTED, Outcome.ABORTED, Outcome.FINISHED]


async def test_a_full_queue_refuses_and_leaves_nothing_behind():
    bench = make_bench(engine=EchoEngine(num_slots=1), max_waiting=1)
    first = await bench.open(chat("first"))
    second = await bench.open(chat("second"))
    with pytest.raises(Overloaded):
        await bench.open(chat("third"))
    await first.aclose()
    await second.aclose()
    assert bench.pool.num_free_slots == 1
    assert len(bench.sink.records) == 2


async def test_cancelling_the_reader_mid_stream_leaves_a_run_that_closes_cleanly():
    bench = make_bench(engine=EchoEngine(num_slots=4, token_delay_seconds=0.01))
    run = await bench.open(chat("a long text that takes a while to be told"))

    async def read() -> None:
        async for _ in run:
            pass

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(0.05)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await run.aclose()
    assert bench.engine.num_open_rounds == 0
    assert bench.pool.num_free_slots == 4
    assert [r.outcome for r in bench.sink.records] == [Outcome.ABORTED]
