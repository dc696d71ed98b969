"""How long a slot stays busy after its client has left: in decode, and while a long prompt is read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from statistics import median

from bench.report import Row
from bench.text import Prompts
from parley.core.ids import new_id
from parley.core.requests import Sampling, SequenceRequest
from parley.serving.engines.llama import LlamaEngine, LlamaOptions
from parley.serving.engines.round import LlamaGeneration

CONTEXT_LENGTH = 4096
NUM_SLOTS = 4
DECODE_PROMPT_TOKENS = 16
PREFILL_PROMPT_TOKENS = 3000
STEP_TOKENS = 256
OUTPUT_TOKENS = 1000
DECODE_GOAL_MILLISECONDS = 250
# Clients leave at moments that are spread evenly over so many seconds after the first token ...
DECODE_SECONDS = 0.5
# ... and in prefill over this part of what it would take, but no more seconds than these.
PREFILL_PART = 0.6
PREFILL_SECONDS = 2.0
LOOK_SECONDS = 0.002


def measure(name: str, path: Path, *, num_tries: int) -> list[Row]:
    """Median and worst of `num_tries` of each kind, on the engine that Parley runs, with nothing before it."""
    return asyncio.run(_measure(name, path, num_tries))


async def _measure(name: str, path: Path, num_tries: int) -> list[Row]:
    rows: list[Row] = []
    async with _subject(path) as subject:
        for num_sequences in (1, NUM_SLOTS):
            waits = [
                await subject.abort_in_decode(seconds, num_sequences) for seconds in spread(DECODE_SECONDS, num_tries)
            ]
            rows += _rows(
                f"{name}: slot free after an abort in decode, n={num_sequences}", waits, DECODE_GOAL_MILLISECONDS
            )
        step = await subject.step_seconds()
        whole = step * PREFILL_PROMPT_TOKENS / STEP_TOKENS
        waits = [
            await subject.abort_in_prefill(seconds)
            for seconds in spread(min(PREFILL_PART * whole, PREFILL_SECONDS), num_tries)
        ]
        rows += _rows(f"{name}: slot free after an abort in prefill", waits, None)
        # An abort waits for the step that runs, so what that takes belongs beside it.
        rows.append(Row(measure=f"{name}: one step of {STEP_TOKENS} prompt tokens", unit="ms", parley=[step * 1000]))
    return rows


class _Subject:
    """An engine, and the way to see which of its slots are busy."""

    def __init__(self, engine: LlamaEngine, prompts: Prompts) -> None:
        self._engine = engine
        self._prompts = prompts

    async def abort_in_decode(self, seconds: float, num_sequences: int) -> float:
        """Milliseconds until every slot is free when the client leaves `seconds` after the first token."""
        generation = await self._open(DECODE_PROMPT_TOKENS, num_sequences)
        async with aclosing(generation):
            await anext(generation)
            left = await left_at(generation, seconds)
        return await self._milliseconds_until_idle(left)

    async def abort_in_prefill(self, seconds: float) -> float:
        """Milliseconds until the slot is free when the client leaves `seconds` after its prompt was sent."""
        generation = await self._open(PREFILL_PROMPT_TOKENS, 1)
        async with aclosing(generation):
            left = await left_at(generation, seconds, is_silent=True)
        return await self._milliseconds_until_idle(left)

    async def step_seconds(self) -> float:
        """How long the engine takes for a prompt that fills one step, and for the token behind it."""
        sent = _now()
        generation = await self._open(STEP_TOKENS, 1)
        async with aclosing(generation):
            await anext(generation)
            seconds = _now() - sent
        await self._milliseconds_until_idle(sent)
        return seconds

    async def _open(self, num_tokens: int, num_sequences: int) -> LlamaGeneration:
        """A round on a prompt that was never sent before."""
        return await self._engine.generate(
            SequenceRequest(
                round_id=new_id("round_"),
                prompt=tuple(self._prompts.ids(num_tokens)),
                num_sequences=num_sequences,
                max_tokens=OUTPUT_TOKENS,
                sampling=Sampling(temperature=0.0, logit_bias=dict.fromkeys(self._prompts.ends, -100.0)),
            )
        )

    async def _milliseconds_until_idle(self, since: float) -> float:
        while await self._engine.busy_slots():  # noqa: ASYNC110 - the worker says it to nobody unasked
            await asyncio.sleep(LOOK_SECONDS)
        return (_now() - since) * 1000


@asynccontextmanager
async def _subject(path: Path) -> AsyncIterator[_Subject]:
    """A started engine that has answered once."""
    options = LlamaOptions(model=path, context_length=CONTEXT_LENGTH, num_slots=NUM_SLOTS, batch_tokens=STEP_TOKENS)
    engine = LlamaEngine(options)
    await engine.start()
    try:
        subject = _Subject(engine, Prompts(path))
        await subject.abort_in_decode(0.0, NUM_SLOTS)
        yield subject
    finally:
        await engine.aclose()


async def left_at(events: AsyncIterator[object], seconds: float, *, is_silent: bool = False) -> float:
    """When the client left, by the loop's clock: it reads for so long, and nothing comes where the round `is_silent`."""
    patience = asyncio.timeout(seconds)
    try:
        async with patience:
            async for _ in events:
                if is_silent:
                    break
    except TimeoutError:
        return patience.when() or _now()
    raise RuntimeError("the round went on, or to its end, before its client left")


def spread(seconds: float, count: int) -> list[float]:
    """The middles of `count` equal parts of so many seconds."""
    return [seconds * (number + 0.5) / count for number in range(count)]


def _rows(measure: str, waits: Sequence[float], goal: float | None) -> list[Row]:
    return [
        Row(
            measure=f"{measure}, {kind}", unit="ms", parley=[figure], goal=goal, bounds_figure=True, is_less_better=True
        )
        for kind, figure in (("median", median(waits)), ("worst", max(waits)))
    ]


def _now() -> float:
    return asyncio.get_running_loop().time()
