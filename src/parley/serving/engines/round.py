"""One open round on llama.cpp's server: its stream read into events."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from parley.core.errors import EngineFailed
from parley.core.events import Delta, Event, Finished, FinishReason, ScoredToken, SequenceFinished
from parley.core.requests import SequenceRequest
from parley.core.usage import Usage
from parley.serving.engines.upstream import Frame, FrameReader, scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a round asks of the engine that it runs on, and tells it."""

    # The bytes that a list of tokens writes.
    render: Callable[[list[int]], Awaitable[bytes]]
    on_output: Callable[[], None]
    # The connection broke by itself.
    on_broken: Callable[[], None]
    # Called once, when nothing is open any more.
    on_close: Callable[[], None]


class Sequence:
    """The state of one sequence between two frames."""

    def __init__(self, index: int, num_top: int | None) -> None:
        self.index = index
        self._num_top = num_top
        self.num_tokens = 0
        self.is_finished = False
        # Ids whose text the server holds back, because it could begin a stop string.
        self.silent_ids: list[int] = []
        # Scored tokens whose text was not sent yet: those of a stop string are never shown.
        self._held: list[ScoredToken] = []

    def delta(self, frame: Frame) -> Delta:
        """The event of a frame that is not the last."""
        num_tokens = frame.tokens_predicted - self.num_tokens
        self.num_tokens = frame.tokens_predicted
        self.silent_ids = [] if frame.content else self.silent_ids + frame.tokens
        if self._num_top is None:
            return Delta(self.index, frame.content, num_tokens)
        for probability in frame.completion_probabilities or ():
            self._held.append(scored(probability, self._num_top))
        return Delta(self.index, frame.content, num_tokens, self._shown_by(frame.content))

    def last_delta(self, frame: Frame, text: str) -> Delta | None:
        """What remained to be said when the sequence ended."""
        num_tokens = frame.tokens_predicted - self.num_tokens
        self.num_tokens = frame.tokens_predicted
        if frame.stop_type == "eos" and self._held:
            self._held.pop()
        tokens = () if frame.stop_type == "word" else tuple(self._held)
        self._held = []
        return Delta(self.index, text, num_tokens, tokens) if num_tokens or text or tokens else None

    def _shown_by(self, content: str) -> tuple[ScoredToken, ...]:
        """The held tokens that begin inside `content`; a cut at a stop string leaves the rest for the end to decide."""
        shown, start, end = 0, 0, len(content.encode())
        while shown < len(self._held) and start < end:
            start += len(self._held[shown].piece)
            shown += 1
        tokens, self._held = tuple(self._held[:shown]), self._held[shown:]
        return tokens


class LlamaGeneration:
    """Implements `core.engine.Generation` on one streamed HTTP call."""

    def __init__(self, request: SequenceRequest, opening: Awaitable[aiohttp.ClientResponse], host: Host) -> None:
        self._request = request
        self._host = host
        # The server answers with headers only once the prompt is being read, so nobody waits for it here.
        self._opening = asyncio.ensure_future(opening)
        self._response: aiohttp.ClientResponse | None = None
        self._reader = FrameReader()
        self._events: deque[Event] = deque()
        self._sequences = [Sequence(i, request.sampling.logprobs) for i in range(request.num_sequences)]
        self._cached_tokens = 0
        self._is_closed = False

    def __aiter__(self) -> "LlamaGeneration":
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._is_closed:
                raise StopAsyncIteration
            try:
                await self._receive()
            except BaseException:
                await self.aclose()
                raise
        event = self._events.popleft()
        if type(event) is Finished:
            await self.aclose()
        return event

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._events.clear()
        # Closing the connection is the abort; a call that is still on its way is closed by its cancellation.
        if self._response is not None:
            self._response.close()
        elif not self._opening.done():
            self._opening.cancel()
            await asyncio.wait({self._opening})
        elif not self._opening.cancelled() and self._opening.exception() is None:
            self._opening.result().close()
        self._host.on_close()

    async def _receive(self) -> None:
        """Wait for output and turn it into events; after `aclose` by another task, return without any."""
        try:
            received = await self._read()
        except asyncio.CancelledError:
            # Our own waiting was not cancelled, but the call that we waited for was, by `aclose`.
            if self._is_closed and not _is_cancelled():
                return
            raise
        except (aiohttp.ClientError, ConnectionError) as error:
            if self._is_closed:
                return
            self._host.on_broken()
            raise EngineFailed(f"the engine's connection broke: {error!r}") from error
        if self._is_closed:
            return
        if not received:
            raise EngineFailed("the engine ended a stream before its last frame")
        self._host.on_output()
        for frame in self._reader.feed(received):
            await self._take(frame)

    async def _read(self) -> bytes:
        if self._response is None:
            response = await asyncio.shield(self._opening)
            if self._is_closed:
                response.close()
                return b""
            self._response = response
            if response.status != 200:
                raise EngineFailed(f"the engine answered {response.status}: {(await response.text())[:500]}")
        return await self._response.content.readany()

    async def _take(self, frame: Frame) -> None:
        sequence = self._sequences[frame.index]
        if frame.prompt_progress is not None:
            self._cached_tokens = max(self._cached_tokens, frame.prompt_progress.cache)
            if not frame.tokens_predicted:
                return
        if not frame.stop:
            self._events.append(sequence.delta(frame))
            return
        last = sequence.last_delta(frame, await self._unsaid(sequence, frame))
        if last is not None:
            self._events.append(last)
        reason = FinishReason.LENGTH if frame.stop_type == "limit" else FinishReason.STOP
        self._events.append(SequenceFinished(sequence.index, reason))
        sequence.is_finished = True
        if all(each.is_finished for each in self._sequences):
            num_output = sum(each.num_tokens for each in self._sequences)
            cached = min(self._cached_tokens, len(self._request.prompt))
            usage = Usage(input_tokens=len(self._request.prompt), cached_tokens=cached, output_tokens=num_output)
            self._events.append(Finished(usage))

    async def _unsaid(self, sequence: Sequence, frame: Frame) -> str:
        """Text that the server held back for a stop string that never came: it forgets it when a sequence ends."""
        if frame.stop_type == "word" or not sequence.silent_ids:
            return frame.content
        rest = await self._host.render(sequence.silent_ids)
        return frame.content + rest.decode(errors="ignore")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
