"""A round on the llama.cpp worker: what it is told, and what is left untold when its client goes."""

from parley.core.events import Delta
from parley.core.round_messages import Entry
from parley.serving.engines.round import Host, LlamaGeneration
from tests.builders_engines import round_of


async def test_tokens_that_came_and_were_not_told_are_counted_when_the_round_is_left():
    aborts = []
    generation = LlamaGeneration(
        round_of([1, 2], max_tokens=9, num_sequences=2),
        Host(on_abort=lambda: aborts.append(1), on_close=lambda: None),
    )
    generation.begun(0)
    for token_id in (5, 6, 7):
        generation.push(Entry(1, token_id % 2, "x", token_id), None)
    assert await anext(generation) == Delta(1, "x", 1)
    assert await generation.aclose() == 2
    assert await generation.aclose() == 0
    assert aborts == [1]
