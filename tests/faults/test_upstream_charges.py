"""What a request at an upstream costs: one chunk with a whole call, counts above the maximum, prompts that nobody began."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
from msgspec import structs

from parley.core.errors import Overloaded
from parley.core.events import Finished
from parley.core.requests import GenerationRequest, TextPrompt
from parley.core.upstream import UpstreamKind
from parley.core.usage import Doubt, Outcome, Usage
from tests.builders_engines import HANG_SECONDS, round_of
from tests.builders_serving import Bench, chat, completion
from tests.builders_upstreams import (
    Received,
    Script,
    Wire,
    chat_chunk,
    engine_on,
    fake_upstream,
    saying,
    upstream_at,
    usage_chunk,
    words,
)
from tests.faults.test_upstreams import PRICE, serving_on


def one_call(num_bytes: int, *, reported: int, prompt: int = 3) -> Script:
    """A chat whose answer is one call, in one chunk."""
    call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": json.dumps({"a": "x" * num_bytes})}}
    return saying(chat_chunk(tool_calls=[call]), chat_chunk(finish="tool_calls"), usage_chunk(prompt, reported))


@pytest.mark.parametrize("max_tokens", [None, 5_000])
async def test_a11_what_came_in_one_chunk_is_charged_whole_with_a_stated_maximum_and_without(
    max_tokens: int | None,
) -> None:
    script = one_call(8_000, reported=4_000)
    async with serving_on(script, kind=UpstreamKind.OPENAI, paid_nano=10**6, context=32_000) as (bench, _):
        await bench.run(chat("hi", max_tokens=max_tokens))
    (record,) = bench.sink.records
    assert (record.usage.output_tokens, record.doubt) == (4_000, None)
    assert record.charge_nano == 3 * 2 + 4_000 * 3
    assert bench.billing.books.available_nano("org_a") == 10**6 - record.charge_nano


async def test_a11_what_came_in_one_chunk_is_charged_as_far_as_there_is_money_for_it() -> None:
    script = one_call(8_000, reported=4_000)
    async with serving_on(script, kind=UpstreamKind.OPENAI, paid_nano=6_000, context=32_000) as (bench, _):
        await bench.run(chat("hi"))
    assert bench.billing.books.available_nano("org_a") < PRICE.output_token_nano
    assert bench.billing.books.held_nano("org_a") == 0


async def test_a11_a_reply_may_have_the_room_that_an_estimate_of_its_prompt_denied_it() -> None:
    script = one_call(2_000, reported=600, prompt=400)
    async with serving_on(script, kind=UpstreamKind.OPENAI, paid_nano=10**6) as (bench, _):
        run = await bench.open(chat("x" * 3_600))
        assert run.grant.max_tokens[0] < 600
        async for _event in run:
            pass
    (record,) = bench.sink.records
    assert (record.usage.output_tokens, record.doubt, record.charge_nano) == (600, None, 400 * 2 + 600 * 3)


@pytest.mark.parametrize(
    ("script", "max_tokens", "charged"),
    [
        # Their text could have been so many tokens.
        (saying(*[chat_chunk("\U0001f600")] * 5, chat_chunk(finish="length"), usage_chunk(3, 23)), 5, 5),
        (one_call(2_000, reported=2_010), 20, 1),
    ],
)
async def test_a11_a_count_above_the_maximum_is_disputed_and_not_charged(
    script: Script, max_tokens: int, charged: int
) -> None:
    async with serving_on(script, kind=UpstreamKind.OPENAI, paid_nano=10**6) as (bench, _):
        events = await bench.run(chat("x" * 400, max_tokens=max_tokens))
    (record,) = bench.sink.records
    assert (record.usage.output_tokens, record.doubt) == (charged, Doubt.DISPUTED)
    assert record.charge_nano == 3 * 2 + charged * 3
    assert isinstance(events[-1], Finished)
    assert events[-1].usage.output_tokens == charged


@pytest.mark.parametrize(("reported", "charged", "doubt"), [(24, 24, None), (40, 3, Doubt.DISPUTED)])
async def test_a11_what_one_sequence_left_of_its_maximum_is_no_other_s(
    reported: int, charged: int, doubt: Doubt | None
) -> None:
    long = {"index": 1, "delta": {"content": "\U0001f600" * 10}, "finish_reason": "length"}
    both = saying(chat_chunk("a"), chat_chunk("b", finish="stop"), {"choices": [long]}, usage_chunk(3, reported))
    async with serving_on(both, kind=UpstreamKind.OPENAI, paid_nano=10**6) as (bench, _):
        await bench.run(chat("x", n=2, max_tokens=20))
    assert (bench.sink.records[0].usage.output_tokens, bench.sink.records[0].doubt) == (charged, doubt)


async def leaves_once(reached: asyncio.Event, bench: Bench, request: GenerationRequest) -> None:
    """Run a request whose client leaves when that is reached."""
    run = await bench.open(request)

    async def events() -> None:
        async for _event in run:
            pass

    reading = asyncio.ensure_future(events())
    await asyncio.wait_for(reached.wait(), HANG_SECONDS)
    reading.cancel()
    await asyncio.wait({reading})
    await run.aclose()


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("status", [429, 502, 503])
async def test_a_client_that_leaves_while_its_call_waits_to_be_made_again_pays_for_no_prompt(
    status: int, is_stream: bool
) -> None:
    refused = asyncio.Event()

    async def refuses(wire: Wire, received: Received) -> None:
        await wire.reply(status, b"", more="retry-after: 1\r\n")
        await wire.closed_by_client()
        refused.set()

    async with serving_on(refuses, paid_nano=10**6) as (bench, _):
        await leaves_once(refused, bench, completion("x" * 400, max_tokens=5, is_stream=is_stream))
    (record,) = bench.sink.records
    assert (record.outcome, record.usage, record.doubt, record.charge_nano) == (Outcome.ABORTED, Usage(), None, 0)
    assert bench.billing.books.available_nano("org_a") == 10**6


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_client_that_leaves_while_the_server_has_its_call_pays_for_the_prompt(is_stream: bool) -> None:
    taken = asyncio.Event()

    async def says_nothing(wire: Wire, received: Received) -> None:
        taken.set()
        await wire.closed_by_client()

    async with serving_on(says_nothing, paid_nano=10**6) as (bench, _):
        await leaves_once(taken, bench, completion("x" * 400, max_tokens=5, is_stream=is_stream))
    (record,) = bench.sink.records
    assert (record.usage.input_tokens, record.doubt, record.charge_nano) == (100, Doubt.ESTIMATED, 100 * 2)


async def test_a_prompt_counts_where_the_server_took_one_of_its_calls() -> None:
    taken, refused = asyncio.Event(), asyncio.Event()

    async def takes_the_first(wire: Wire, received: Received) -> None:
        if received.body["seed"] == 7:
            taken.set()
            await wire.closed_by_client()
        else:
            await taken.wait()
            await wire.reply(429, b"", more="retry-after: 1\r\n")
            await wire.closed_by_client()
            refused.set()

    async with serving_on(takes_the_first, paid_nano=10**6) as (bench, fake):
        await leaves_once(refused, bench, completion("x" * 400, max_tokens=5, n=2, seed=7))
    assert sorted(received.body["seed"] for received in fake.received) == [7, 8]
    assert [record.charge_nano for record in bench.sink.records] == [100 * 2]


async def test_nobody_has_begun_on_the_prompt_of_a_call_that_could_not_be_made() -> None:
    async with AsyncExitStack() as here:
        fake = await here.enter_async_context(fake_upstream(words(1)))
        async with engine_on(upstream_at(fake.url)) as engine:
            await here.aclose()
            generation = await engine.generate(structs.replace(round_of(()), source=TextPrompt(text="x")))
            with pytest.raises(Overloaded):
                await anext(generation)
            assert await generation.aclose() is None
