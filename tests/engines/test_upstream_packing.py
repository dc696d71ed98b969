"""What a server wraps its answer in: heads that only say "go on", packing that nobody asked for, blanks without end."""

import gzip
import json

import pytest

from parley.core.errors import EngineFailed, ModelLoadFailed
from parley.core.upstream import UpstreamKind
from tests.builders_engines import run_round
from tests.builders_upstreams import Received, Script, Wire, engine_on, fake_upstream, upstream_at, words
from tests.engines.test_openai_server import answering, text_round

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


def after_heads(num: int, then: Script) -> Script:
    async def script(wire: Wire, received: Received) -> None:
        await wire.send(INTERIM * num)
        await then(wire, received)

    return script


async def test_a_few_interim_heads_come_before_an_answer() -> None:
    async with fake_upstream(after_heads(3, words(2))) as fake, engine_on(upstream_at(fake.url)) as engine:
        assert (await run_round(engine, text_round())).num_tokens == [2]


async def test_many_interim_heads_fail_a_round() -> None:
    async with fake_upstream(after_heads(1000, words(2))) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(EngineFailed):
            await run_round(engine, text_round())
        assert engine.num_open_rounds == 0


async def test_many_interim_heads_are_no_health() -> None:
    async with fake_upstream(words(1), probe=after_heads(1000, answering(200, {}))) as fake:
        with pytest.raises(ModelLoadFailed):
            async with engine_on(upstream_at(fake.url)):
                pass


@pytest.mark.parametrize("packing", ["gzip", "br", "identity, gzip"])
async def test_a_packed_answer_is_a_failure(packing: str) -> None:
    async def packed(wire: Wire, received: Received) -> None:
        await wire.head(more=f"content-encoding: {packing}\r\n")
        await wire.send(
            gzip.compress(b'data: {"choices":[{"text":"x","finish_reason":"stop"}]}\n\n' + b":\n" * 1_000_000)
        )

    async with fake_upstream(packed) as fake, engine_on(upstream_at(fake.url)) as engine:
        with pytest.raises(EngineFailed) as failed:
            await run_round(engine, text_round())
    assert fake.received[0].headers["accept-encoding"] == "identity"
    assert "packed" in failed.value.detail


async def test_an_answer_that_says_it_is_not_packed_is_read() -> None:
    async def plain(wire: Wire, received: Received) -> None:
        await wire.head(more="content-encoding: Identity\r\n")
        await wire.send(b'data: {"choices":[{"text":"x","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')

    async with fake_upstream(plain) as fake, engine_on(upstream_at(fake.url)) as engine:
        assert (await run_round(engine, text_round())).texts == ["x"]


@pytest.mark.parametrize(("num_blanks", "is_read"), [(100_000, True), (3_000_000, False)])
async def test_the_scores_of_a_short_prompt_are_no_long_reply(num_blanks: int, is_read: bool) -> None:
    reply = {"choices": [{"logprobs": {"tokens": ["token_id:97"], "token_logprobs": [None], "top_logprobs": [None]}}]}

    async def pads(wire: Wire, received: Received) -> None:
        await wire.reply(200, b" " * num_blanks + json.dumps(reply).encode())

    async with fake_upstream(pads) as fake:
        async with engine_on(upstream_at(fake.url, UpstreamKind.VLLM)) as engine:
            if is_read:
                assert [token.token_id for token in await engine.score((97,), num_top=1)] == [97]
            else:
                with pytest.raises(EngineFailed):
                    await engine.score((97,), num_top=1)
