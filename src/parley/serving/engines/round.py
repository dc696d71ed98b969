"""One open round on the llama.cpp worker: its share of the worker's steps read into events."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from parley.core.errors import EngineFailed
from parley.core.events import Delta, Event, Finished, ScoredToken, SequenceFinished, count_tokens
from parley.core.requests import SequenceRequest
from parley.core.round_messages import Entry
from parley.core.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a round tells the engine that it runs on."""

    # The worker shall stop; not called for a round that came to its end.
    on_abort: Callable[[], None]
    # Called once, when nothing is open any more.
    on_close: Callable[[], None]


class LlamaGeneration:
    """Implements `core.engine.Generation`. The engine feeds it; what it holds is bounded by the tokens of its round."""

    def __init__(self, request: SequenceRequest, host: Host) -> None:
        self._host = host
        # Whether the worker has it, and not only the pipe to it.
        self.is_taken = False
        self._num_input = len(request.prompt)
        # None until the engine has begun on the prompt.
        self._cached_tokens: int | None = None
        self._num_tokens = 0
        self._num_unfinished = request.num_sequences
        # By sequence, the scored tokens whose text was not sent yet.
        self._held: list[deque[ScoredToken]] = [deque() for _ in range(request.num_sequences)]
        self._events: deque[Event] = deque()
        self._failure: EngineFailed | None = None
        self._is_closed = False
        self._waiter: asyncio.Future[None] | None = None

    def begun(self, cached_tokens: int) -> None:
        """The engine has begun on the prompt, of which it found so much in its cache."""
        self._cached_tokens = cached_tokens

    def push(self, entry: Entry, scored: ScoredToken | None) -> None:
        """One token of one sequence, with its score if the round asked for scores."""
        index = entry.sequence
        self._num_tokens += 1
        if scored is None:
            self._events.append(Delta(index, entry.text, 1))
        else:
            held = self._held[index]
            held.append(scored)
            self._events.append(Delta(index, entry.text, 1, tuple(held.popleft() for _ in range(entry.num_shown))))
        if entry.end is not None:
            self._events.append(SequenceFinished(index, entry.end))
            self._num_unfinished -= 1
            if not self._num_unfinished:
                self._events.append(Finished(self._usage()))
        self._wake()

    def fail(self, error: EngineFailed) -> None:
        """No more will come. What came already is still told, unless it was the end anyway."""
        if self._num_unfinished:
            self._failure = self._failure or error
            self._wake()

    def __aiter__(self) -> "LlamaGeneration":
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._is_closed:
                raise StopAsyncIteration
            if self._failure is not None:
                await self.aclose()
                raise self._failure
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        event = self._events.popleft()
        if type(event) is Finished:
            await self.aclose()
        return event

    async def aclose(self) -> int | None:
        num_untold = self._close()
        return num_untold if self._cached_tokens is not None else None

    def _close(self) -> int:
        if self._is_closed:
            return 0
        self._is_closed = True
        num_untold = count_tokens(self._events)
        self._events.clear()
        if self._num_unfinished:
            self._host.on_abort()
        self._host.on_close()
        self._wake()
        return num_untold

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _usage(self) -> Usage:
        return Usage(
            input_tokens=self._num_input, cached_tokens=self._cached_tokens or 0, output_tokens=self._num_tokens
        )
