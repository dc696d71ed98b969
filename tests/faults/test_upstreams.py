"""Upstreams that lie, redirect, or are left in the middle: what is charged, where the key goes, whose reply comes."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from msgspec import structs

from parley.core.errors import EngineFailed, UnsupportedParameter
from parley.core.estimate import estimate_tokens, num_text_bytes
from parley.core.price import FREE, Price
from parley.core.requests import (
    AnswerLabel,
    ChatMessage,
    ChatPrompt,
    Function,
    GenerationRequest,
    Prompt,
    Schema,
    TextPrompt,
    ToolCall,
    Tools,
)
from parley.core.snapshot import EngineKind, Weights
from parley.core.template import Role
from parley.core.upstream import UpstreamKind
from parley.core.usage import Doubt, Outcome
from tests.builders_engines import HANG_SECONDS, round_of
from tests.builders_serving import Bench, chat, completion, make_bench, make_snapshot, texts
from tests.builders_upstreams import (
    KEY,
    FakeUpstream,
    Received,
    Script,
    Wire,
    chunk,
    engine_on,
    fake_upstream,
    saying,
    upstream_at,
    usage_chunk,
    words,
)


def weights_of(
    kind: UpstreamKind, url: str = "http://127.0.0.1:9/v1", *, sees: bool = False, context: int = 1_000
) -> Weights:
    return Weights(
        name="far",
        engine=EngineKind.UPSTREAM,
        path=None,
        sha256=None,
        context_length=context,
        template="plain",
        upstream=replace(upstream_at(url, kind), takes_pictures=sees),
    )


PRICE = Price(version="test:1", input_token_nano=2, cached_token_nano=1, output_token_nano=3)


@asynccontextmanager
async def serving_on(
    *scripts: Script,
    kind: UpstreamKind = UpstreamKind.LLAMA_SERVER,
    sees: bool = False,
    paid_nano: int | None = None,
    context: int = 1_000,
) -> AsyncIterator[tuple[Bench, FakeUpstream]]:
    """A whole Serving whose only model is at a fake upstream; with `paid_nano` it costs, and so much was paid in."""
    async with fake_upstream(*scripts) as fake:
        weights = weights_of(kind, fake.url, sees=sees, context=context)
        async with engine_on(upstream_at(fake.url, kind)) as engine:
            price = FREE if paid_nano is None else PRICE
            snapshot = make_snapshot(weights=weights, context=context, price=price)
            bench = make_bench(engine=engine, snapshots=(snapshot,), is_metered=paid_nano is not None)
            if paid_nano:
                bench.billing.books.add_credit("org_a", paid_nano)
            yield bench, fake


async def fails(bench: Bench, request: GenerationRequest) -> None:
    run = await bench.open(request)
    with pytest.raises(EngineFailed):
        async for _ in run:
            pass
    await run.aclose()


@pytest.mark.parametrize(
    ("reported", "doubt"),
    [
        (80, Doubt.DISPUTED),
        (0, Doubt.DISPUTED),
        (-40, Doubt.DISPUTED),
        ("forty", Doubt.ESTIMATED),
        (10**30, Doubt.ESTIMATED),
        (None, Doubt.ESTIMATED),
        (42, Doubt.DISPUTED),
        (40, None),
        (41, None),
    ],
)
async def test_a11_a_lie_about_usage_costs_nobody_a_token_and_stands_on_the_record(
    reported: object, doubt: Doubt
) -> None:
    script = words(40, reported=reported, prompt=3)
    # vLLM names its tokens: no token could have been hidden.
    named = saying(*(chunk("word ", token_ids=[7]) for _ in range(40)), chunk(finish="stop"), usage_chunk(3, reported))
    async with serving_on(script if reported is None else named, kind=UpstreamKind.VLLM) as (bench, _):
        await bench.run(completion("one two three", max_tokens=100))
    (record,) = bench.sink.records
    assert record.usage.output_tokens == 40
    assert record.doubt is doubt
    assert record.outcome is Outcome.FINISHED


async def test_a11_the_lower_of_two_counts_is_charged() -> None:
    async with serving_on(words(40, reported=12)) as (bench, _):
        await bench.run(completion("x", max_tokens=100))
    assert bench.sink.records[0].usage.output_tokens == 12
    assert bench.sink.records[0].doubt is Doubt.DISPUTED


async def test_a11_twice_the_tokens_are_seen_also_where_the_server_names_none() -> None:
    async with serving_on(words(40, reported=80)) as (bench, _):
        await bench.run(completion("x", max_tokens=100))
    assert bench.sink.records[0].usage.output_tokens == 40
    assert bench.sink.records[0].doubt is Doubt.DISPUTED


async def test_a11_a_dispute_is_logged_with_both_counts(caplog: pytest.LogCaptureFixture) -> None:
    async with serving_on(words(40, reported=80, prompt=10**6)) as (bench, _):
        await bench.run(completion("hello there", max_tokens=100))
    (line,) = [record for record in caplog.records if record.message == "upstream_usage_disputed"]
    assert (line.reported_output, line.charged_output, line.reported_input) == (80, 40, 10**6)
    assert bench.sink.records[0].usage.input_tokens == 3


async def test_the_prompt_of_an_upstream_is_estimated_until_it_has_told_its_count() -> None:
    async with serving_on(words(2, reported=2, prompt=17)) as (bench, _):
        run = await bench.open(completion("twelve bytes", max_tokens=5))
        assert run.grant.prompts[0].num_tokens == 3
        async for _event in run:
            pass
    assert bench.sink.records[0].usage.input_tokens == 17
    assert bench.sink.records[0].doubt is None


LONG = "x" * 4_000
_CALL = ChatMessage(role=Role.ASSISTANT, content="", calls=(ToolCall(name="f", arguments=LONG, call_id="c"),))
_SCHEMA = Schema(text=json.dumps({"title": LONG}), subject="s", param="p")


@pytest.mark.parametrize(
    "prompt",
    [
        ChatPrompt(messages=(ChatMessage(role=Role.USER, content=LONG),)),
        ChatPrompt(messages=(ChatMessage(role=Role.USER, content="", name=LONG),)),
        ChatPrompt(messages=(ChatMessage(role=Role.TOOL, content="", call_id=LONG),)),
        ChatPrompt(messages=(_CALL,)),
        ChatPrompt(messages=(), answer=_SCHEMA),
        ChatPrompt(
            messages=(),
            answer=Schema(text="", subject="s", param="p", label=AnswerLabel(name="a", description=LONG)),
        ),
        *(
            ChatPrompt(messages=(), tools=Tools(functions=(function,)))
            for function in (
                Function(name="f", description=LONG, parameters=None),
                Function(name=LONG, description=None, parameters=None),
                Function(name="f", description=None, parameters=_SCHEMA),
            )
        ),
        TextPrompt(text=LONG),
        TextPrompt(text="", suffix=LONG),
    ],
)
def test_a11_every_text_that_is_sent_is_in_the_estimate_of_a_prompt(prompt: Prompt) -> None:
    assert 1_000 <= estimate_tokens(prompt) <= 1_020
    assert 4_000 <= num_text_bytes(prompt) <= 4_030


async def test_a11_what_stands_in_calls_and_declarations_is_charged_as_the_server_counts_it() -> None:
    tools = Tools(functions=(Function(name="f", description=LONG, parameters=_SCHEMA),))
    prompt = ChatPrompt(messages=(ChatMessage(role=Role.USER, content="hi"), _CALL), tools=tools)
    async with serving_on(words(2, reported=2, prompt=700), paid_nano=10**9) as (bench, _):
        await bench.run(structs.replace(chat("hi", max_tokens=5), prompts=(prompt,)))
    (record,) = bench.sink.records
    assert (record.usage.input_tokens, record.doubt, record.charge_nano) == (700, None, 700 * 2 + 2 * 3)


@pytest.mark.parametrize(
    ("paid", "charge"),
    # All of it; what there is; what was held for the estimate of 100 tokens and the most that may be said.
    [(10_000, 300 * 2 + 2 * 3), (250, 250), (100 * 2 + 5 * 3, 100 * 2 + 5 * 3)],
)
async def test_a11_a_prompt_that_is_longer_than_its_estimate_is_charged_as_far_as_there_is_money(
    paid: int, charge: int
) -> None:
    async with serving_on(words(2, reported=2, prompt=300), paid_nano=paid) as (bench, _):
        await bench.run(completion("\U0001f600" * 100, max_tokens=5))
    (record,) = bench.sink.records
    books = bench.billing.books
    assert (record.usage.input_tokens, record.charge_nano) == (300, charge)
    assert (books.available_nano("org_a"), books.held_nano("org_a")) == (paid - charge, 0)


async def test_a_client_that_leaves_is_charged_for_what_came_and_for_an_estimate_of_its_prompt() -> None:
    async def goes_on(wire: Wire, received: Received) -> None:
        await wire.head()
        for _ in range(3):
            await wire.event(chunk("w"))
        await wire.closed_by_client()

    async with serving_on(goes_on) as (bench, _):
        run = await bench.open(completion("twelve bytes", max_tokens=100, is_stream=True))
        for _ in range(3):
            await anext(run)
        await run.aclose()
    (record,) = bench.sink.records
    assert (record.usage.input_tokens, record.usage.output_tokens) == (3, 3)
    assert record.doubt is Doubt.ESTIMATED
    assert record.outcome is Outcome.ABORTED


async def test_a_failure_before_the_first_token_costs_nothing() -> None:
    async def dies(wire: Wire, received: Received) -> None:
        wire.reset()

    async with serving_on(dies) as (bench, _):
        await fails(bench, completion("x", max_tokens=5))
    assert bench.sink.records[0].usage.input_tokens == 0
    assert bench.sink.records[0].doubt is None


async def test_a_death_in_the_middle_is_charged_for_what_came() -> None:
    async with serving_on(saying(chunk("a"), chunk("b"), is_done=False)) as (bench, _):
        await fails(bench, completion("x", max_tokens=5, is_stream=True))
    assert bench.sink.records[0].usage.output_tokens == 2
    assert bench.sink.records[0].outcome is Outcome.FAILED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_h6_a_redirect_is_not_followed_and_the_key_goes_nowhere(status: int) -> None:
    async with fake_upstream(words(1)) as second:

        async def redirects(wire: Wire, received: Received) -> None:
            await wire.reply(status, b"", more=f"location: {second.url}/completions\r\n")

        async with serving_on(redirects) as (bench, first):
            await fails(bench, completion("x", max_tokens=5))
            assert first.received[0].headers["authorization"] == f"Bearer {KEY}"
        assert second.num_connections == 0


async def test_i14_a_round_that_is_left_at_any_point_never_gives_its_rest_to_another() -> None:
    async def tagged(wire: Wire, received: Received) -> None:
        await wire.head()
        for _ in range(4):
            await wire.event(chunk(f"{received.body['prompt']} "))
        await wire.event(chunk(finish="stop"))
        await wire.event(usage_chunk(1, 4))

    chance = random.Random(14)
    async with fake_upstream(tagged) as fake, engine_on(upstream_at(fake.url)) as engine:

        async def tenant(name: str) -> list[str]:
            request = structs.replace(round_of((), max_tokens=50), source=TextPrompt(text=name))
            told: list[str] = []
            try:
                async with asyncio.timeout(chance.choice([0, 0.0005, 0.002, 0.005, HANG_SECONDS])):
                    generation = await engine.generate(request)
                    try:
                        async for event in generation:
                            told.append(getattr(event, "text", ""))
                    finally:
                        await generation.aclose()
            except TimeoutError:
                pass
            return told

        for block in range(25):
            names = [f"tenant-{block}-{index}" for index in range(20)]
            for name, told in zip(names, await asyncio.gather(*map(tenant, names)), strict=True):
                assert set(told) <= {f"{name} ", ""}
        assert engine.num_open_rounds == 0


@pytest.mark.parametrize(
    ("kind", "request_", "param"),
    [
        (UpstreamKind.OLLAMA, chat("x", logit_bias={5: 1.0}), "logit_bias"),
        (UpstreamKind.OLLAMA, chat("x", logprobs=1), "logprobs"),
        (UpstreamKind.OLLAMA, completion("x", best_of=3), "best_of"),
        (UpstreamKind.VLLM, completion("x", echo=True, logprobs=1), "echo"),
        (UpstreamKind.LLAMA_SERVER, completion("x", echo=True, logprobs=1), "echo"),
        (UpstreamKind.VLLM, completion(prompts=(TextPrompt(text="a", suffix="b"),)), "suffix"),
        (UpstreamKind.OPENAI, completion(prompts=(TextPrompt(token_ids=(1, 2)),)), "prompt"),
        (UpstreamKind.LLAMA_SERVER, completion(prompts=(TextPrompt(token_ids=(1, 2)),)), "prompt"),
    ],
)
async def test_what_a_server_cannot_do_is_refused_by_name_before_it_is_called(
    kind: UpstreamKind, request_: GenerationRequest, param: str
) -> None:
    async with serving_on(words(1), kind=kind) as (bench, fake):
        with pytest.raises(UnsupportedParameter, match=param) as refused:
            await bench.open(request_)
        assert fake.received == []
    assert refused.value.param == param
    assert bench.sink.records == []


async def test_an_echo_without_log_probabilities_is_put_before_the_reply_here() -> None:
    async with serving_on(words(1, reported=1)) as (bench, fake):
        events = await bench.run(completion("Say: ", echo=True, max_tokens=5))
    assert texts(events) == {0: "Say: word "}
    assert "echo" not in fake.received[0].body


async def test_best_of_is_ranked_here_by_the_log_probabilities_of_several_calls() -> None:
    def candidate(text: str, logprob: float) -> Script:
        logprobs = {"tokens": [text], "token_logprobs": [logprob], "top_logprobs": [{text: logprob}]}
        return saying(chunk(text, logprobs=logprobs), chunk(finish="stop"), usage_chunk(1, 1))

    scripts = (candidate("bad", -9.0), candidate("good", -0.1), candidate("poor", -5.0))
    async with serving_on(*scripts) as (bench, fake):
        events = await bench.run(completion("x", n=1, best_of=3, max_tokens=5))
    assert texts(events) == {0: "good"}
    assert len(fake.received) == 3
    assert all("best_of" not in received.body and "n" not in received.body for received in fake.received)
    assert bench.sink.records[0].usage.output_tokens == 3
    assert bench.sink.records[0].usage.input_tokens == 1


async def test_n_is_several_calls_where_a_server_takes_one_sequence_each() -> None:
    async with serving_on(words(1, reported=1), kind=UpstreamKind.OLLAMA) as (bench, fake):
        events = await bench.run(chat("x", n=6, best_of=6, max_tokens=5, seed=7))
    assert texts(events) == dict.fromkeys(range(6), "word ")
    assert sorted(received.body["seed"] for received in fake.received) == [7, 8, 9, 10, 11, 12]


async def test_n_is_one_call_where_a_server_takes_it() -> None:
    both = saying(chunk("a", index=0, finish="stop"), chunk("b", index=1, finish="stop"), usage_chunk(1, 2))
    async with serving_on(both, kind=UpstreamKind.OPENAI) as (bench, fake):
        events = await bench.run(chat("x", n=2, best_of=2, max_tokens=5))
    assert texts(events) == {0: "a", 1: "b"}
    assert [received.body["n"] for received in fake.received] == [2]


async def test_messages_reach_the_server_as_they_were_written() -> None:
    messages = (
        ChatMessage(role=Role.DEVELOPER, content="Be brief."),
        ChatMessage(role=Role.USER, content="<|im_end|> stays", name="ann"),
        ChatMessage(role=Role.ASSISTANT, content="Yes."),
    )
    async with serving_on(words(1, reported=1)) as (bench, fake):
        await bench.run(chat("", prompts=(ChatPrompt(messages=messages),), max_tokens=5))
    # No template of ours, and so none of its stop texts.
    assert "stop" not in fake.received[0].body
    assert fake.received[0].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "<|im_end|> stays", "name": "ann"},
        {"role": "assistant", "content": "Yes."},
    ]


@pytest.mark.parametrize(("max_tokens", "sent"), [(None, None), (5, 5)])
async def test_a_limit_is_sent_only_where_the_client_set_one(max_tokens: int | None, sent: int | None) -> None:
    """Ours would rest on an estimate, and a server refuses a prompt and a limit that do not fit together."""
    async with serving_on(words(1, reported=1)) as (bench, fake):
        await bench.run(chat("x", max_tokens=max_tokens))
    assert fake.received[0].body.get("max_tokens") == sent
