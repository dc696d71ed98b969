"""Engines that die under a request: what is run again, what is told to whom, and what is charged."""

import asyncio
from collections.abc import Sequence

import pytest

from parley.core.errors import EngineDied, RequestQuarantined
from parley.core.events import Delta, Event, Finished, FinishReason, ScoredToken, SequenceFinished
from parley.core.requests import GenerationRequest, SequenceRequest
from parley.core.usage import Outcome, Usage
from tests.builders_serving import Bench, chat, completion, make_bench, texts


class Dying:
    """An engine whose next lives end after so many deltas of a round; when they are used up, rounds end well."""

    num_slots = 4

    def __init__(self, *lives: int, suspects: frozenset[str] = frozenset()) -> None:
        self._lives = list(lives)
        self.rounds: list[SequenceRequest] = []
        self.num_scored = 0

    async def generate(self, request: SequenceRequest) -> "Mortal":
        self.rounds.append(request)
        return Mortal(self._lives.pop(0) if self._lives else None)

    async def score(self, prompt: Sequence[int], *, num_top: int) -> list[ScoredToken]:
        self.num_scored += 1
        if self._lives:
            self._lives.pop(0)
            # Long enough for the round beside it to have begun.
            for _ in range(10):
                await asyncio.sleep(0)
            raise EngineDied("died while it scored")
        return [ScoredToken(token_id, b"x", -1.0) for token_id in prompt]

    async def abort(self, round_id: str) -> None:
        return


class Mortal:
    """Says `x` five times, unless it dies before."""

    def __init__(self, dies_after: int | None) -> None:
        self._left = dies_after
        deltas = [Delta(0, "x", 1) for _ in range(5)]
        self._events: list[Event] = [*deltas, SequenceFinished(0, FinishReason.STOP), Finished(Usage())]

    def __aiter__(self) -> "Mortal":
        return self

    async def __anext__(self) -> Event:
        await asyncio.sleep(0)
        if self._left == 0:
            raise EngineDied("died")
        if self._left is not None:
            self._left -= 1
        return self._events.pop(0)

    async def aclose(self) -> int:
        return 0


async def run(bench: Bench, request: GenerationRequest) -> list[Event]:
    """As a reply does it: whatever happens, the Run is closed."""
    opened = await bench.open(request)
    try:
        return [event async for event in opened]
    finally:
        await opened.aclose()


async def test_the_only_request_of_a_dead_engine_is_not_run_again():
    bench = make_bench(engine=Dying(0))
    with pytest.raises(RequestQuarantined):
        await run(bench, chat("poison"))
    assert len(bench.engine.rounds) == 1
    assert bench.sink.records[0].outcome is Outcome.FAILED
    assert bench.sink.records[0].usage == Usage()


async def test_c3_the_same_request_is_refused_for_ten_minutes_and_reaches_no_engine():
    bench = make_bench(engine=Dying(0))
    with pytest.raises(RequestQuarantined):
        await run(bench, chat("poison"))
    bench.clock.advance(599.0)
    with pytest.raises(RequestQuarantined):
        await bench.open(chat("poison"))
    assert texts(await run(bench, chat("another"))) == {0: "xxxxx"}
    assert len(bench.engine.rounds) == 2
    bench.clock.advance(1.0)
    assert texts(await run(bench, chat("poison"))) == {0: "xxxxx"}


async def run_beside(bench: Bench, *requests: GenerationRequest) -> list:
    """All at once; what each gave."""
    return await asyncio.gather(*(run(bench, request) for request in requests), return_exceptions=True)


async def test_c3_an_innocent_is_run_again_and_charged_once():
    bench = make_bench(engine=Dying(3, 0))
    innocent, poison = await run_beside(bench, completion("innocent"), completion("poison"))
    assert texts(innocent) == {0: "xxxxx"}
    assert isinstance(poison, RequestQuarantined)
    charged = {record.outcome: record.usage.output_tokens for record in bench.sink.records}
    assert charged == {Outcome.FINISHED: 5, Outcome.FAILED: 0}
    assert len(bench.engine.rounds) == 3


async def test_a_stream_that_was_told_something_fails_and_is_charged_for_it():
    bench = make_bench(engine=Dying(3, 0))
    told, _ = await run_beside(bench, completion("told", is_stream=True), completion("poison"))
    assert type(told) is EngineDied
    assert [record.usage.output_tokens for record in bench.sink.records if record.is_stream] == [3]


async def test_a_stream_that_was_told_nothing_is_run_again():
    bench = make_bench(engine=Dying(0, 0))
    first, second = await run_beside(bench, completion("one", is_stream=True), completion("two", is_stream=True))
    assert texts(first) == texts(second) == {0: "xxxxx"}


async def test_suspects_are_run_again_one_by_one():
    bench = make_bench(engine=Dying(0, 0, 0))
    results = await run_beside(bench, completion("one"), completion("two"), completion("three"))
    assert [texts(result) for result in results] == [{0: "xxxxx"}] * 3
    # Each was alone the second time: the whole pool was its own.
    assert bench.pool.num_free_slots == 4


async def test_the_one_that_kills_again_alone_is_guilty_and_the_others_are_answered():
    bench = make_bench(engine=Dying(0, 0, 0))
    results = await run_beside(bench, completion("one"), completion("two"))
    guilty = [result for result in results if isinstance(result, RequestQuarantined)]
    whole = [result for result in results if not isinstance(result, BaseException)]
    assert (len(guilty), len(whole)) == (1, 1)
    assert len(bench.engine.rounds) == 4


async def test_a_score_whose_engine_died_beside_another_round_is_made_again():
    bench = make_bench(engine=Dying(0, 0))
    request = completion("echoed", echo=True, logprobs=0, max_tokens=0)
    scored, _ = await run_beside(bench, request, completion("other"))
    assert texts(scored)[0]
    assert bench.engine.num_scored == 2


async def test_slots_are_free_after_every_death():
    bench = make_bench(engine=Dying(0, 2, 0, 4, 1, 0))
    await run_beside(bench, *(completion(str(number), is_stream=number % 2 == 0) for number in range(8)))
    assert bench.pool.num_free_slots == 4
    assert bench.pool.num_waiting == 0
    assert len(bench.sink.records) == 8
