"""Engines for tests: small models made on the spot, and rounds read to their end."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from parley.core.engine import Engine, Generation
from parley.core.events import Delta, Event, Finished, FinishReason, ScoredToken, SequenceFinished
from parley.core.ids import new_id
from parley.core.requests import Sampling, SequenceRequest
from parley.core.usage import Usage
from parley.serving.engines.child import Supervision
from parley.serving.engines.echo import EchoEngine
from parley.serving.engines.llama import LlamaEngine, LlamaOptions
from parley.serving.engines.openai_server.adapter import UpstreamEngine
from tests.gguf_maker import Shape, byte_alphabet, vocabulary, write_model

# No test waits so long for anything that works; rounds that somebody has to end run for longer.
HANG_SECONDS = 120.0

# What the chained model says round and round: characters of one to four bytes, no byte twice.
CHAIN = "ab€cd🦊efé gh"
CHAINED = Shape(chain=CHAIN)
RANDOM = Shape()

_TOKENS, _, _ = vocabulary(RANDOM)
_IDS_OF_BYTES = {byte: _TOKENS.index(letter) for byte, letter in byte_alphabet().items()}
END_OF_TURN_ID = _TOKENS.index("<|im_end|>")


def byte_ids(text: str) -> tuple[int, ...]:
    """The ids of a made model's byte tokens, one per byte."""
    return tuple(_IDS_OF_BYTES[byte] for byte in text.encode())


def round_of(
    prompt: Sequence[int], *, max_tokens: int = 16, num_sequences: int = 1, **sampling: object
) -> SequenceRequest:
    """A round under a fresh id."""
    return SequenceRequest(
        round_id=new_id("round_"),
        prompt=tuple(prompt),
        num_sequences=num_sequences,
        max_tokens=max_tokens,
        sampling=Sampling(**sampling),  # type: ignore[arg-type]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A whole round. The lists have an entry per sequence."""

    events: list[Event]
    texts: list[str]
    num_tokens: list[int]
    scored: list[list[ScoredToken]]
    reasons: list[FinishReason]
    usage: Usage


async def read_out(generation: Generation, num_sequences: int) -> Outcome:
    """Read a round to its end, and check what holds for every round of every engine."""
    events: list[Event] = [event async for event in generation]
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Finished) for event in events) == 1
    texts, num_tokens = [""] * num_sequences, [0] * num_sequences
    scored: list[list[ScoredToken]] = [[] for _ in range(num_sequences)]
    reasons: dict[int, FinishReason] = {}
    for event in events[:-1]:
        assert not isinstance(event, Finished)
        assert event.sequence not in reasons, "an event came after its sequence had finished"
        if isinstance(event, Delta):
            texts[event.sequence] += event.text
            num_tokens[event.sequence] += event.num_tokens
            scored[event.sequence].extend(event.tokens)
        elif isinstance(event, SequenceFinished):
            reasons[event.sequence] = event.finish_reason
    assert sorted(reasons) == list(range(num_sequences))
    assert events[-1].usage.output_tokens == sum(num_tokens)
    return Outcome(
        events=events,
        texts=texts,
        num_tokens=num_tokens,
        scored=scored,
        reasons=[reasons[index] for index in range(num_sequences)],
        usage=events[-1].usage,
    )


async def run_round(engine: Engine, request: SequenceRequest) -> Outcome:
    return await read_out(await engine.generate(request), request.num_sequences)


@asynccontextmanager
async def llama_engine(
    folder: Path,
    shape: Shape = CHAINED,
    *,
    context_length: int = 512,
    num_slots: int = 4,
    supervision: Supervision | None = None,
) -> AsyncIterator[LlamaEngine]:
    """A started engine on a model of this shape, written into `folder`."""
    options = LlamaOptions(
        model=write_model(folder / "model.gguf", shape),
        context_length=context_length,
        num_slots=num_slots,
        num_threads=1,
        supervision=supervision or Supervision(first_backoff_seconds=0.05),
    )
    engine = LlamaEngine(options)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.aclose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An engine under the contract. Greedily, `prompt` is answered with `answer`; it has at least 17 tokens."""

    engine: Engine
    prompt: tuple[int, ...]
    answer: str
    # What a server of somebody else may lack, and is then refused by name before it is called.
    can_score: bool = True
    # Sequences of one round; more are rounds of their own.
    most_sequences: int = 3
    sends_begun_stop: bool = True
    names_every_token: bool = True

    def open_rounds(self) -> int:
        engine = self.engine
        assert isinstance(engine, EchoEngine | LlamaEngine | UpstreamEngine)
        return engine.num_open_rounds


def echo_subject() -> Subject:
    text = CHAIN[1:] + CHAIN
    return Subject(engine=EchoEngine(num_slots=4), prompt=tuple(text.encode()), answer=text)


def llama_subject(engine: LlamaEngine) -> Subject:
    return Subject(engine=engine, prompt=byte_ids("a"), answer=CHAIN[1:] + CHAIN * 4)


def upstream_subject(engine: UpstreamEngine) -> Subject:
    """llama.cpp's own HTTP server with the same model."""
    prompt, answer = byte_ids("a"), CHAIN[1:] + CHAIN * 4
    return Subject(
        engine=engine,
        prompt=prompt,
        answer=answer,
        can_score=False,
        most_sequences=1,
        sends_begun_stop=False,
        names_every_token=False,
    )
