"""The echo engine: answers with the prompt's own text. Deterministic, needs no model, and keeps every engine promise.

A ChatML prompt is answered with the text of its last user turn, any other prompt with itself. It serves to test and to
measure everything around an engine; its sampling honours `max_tokens`, `stop` and `logit_bias` (which can ban or force
a token) and has no randomness for the rest to act on.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, zip_longest

from parley.core import echo
from parley.core.assembler import TextAssembler
from parley.core.events import Alternative, Delta, Event, Finished, FinishReason, ScoredToken, SequenceFinished
from parley.core.requests import SequenceRequest
from parley.core.usage import Usage

# Without a delay, a sequence lets others run after this many tokens.
_TOKENS_PER_TURN = 8
_USER_TURN = (echo.TURN_START, *b"user\n")


class EchoEngine:
    """An `Engine` without a process. `token_delay_seconds` makes each step slow, so that tests can meet it half-way."""

    def __init__(self, *, num_slots: int = 32, token_delay_seconds: float = 0.0) -> None:
        self._num_slots = num_slots
        self._token_delay_seconds = token_delay_seconds
        self._open: dict[str, EchoGeneration] = {}

    @property
    def num_slots(self) -> int:
        return self._num_slots

    @property
    def num_open_rounds(self) -> int:
        """Rounds that were started and are neither finished nor aborted."""
        return len(self._open)

    async def generate(self, request: SequenceRequest) -> "EchoGeneration":
        generation = EchoGeneration(request, delay_seconds=self._token_delay_seconds, open_rounds=self._open)
        self._open[request.round_id] = generation
        return generation

    async def score(self, prompt: Sequence[int], *, num_top: int) -> list[ScoredToken]:
        first, *rest = prompt
        return [ScoredToken(first, echo.piece(first), None), *(_score(token_id, num_top) for token_id in rest)]

    async def abort(self, round_id: str) -> None:
        generation = self._open.get(round_id)
        if generation is not None:
            await generation.aclose()


class EchoGeneration:
    """One open round; see `core.engine.Generation`."""

    def __init__(
        self, request: SequenceRequest, *, delay_seconds: float, open_rounds: dict[str, "EchoGeneration"]
    ) -> None:
        self._request = request
        self._delay_seconds = delay_seconds
        self._open_rounds = open_rounds
        self._events = _events(request)
        self._steps = 0
        self._is_closed = False

    def __aiter__(self) -> "EchoGeneration":
        return self

    async def __anext__(self) -> Event:
        self._steps += 1
        if self._delay_seconds or self._steps % _TOKENS_PER_TURN == 0:
            await asyncio.sleep(self._delay_seconds)
        if not self._is_closed:
            for event in self._events:
                if type(event) is Finished:
                    self._open_rounds.pop(self._request.round_id, None)
                return event
            await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> int:
        self._is_closed = True
        self._open_rounds.pop(self._request.round_id, None)
        # It generates what is asked of it, and no token ahead.
        return 0


def _events(request: SequenceRequest) -> Iterator[Event]:
    """All events of a round: the sequences step by step beside each other, then `Finished`."""
    answer = _answer(request)
    sequences = [_sequence(request, index, answer) for index in range(request.num_sequences)]
    num_output = 0
    for event in chain.from_iterable(zip_longest(*sequences)):
        # None of a sequence that ended before the others.
        if event is not None:
            if type(event) is Delta:
                num_output += event.num_tokens
            yield event
    yield Finished(Usage(input_tokens=len(request.prompt), output_tokens=num_output))


def _sequence(request: SequenceRequest, index: int, answer: Sequence[int]) -> Iterator[Event]:
    """The events of one sequence. A stop string counts the tokens that formed it and shows none of them."""
    assembler = TextAssembler(request.sampling.stop)
    num_top = request.sampling.logprobs
    held = None if num_top is None else _HeldTokens(num_top)
    for token_id in answer[: request.max_tokens]:
        text = assembler.push(echo.piece(token_id))
        yield Delta(index, text, 1, () if held is None else held.push(token_id, text))
        if assembler.is_stopped:
            yield SequenceFinished(index, FinishReason.STOP)
            return
    rest = assembler.flush()
    if rest:
        yield Delta(index, rest, 0, () if held is None else held.release(rest))
    reason = FinishReason.LENGTH if len(answer) > request.max_tokens else FinishReason.STOP
    yield SequenceFinished(index, reason)


class _HeldTokens:
    """Scores that wait for the text of their tokens."""

    def __init__(self, num_top: int) -> None:
        self._num_top = num_top
        self._held: deque[int] = deque()

    def push(self, token_id: int, text: str) -> tuple[ScoredToken, ...]:
        """Hold one more token; the scores of those whose bytes `text` shows."""
        self._held.append(token_id)
        return self.release(text)

    def release(self, text: str) -> tuple[ScoredToken, ...]:
        """The scores of the tokens, one byte each, that `text` shows."""
        count = min(len(text.encode()), len(self._held))
        return tuple(_score(self._held.popleft(), self._num_top) for _ in range(count))


def _answer(request: SequenceRequest) -> list[int]:
    """The token ids to answer with, as long as the request may need to see whether it is cut."""
    prompt = request.prompt
    start, end = 0, len(prompt)
    for position in reversed(_turns(prompt)):
        if prompt[position : position + len(_USER_TURN)] == _USER_TURN:
            start = position + len(_USER_TURN)
            end = prompt.index(echo.TURN_END, start) if echo.TURN_END in prompt[start:] else end
            break
    bias = request.sampling.logit_bias
    forced = [token_id for token_id, value in bias.items() if value >= 100]
    if forced:
        return [forced[0]] * (request.max_tokens + 1)
    banned = {token_id for token_id, value in bias.items() if value <= -100}
    # The cells of a picture are below zero.
    return [t for t in prompt[start:end] if 0 <= t < echo.NUM_BYTE_TOKENS and t not in banned]


def _turns(prompt: Sequence[int]) -> list[int]:
    """Where turns start."""
    found: list[int] = []
    with suppress(ValueError):
        while True:
            found.append(prompt.index(echo.TURN_START, found[-1] + 1 if found else 0))
    return found


def _score(token_id: int, num_top: int) -> ScoredToken:
    """Made-up but fixed probabilities: the chosen token has half, each next id half of what is left."""
    candidates = [(token_id + step) % echo.NUM_TOKENS for step in range(max(num_top, 1))]
    ln2 = 0.6931471805599453
    top = [Alternative(candidate, echo.piece(candidate), -ln2 * (i + 1)) for i, candidate in enumerate(candidates)]
    return ScoredToken(token_id, top[0].piece, top[0].logprob, tuple(top[:num_top]))
