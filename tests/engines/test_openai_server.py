"""The adapter for OpenAI-compatible servers on a fake one: retries, broken streams, refusals, aborts, credentials."""

import asyncio
import logging
from dataclasses import replace

import pytest
from msgspec import structs

from parley.core.errors import (
    ContextLengthExceeded,
    EngineFailed,
    InvalidRequest,
    ModelLoadFailed,
    Overloaded,
    ParleyError,
)
from parley.core.events import Delta, Finished, FinishReason
from parley.core.requests import ChatMessage, ChatPrompt, SequenceRequest, TextPrompt
from parley.core.template import Role
from parley.core.upstream import UpstreamKind
from parley.serving.prompting.echo_tokenizer import EchoTokenizer
from tests.builders_engines import HANG_SECONDS, round_of, run_round
from tests.builders_upstreams import (
    KEY,
    QUICK,
    Received,
    Script,
    Wire,
    chat_chunk,
    chunk,
    engine_on,
    fake_upstream,
    saying,
    upstream_at,
    usage_chunk,
    words,
)
from tests.live import free_port


def text_round(text: str = "Hello", **changes: object) -> SequenceRequest:
    request = round_of((), **changes)  # type: ignore[arg-type]
    return structs.replace(request, source=TextPrompt(text=text))


def chat_round(text: str = "Hello", **changes: object) -> SequenceRequest:
    request = round_of((), **changes)  # type: ignore[arg-type]
    return structs.replace(request, source=ChatPrompt(messages=(ChatMessage(role=Role.USER, content=text),)))


def answering(status: int, body: object = None, *, content_type: str = "application/json", more: str = "") -> Script:
    async def script(wire: Wire, received: Received) -> None:
        await wire.reply(
            status, {"error": {"message": "m"}} if body is None else body, content_type=content_type, more=more
        )

    return script


async def test_a_chat_goes_as_messages_and_its_answer_comes_as_events() -> None:
    script = saying(
        chat_chunk(None, role="assistant"),
        chat_chunk("Hi "),
        chat_chunk("there"),
        chat_chunk(finish="stop"),
        {
            "choices": [],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
        },
    )
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url)) as engine:
        outcome = await run_round(engine, chat_round("How?", temperature=0.5, seed=3, stop=("x",)))
        assert engine.num_open_rounds == 0
    assert outcome.texts == ["Hi there"]
    assert outcome.reasons == [FinishReason.STOP]
    assert (outcome.usage.input_tokens, outcome.usage.cached_tokens, outcome.usage.output_tokens) == (9, 4, 2)
    (received,) = fake.received
    assert received.path == "/v1/chat/completions"
    assert received.body["messages"] == [{"role": "user", "content": "How?"}]
    assert received.body["temperature"] == 0.5
    assert received.body["seed"] == 3
    assert received.body["stop"] == ["x"]
    assert received.headers["authorization"] == f"Bearer {KEY}"


async def test_health_is_a_generation_of_one_token() -> None:
    async with fake_upstream(words(1)) as fake, engine_on(upstream_at(fake.url)):
        assert fake.num_probes == 1


@pytest.mark.parametrize(
    "probe",
    [
        answering(503),
        answering(401),
        answering(200, b"<html>", content_type="text/html"),
        answering(404, {"error": {"message": "no such model", "code": "model_not_found"}}),
    ],
)
async def test_a_server_that_generates_nothing_is_not_ready(probe: Script) -> None:
    async with fake_upstream(words(1), probe=probe) as fake:
        with pytest.raises(ModelLoadFailed):
            async with engine_on(upstream_at(fake.url)):
                pass


@pytest.mark.parametrize("kind", [UpstreamKind.OPENAI, UpstreamKind.VLLM])
@pytest.mark.parametrize("can_chat", [True, False])
async def test_health_is_asked_for_in_what_the_model_can(kind: UpstreamKind, can_chat: bool) -> None:
    async def has_one_route(wire: Wire, received: Received) -> None:
        is_there = received.path == ("/v1/chat/completions" if can_chat else "/v1/completions")
        await wire.reply(200 if is_there else 404, {})

    async with fake_upstream(words(1), probe=has_one_route) as fake:
        async with engine_on(replace(upstream_at(fake.url, kind), can_chat=can_chat)):
            assert fake.num_probes == 1


async def test_a_server_that_is_not_there_is_not_ready() -> None:
    with pytest.raises(ModelLoadFailed) as refused:
        async with engine_on(upstream_at(f"http://127.0.0.1:{free_port()}/v1")):
            pass
    assert "cannot be reached" in refused.value.detail


@pytest.mark.parametrize("status", [429, 502, 503])
async def test_a_refusal_that_says_later_is_tried_again(status: int) -> None:
    scripts = (answering(status, more="retry-after: 0\r\n"), answering(status), words(3, reported=3))
    async with fake_upstream(*scripts) as fake, engine_on(upstream_at(fake.url)) as engine:
        outcome = await run_round(engine, text_round())
        assert len(fake.received) == 3
    assert outcome.num_tokens == [3]


async def test_tries_are_few_and_then_the_client_may_try_again() -> None:
    async with fake_upstream(answering(503)) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(Overloaded):
            await run_round(engine, text_round())
        assert len(fake.received) == 3
        assert engine.num_open_rounds == 0


async def test_a_long_wish_to_be_left_alone_is_passed_on_at_once() -> None:
    async with (
        fake_upstream(answering(429, more="retry-after: 90\r\n")) as fake,
        engine_on(upstream_at(fake.url)) as engine,
    ):
        with pytest.raises(Overloaded) as refused:
            await run_round(engine, text_round())
        assert len(fake.received) == 1
    assert refused.value.retry_after_seconds == 90


async def test_a_server_that_went_away_is_tried_again_and_then_said_to_be_unavailable() -> None:
    async with fake_upstream(words(1)) as fake:
        engine_context = engine_on(upstream_at(fake.url))
        engine = await engine_context.__aenter__()
    # The fake is closed here: nobody listens any more.
    try:
        with pytest.raises(Overloaded):
            await run_round(engine, text_round())
    finally:
        await engine_context.__aexit__(None, None, None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500, 504, 302, 204])
async def test_other_refusals_are_never_tried_again(status: int) -> None:
    async with fake_upstream(answering(status)) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(ParleyError) as refused:
            await run_round(engine, text_round())
        assert len(fake.received) == 1
    expected = InvalidRequest if status in (400, 422) else EngineFailed
    assert isinstance(refused.value, expected)


async def test_a_server_that_dies_after_it_took_the_request_is_not_tried_again() -> None:
    async def dies(wire: Wire, received: Received) -> None:
        wire.reset()

    async with fake_upstream(dies) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(EngineFailed):
            await run_round(engine, text_round())
        assert len(fake.received) == 1


@pytest.mark.parametrize(
    "error",
    [{"code": "context_length_exceeded"}, {"code": 400, "type": "exceed_context_size_error"}],
    ids=["openai", "llama-server"],
)
async def test_a_prompt_that_the_server_finds_too_long_is_the_clients_affair(error: dict[str, object]) -> None:
    script = answering(400, {"error": {"message": "too long", **error}})
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(ContextLengthExceeded):
            await run_round(engine, text_round())


async def cut_stream(wire: Wire, received: Received) -> None:
    await wire.head()
    await wire.event(chunk("one"))


async def reset_stream(wire: Wire, received: Received) -> None:
    await cut_stream(wire, received)
    wire.reset()


async def cut_chunked_stream(wire: Wire, received: Received) -> None:
    await wire.head(more="transfer-encoding: chunked\r\n")
    await wire.send(b"20\r\ndata: {")


async def page(wire: Wire, received: Received) -> None:
    await wire.reply(200, b"<html>welcome</html>", content_type="text/html")


async def whole_reply(wire: Wire, received: Received) -> None:
    await wire.reply(200, {"choices": [{"text": "not a stream", "index": 0, "finish_reason": "stop"}]})


@pytest.mark.parametrize(
    "script",
    [
        cut_stream,
        reset_stream,
        cut_chunked_stream,
        page,
        whole_reply,
        saying(chunk("one"), {"error": {"message": "died in 0xdead", "code": 500}}),
        saying(chunk("one"), "no chunk"),
        saying(chunk("one"), {"choices": "many"}),
        saying(chunk("one", index=7)),
        saying(chunk("one", index=-1)),
        saying(chunk("one"), chunk(finish="abort")),
        saying(is_done=True),
        saying(chunk("one", logprobs={"tokens": ["a", "b"], "token_logprobs": [-1.0]}), chunk(finish="stop")),
    ],
    ids=[
        "cut", "reset", "cut in a chunk", "page", "not streamed", "error", "text", "wrong type", "index", "negative index",
        "aborted there", "nothing", "arrays that do not fit",
    ],
)  # fmt: skip
async def test_a_broken_stream_is_a_failure_of_the_engine(script: Script) -> None:
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url)) as engine:
        async with asyncio.timeout(HANG_SECONDS):
            with pytest.raises(EngineFailed):
                await run_round(engine, text_round(logprobs=1))
        assert engine.num_open_rounds == 0


async def test_a_server_that_falls_silent_fails_its_round() -> None:
    asked = asyncio.Event()

    async def silent(wire: Wire, received: Received) -> None:
        await wire.head()
        await wire.event(chunk("one"))
        asked.set()
        await wire.closed_by_client()

    deadlines = replace(QUICK, stall=0.2)
    async with fake_upstream(silent) as fake, engine_on(upstream_at(fake.url), deadlines=deadlines) as engine:
        async with asyncio.timeout(HANG_SECONDS):
            with pytest.raises(EngineFailed) as failed:
                await run_round(engine, text_round())
        assert asked.is_set()
    assert "said nothing" in failed.value.detail


async def test_a_server_that_only_pings_says_nothing() -> None:
    async def pings(wire: Wire, received: Received) -> None:
        await wire.head()
        while True:
            await wire.send(b": ping\n\n")
            await asyncio.sleep(0.02)

    deadlines = replace(QUICK, first=0.3)
    async with fake_upstream(pings) as fake, engine_on(upstream_at(fake.url), deadlines=deadlines) as engine:
        async with asyncio.timeout(HANG_SECONDS):
            with pytest.raises(EngineFailed):
                await run_round(engine, text_round())


async def test_a_stream_without_its_last_word_is_complete_when_every_sequence_is() -> None:
    script = saying(chunk("one"), chunk(finish="stop"), usage_chunk(1, 1), is_done=False)
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url)) as engine:
        assert (await run_round(engine, text_round())).num_tokens == [1]


async def test_closing_a_round_closes_its_connection() -> None:
    is_closed = asyncio.Event()

    async def goes_on(wire: Wire, received: Received) -> None:
        await wire.head()
        await wire.event(chunk("one"))
        await wire.closed_by_client()
        is_closed.set()

    async with fake_upstream(goes_on) as fake, engine_on(upstream_at(fake.url)) as engine:
        generation = await engine.generate(text_round())
        assert isinstance(await anext(generation), Delta)
        await generation.aclose()
        async with asyncio.timeout(HANG_SECONDS):
            await is_closed.wait()
        assert [event async for event in generation] == []
        assert engine.num_open_rounds == 0


async def test_a_round_closed_before_the_server_answered_closes_its_connection() -> None:
    has_come, is_closed = asyncio.Event(), asyncio.Event()

    async def never(wire: Wire, received: Received) -> None:
        has_come.set()
        await wire.closed_by_client()
        is_closed.set()

    async with fake_upstream(never) as fake, engine_on(upstream_at(fake.url)) as engine:
        request = text_round()
        generation = await engine.generate(request)
        waiting = asyncio.create_task(anext(generation, None))
        async with asyncio.timeout(HANG_SECONDS):
            await has_come.wait()
            await engine.abort(request.round_id)
            assert await waiting is None
            await is_closed.wait()


async def test_a_server_that_says_more_than_it_was_allowed_is_cut() -> None:
    is_closed = asyncio.Event()

    async def endless(wire: Wire, received: Received) -> None:
        await wire.head()
        for _ in range(500):
            await wire.event(chunk("word "))
        await wire.closed_by_client()
        is_closed.set()

    async with fake_upstream(endless) as fake, engine_on(upstream_at(fake.url)) as engine:
        async with asyncio.timeout(HANG_SECONDS):
            outcome = await run_round(engine, text_round(max_tokens=5))
            await is_closed.wait()
    assert outcome.num_tokens == [5]
    assert outcome.reasons == [FinishReason.LENGTH]


async def test_a_limit_that_the_client_did_not_ask_for_is_not_sent_and_holds_all_the_same() -> None:
    async with fake_upstream(words(9)) as fake, engine_on(upstream_at(fake.url)) as engine:
        outcome = await run_round(engine, structs.replace(text_round(max_tokens=5), is_limit_asked=False))
    assert "max_tokens" not in fake.received[0].body
    assert outcome.num_tokens == [5]


async def test_sequences_of_one_call_have_their_own_text_and_end() -> None:
    script = saying(
        chunk("a", index=1), chunk("b", index=0), chunk("c", index=1), chunk(finish="stop", index=1),
        chunk(finish="length", index=0), usage_chunk(2, 3),
    )  # fmt: skip
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url, UpstreamKind.VLLM)) as engine:
        outcome = await run_round(engine, text_round(num_sequences=2))
    assert fake.received[0].body["n"] == 2
    assert outcome.texts == ["b", "ac"]
    assert outcome.reasons == [FinishReason.LENGTH, FinishReason.STOP]


async def test_named_tokens_are_counted_one_by_one_also_in_large_chunks() -> None:
    script = saying(chunk("one two", token_ids=[1, 2]), chunk("", token_ids=[3], finish="stop"), usage_chunk(1, 3))
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url, UpstreamKind.VLLM)) as engine:
        outcome = await run_round(engine, text_round())
    assert fake.received[0].body["return_token_ids"] is True
    assert outcome.num_tokens == [3]


async def test_reasoning_is_counted_and_is_no_part_of_the_answer() -> None:
    script = saying(
        chat_chunk(None, reasoning_content="hmm"), chat_chunk("yes"), chat_chunk(finish="stop"), usage_chunk(1, 2)
    )
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url)) as engine:
        outcome = await run_round(engine, chat_round())
    assert outcome.texts == ["yes"]
    assert outcome.num_tokens == [2]


async def test_log_probabilities_of_both_shapes_become_the_same_events() -> None:
    legacy = {"tokens": ["one"], "token_logprobs": [-0.5], "top_logprobs": [{"two": -1.5, "one": -0.5}]}
    modern = {
        "content": [
            {
                "token": "one",
                "logprob": -0.5,
                "top_logprobs": [{"token": "one", "logprob": -0.5}, {"token": "two", "logprob": -1.5}],
            }
        ]
    }
    outcomes = []
    for logprobs in (legacy, modern):
        script = saying(chunk("one", logprobs=logprobs), chunk(finish="stop"), usage_chunk(1, 1))
        async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url)) as engine:
            outcomes.append(await run_round(engine, text_round(logprobs=2)))
    assert outcomes[0].scored == outcomes[1].scored
    ((token,),) = outcomes[0].scored
    assert (token.piece, token.logprob) == (b"one", -0.5)
    assert [each.piece for each in token.top] == [b"one", b"two"]


@pytest.mark.parametrize(
    ("told", "pieces"),
    [
        # As OpenAI and vLLM tell halves of a character; the second of them without a word of text.
        ([("\\xc3", [0xC3]), ("\\xa9", [0xA9])], [b"\xc3", b"\xa9"]),
        ([("", [0xC3]), ("", [0xA9])], [b"\xc3", b"\xa9"]),
        ([("é", None)], ["é".encode()]),
        ([("é", [])], ["é".encode()]),
        ([("é", [300])], ["é".encode()]),
    ],
)
async def test_half_a_character_has_the_bytes_that_the_server_told(told: list, pieces: list[bytes]) -> None:
    tokens = [{"token": text, "bytes": octets, "logprob": -0.5, "top_logprobs": []} for text, octets in told]
    script = saying(chunk("é", logprobs={"content": tokens}), chunk(finish="stop"), usage_chunk(1, len(told)))
    async with fake_upstream(script) as fake, engine_on(upstream_at(fake.url)) as engine:
        outcome = await run_round(engine, text_round(logprobs=0))
    assert [token.piece for token in outcome.scored[0]] == pieces


async def test_no_connection_serves_two_calls() -> None:
    async def framed(wire: Wire, received: Received) -> None:
        await wire.whole_stream(chunk("one", finish="stop"), usage_chunk(1, 1))

    async with fake_upstream(framed) as fake, engine_on(upstream_at(fake.url)) as engine:
        for _ in range(3):
            await run_round(engine, text_round())
        assert fake.num_connections == 1 + 3


async def test_finished_rounds_tell_finished_once() -> None:
    async with fake_upstream(words(2, reported=2)) as fake, engine_on(upstream_at(fake.url)) as engine:
        events = [event async for event in await engine.generate(text_round())]
    assert isinstance(events[-1], Finished)
    assert events[-1].doubt is None


async def test_a_failure_leaves_no_word_of_the_servers_in_the_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": KEY, "type": f"at {KEY}"}}
    async with fake_upstream(answering(401, body)) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(EngineFailed) as refused:
            await run_round(engine, text_round())
        assert KEY not in repr(engine._options)
    assert KEY not in refused.value.detail + refused.value.message
    assert KEY not in caplog.text


async def test_scores_of_a_prompt_come_by_id_and_with_the_tokens_own_bytes() -> None:
    reply = {
        "choices": [
            {
                "text": "ab?",
                "logprobs": {
                    "tokens": ["token_id:97", "token_id:98", "token_id:63"],
                    "token_logprobs": [None, -0.5, -3.0],
                    "top_logprobs": [None, {"token_id:99": -0.25, "token_id:98": -0.5}, None],
                },
            }
        ]
    }

    async def echoes(wire: Wire, received: Received) -> None:
        await wire.reply(200, reply)

    async with fake_upstream(echoes) as fake:
        upstream = upstream_at(fake.url, UpstreamKind.VLLM)
        async with engine_on(upstream, tokenizer=EchoTokenizer()) as engine:
            scored = await engine.score((97, 98), num_top=2)
            with pytest.raises(EngineFailed):
                await engine.score((98, 97), num_top=2)
            assert await engine.score((), num_top=2) == []
    assert [(token.token_id, token.piece, token.logprob) for token in scored] == [(97, b"a", None), (98, b"b", -0.5)]
    assert [(each.token_id, each.piece) for each in scored[1].top] == [(99, b"c"), (98, b"b")]


async def test_a_hosted_apis_large_chunks_are_counted_by_our_own_tokenizer_where_it_is_known() -> None:
    script = saying(chunk("twelve bytes"), chunk(finish="stop"), usage_chunk(1, 12))
    async with fake_upstream(script) as fake:
        async with engine_on(upstream_at(fake.url, UpstreamKind.OPENAI), tokenizer=EchoTokenizer()) as engine:
            outcome = await run_round(engine, text_round())
    assert outcome.num_tokens == [12]
    assert isinstance(outcome.events[-1], Finished)
    assert outcome.events[-1].doubt is None
