"""One open round on llama.cpp's server: its stream read into events."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp

from parley.core.errors import EngineDied, EngineFailed
from parley.core.events import Delta, Event, Finished, FinishReason, ScoredToken, SequenceFinished
from parley.core.pieces import Pieces
from parley.core.requests import SequenceRequest
from parley.core.usage import Usage
from parley.serving.engines.upstream import Frame, FrameReader, scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a round asks of the engine that it runs on, and tells it."""

    pieces: Pieces
    # The scored tokens, so many of them, that wrote these bytes after these ids; empty when nobody can tell.
    recover: Callable[[Sequence[int], bytes, int], Awaitable[list[ScoredToken]]]
    on_output: Callable[[], None]
    # The connection broke by itself.
    on_broken: Callable[[], None]
    # Called once, when nothing is open any more.
    on_close: Callable[[], None]


class OpenSequence:
    """The state of one sequence between two frames."""

    def __init__(self, index: int, num_top: int | None, pieces: Pieces) -> None:
        self.index = index
        self._pieces = pieces
        self._num_top = num_top
        self.num_tokens = 0
        self.is_finished = False
        # Ids whose text the server holds back, because it could begin a stop string.
        self._silent_ids: list[int] = []
        # All its tokens, as long as each is known.
        self._ids: list[int] | None = []
        # Scored tokens whose text was not sent yet: those of a stop string are never shown.
        self._held: list[ScoredToken] = []

    def lost(self, frame: Frame) -> tuple[list[int], bytes, int] | None:
        """What the server did not name: tokens that left a character unfinished, which it counts and never sends.

        The ids before them, the bytes that they wrote, and their number; None when none is missing or it matters to
        nobody, or when the bytes cannot be told.
        """
        count = frame.tokens_predicted - self.num_tokens - len(frame.tokens)
        if self._num_top is None or self._ids is None or not count:
            return None
        named = b"".join(self._pieces.written(token_id) for token_id in frame.tokens)
        written = frame.content.encode()
        if self._held or "\ufffd" in frame.content or not written.endswith(named):
            return None
        return self._ids, written[: len(written) - len(named)], count

    def delta(self, frame: Frame, recovered: list[ScoredToken]) -> Delta:
        """The event of a frame that is not the last; `recovered` are the tokens that it should have named."""
        num_tokens = frame.tokens_predicted - self.num_tokens
        self.num_tokens = frame.tokens_predicted
        self._silent_ids = [] if frame.content else self._silent_ids + frame.tokens
        if self._num_top is None:
            return Delta(self.index, frame.content, num_tokens)
        named = [scored(each, self._num_top, self._pieces) for each in frame.completion_probabilities or ()]
        self._held += [*recovered, *named]
        if num_tokens != len(recovered) + len(named):
            self._ids = None
        if self._ids is not None:
            self._ids.extend(each.token_id for each in (*recovered, *named) if each.token_id is not None)
        return Delta(self.index, frame.content, num_tokens, self._shown_by(frame.content))

    def last_delta(self, frame: Frame) -> Delta | None:
        """What remained to be said when the sequence ended.

        Text that is held back for a stop string that never came is forgotten by the server, and so put together here.
        """
        text = frame.content
        if frame.stop_type != "word":
            written = b"".join(self._pieces.written(token_id) for token_id in self._silent_ids)
            text += written.decode(errors="ignore")
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
            token_id = self._held[shown].token_id
            start += 0 if token_id is None else len(self._pieces.written(token_id))
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
        self._sequences = [
            OpenSequence(i, request.sampling.logprobs, host.pieces) for i in range(request.num_sequences)
        ]
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
        try:
            # Closing the connection is the abort; a call that is still on its way is closed by its cancellation.
            if self._response is not None:
                self._response.close()
            elif not self._opening.done():
                self._opening.cancel()
                await asyncio.wait({self._opening})
            elif not self._opening.cancelled() and self._opening.exception() is None:
                self._opening.result().close()
        finally:
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
            has_reached = not isinstance(error, aiohttp.ClientConnectorError)
            raise EngineDied(f"the engine's connection broke: {error!r}", has_reached=has_reached) from error
        if self._is_closed:
            return
        if not received:
            raise EngineFailed("the engine ended a stream before its last frame")
        self._host.on_output()
        for frame in self._reader.feed(received):
            events = await self._events_of(frame)
            if self._was_closed_meanwhile():
                return
            self._events.extend(events)

    def _was_closed_meanwhile(self) -> bool:
        return self._is_closed

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

    async def _events_of(self, frame: Frame) -> list[Event]:
        if not 0 <= frame.index < len(self._sequences):
            raise EngineFailed(f"the engine speaks of sequence {frame.index} of {len(self._sequences)}")
        sequence = self._sequences[frame.index]
        if frame.prompt_progress is not None:
            self._cached_tokens = max(self._cached_tokens, frame.prompt_progress.cache)
            if not frame.tokens_predicted:
                return []
        if not frame.stop:
            return [sequence.delta(frame, await self._recovered(sequence, frame))]
        last = sequence.last_delta(frame)
        reason = FinishReason.LENGTH if frame.stop_type == "limit" else FinishReason.STOP
        sequence.is_finished = True
        events: list[Event] = [SequenceFinished(sequence.index, reason)]
        if last is not None:
            events.insert(0, last)
        if all(each.is_finished for each in self._sequences):
            events.append(Finished(self._usage()))
        return events

    def _usage(self) -> Usage:
        num_input = len(self._request.prompt)
        return Usage(
            input_tokens=num_input,
            cached_tokens=min(self._cached_tokens, num_input),
            output_tokens=sum(each.num_tokens for each in self._sequences),
        )

    async def _recovered(self, sequence: OpenSequence, frame: Frame) -> list[ScoredToken]:
        lost = sequence.lost(frame)
        if lost is None:
            return []
        before, written, count = lost
        return await self._host.recover((*self._request.prompt, *before), written, count)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
