"""One open round on an OpenAI-compatible server: its stream read into events, counted, and its count judged."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from parley.core.errors import EngineFailed
from parley.core.events import (
    Delta,
    Finished,
    FinishReason,
    RefusalDelta,
    RunEvent,
    SequenceFinished,
    count_tokens,
)
from parley.core.requests import ChatPrompt, SequenceRequest
from parley.core.tokenizer import Segment, Tokenizer
from parley.core.usage import Doubt, Usage
from parley.serving.engines.openai_server.calls import text_of
from parley.serving.engines.openai_server.frames import (
    DONE,
    ChunkChoice,
    ReportedUsage,
    read_chunk,
    read_logprobs,
    read_usage,
)
from parley.serving.engines.openai_server.judgement import judge
from parley.serving.engines.openai_server.reaching import Sending
from parley.serving.engines.openai_server.scores import read_scores
from parley.serving.engines.openai_server.sequence import (
    OpenSequence,
    open_sequences,
    reason_of,
    refusal_of,
    texts_of,
)
from parley.serving.engines.openai_server.tally import NOTHING, Count, bounded, count_call, count_chunk, widen
from parley.serving.engines.sse import MAX_EVENT_BYTES, NoEventStream, SseReader

# So much is worked through without giving others a turn.
_PIECE_BYTES = 1 << 14
# No honest server sends more without telling anything: comments that keep a connection open, the longest event. An event
# counts as so many bytes more, since it is more work to read.
_MOST_UNTOLD_BYTES = MAX_EVENT_BYTES + (1 << 20)
_EVENT_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a round asks of the engine that it runs on, and tells it. Times in seconds."""

    # The served model's, where it is known.
    tokenizer: Tokenizer | None
    # The most that may pass before the first event of the stream, and between two.
    first_seconds: float
    stall_seconds: float
    # Whether the server was asked to name its tokens. What else names some is not believed.
    names_tokens: bool
    # Nothing came for `stall_seconds`: before the first event that may be a queue, or a server that hangs.
    on_silent: Callable[[], None]
    # The server's count was not ours: reported, counted.
    on_disputed: Callable[[ReportedUsage | None, Usage], None]
    # Called once, when nothing is open any more.
    on_close: Callable[[], None]
    # How far its call came.
    sending: Sending


class UpstreamGeneration:
    """Implements `core.engine.Generation` on one streamed HTTP call.

    A sequence is cut at `max_tokens` here where the server goes on.
    """

    def __init__(self, request: SequenceRequest, opening: Awaitable[aiohttp.ClientResponse], host: Host) -> None:
        self._request = request
        self._host = host
        self._opening = asyncio.ensure_future(opening)
        self._response: aiohttp.ClientResponse | None = None
        self._reader = SseReader()
        self._events: deque[RunEvent] = deque()
        tools = request.source.tools if isinstance(request.source, ChatPrompt) else None
        is_single = tools is not None and not tools.is_parallel
        self._sequences = open_sequences(request, is_single=is_single)
        self._reported: ReportedUsage | None = None
        self._has_begun = False
        # What came since there was an event to tell.
        self._num_untold_bytes = 0
        # What was received and is not read yet: a connection that breaks takes the rest with it.
        self._unread = b""
        # Whether a sequence was ended here, so that its end need not come from the server.
        self._is_cut = False
        # What broke the stream while there were events to tell, which go before it.
        self._failure: EngineFailed | None = None
        self._is_closed = False

    def __aiter__(self) -> "UpstreamGeneration":
        return self

    async def __anext__(self) -> RunEvent:
        if not self._events:
            if self._is_closed:
                raise StopAsyncIteration
            try:
                await self._receive()
            except BaseException:
                await self.aclose()
                raise
            if not self._events:
                # Closed by another task meanwhile.
                raise StopAsyncIteration
        event = self._events.popleft()
        if type(event) is Finished:
            await self.aclose()
        return event

    async def aclose(self) -> int | None:
        num_untold = await self._close()
        return num_untold if self._host.sending.is_taken else None

    async def _close(self) -> int:
        if self._is_closed:
            return 0
        self._is_closed = True
        num_untold = count_tokens(self._events)
        self._events.clear()
        try:
            # Closing the connection is the abort. It is never used again, so nothing of this round can reach another.
            if not self._opening.done():
                self._opening.cancel()
                await asyncio.wait({self._opening})
            if not self._opening.cancelled() and self._opening.exception() is None:
                self._opening.result().close()
        finally:
            self._host.on_close()
        return num_untold

    async def _receive(self) -> None:
        """Wait until there is an event to tell; after `aclose` by another task, return without any."""
        if self._failure is not None:
            raise self._failure
        # Comments that only keep a connection open end no silence.
        silent_since = asyncio.get_running_loop().time()
        self._num_untold_bytes = 0
        while not self._events and not self._is_closed:
            try:
                self._unread = self._unread or await self._next_bytes(silent_since)
            except (aiohttp.ClientError, ConnectionError) as error:
                if self._was_closed_meanwhile():
                    return
                if not self._is_over:
                    raise EngineFailed(f"the upstream's connection broke: {type(error).__name__}") from None
            received, self._unread = self._unread[:_PIECE_BYTES], self._unread[_PIECE_BYTES:]
            self._num_untold_bytes += len(received)
            if self._num_untold_bytes > _MOST_UNTOLD_BYTES:
                if not self._is_over:
                    raise EngineFailed("the upstream sends without end what tells nothing")
                received = b""
            if self._unread:
                # Nothing else here waits for anything.
                await asyncio.sleep(0)
            if not self._was_closed_meanwhile():
                await self._take_bytes(received)
        self._has_begun = True

    async def _next_bytes(self, silent_since: float) -> bytes:
        """What came next; nothing when the stream is over, or so long silent after its last word."""
        host, loop = self._host, asyncio.get_running_loop()
        end = silent_since + (host.stall_seconds if self._has_begun else host.first_seconds)
        while True:
            try:
                async with asyncio.timeout_at(min(end, loop.time() + host.stall_seconds)):
                    if self._response is None:
                        self._response = await asyncio.shield(self._opening)
                    return await self._response.content.readany()
            except TimeoutError:
                if self._is_over:
                    return b""
                host.on_silent()
                if loop.time() >= end:
                    raise EngineFailed(f"the upstream said nothing for {end - silent_since:g} s") from None
            except asyncio.CancelledError:
                # Our own waiting was not cancelled, but the opening that we waited for was, by `aclose`.
                if self._is_closed and not _is_cancelled():
                    return b""
                raise

    async def _take_bytes(self, received: bytes) -> None:
        try:
            await self._take_events(received)
        except NoEventStream as error:
            if self._is_over:
                await self._finish()
            else:
                self._fail(EngineFailed(f"the upstream sent {error}"))
        except EngineFailed as failure:
            self._fail(failure)

    def _fail(self, failure: EngineFailed) -> None:
        """What came in one packet with a failure is told before it, as what came in the packet before is."""
        if not self._events:
            raise failure from None
        self._failure = failure

    async def _take_events(self, received: bytes) -> None:
        for event in self._reader.feed(received):
            self._num_untold_bytes += _EVENT_BYTES
            if event.strip() == DONE:
                for sequence in self._sequences:
                    if sequence.has_unknown_end and sequence.reason is None:
                        self._end(sequence, FinishReason.STOP)
                await self._finish()
                return
            # Some servers keep a connection open with events of which nothing is said.
            if event.strip():
                await self._take(event)
        if not received or (self._is_cut and self._is_over):
            await self._finish()

    def _was_closed_meanwhile(self) -> bool:
        return self._is_closed

    @property
    def _is_over(self) -> bool:
        return all(sequence.reason for sequence in self._sequences)

    async def _take(self, event: bytes) -> None:
        chunk = read_chunk(event)
        # Some servers tell it more than once, most with the last chunk.
        self._reported = read_usage(chunk.usage) or self._reported
        choices = chunk.choices or ()
        if len(choices) > len(self._sequences):
            raise EngineFailed(f"the upstream sent {len(choices)} choices in a chunk of {len(self._sequences)}")
        for choice in choices:
            if not 0 <= choice.index < len(self._sequences):
                raise EngineFailed(f"the upstream speaks of sequence {choice.index} of {len(self._sequences)}")
            await self._take_choice(self._sequences[choice.index], choice)

    async def _take_choice(self, sequence: OpenSequence, choice: ChunkChoice) -> None:
        if sequence.reason is not None:
            return
        (text, hidden), refused = texts_of(choice), refusal_of(choice)
        calls = None if choice.delta is None else choice.delta.tool_calls
        written, called = text + refused + hidden, text_of(calls) if calls else ""
        num_named = self._num_named(choice, is_empty=not (written or calls))
        counted = count_chunk(written, num_named=num_named)
        if calls:
            counted += count_call(called, num_named=num_named)
        sequence.room -= len(written) + len(called)
        is_beyond = sequence.room < 0 or sequence.counted.low + counted.low > self._request.max_tokens
        num_top = self._request.sampling.logprobs
        if is_beyond or (num_top is not None and not await self._take_scores(sequence, choice, num_top)):
            self._is_cut = True
            self._end(sequence, FinishReason.LENGTH)
            return
        sequence.is_exact = sequence.is_exact and (num_named is not None or not (written or calls))
        sequence.counted += counted
        if refused:
            self._events.append(RefusalDelta(sequence.index, refused))
        tokens = sequence.shown_with(text)
        if text or counted.low or tokens:
            sequence.texts.append(text + refused)
            self._events.append(Delta(sequence.index, text, counted.low, tokens))
        if calls:
            self._events.extend(sequence.calls.push(calls))
        if choice.finish_reason:
            reason = reason_of(choice.finish_reason)
            if reason is None:
                sequence.has_unknown_end = True
            else:
                self._end(sequence, reason)

    def _num_named(self, choice: ChunkChoice, *, is_empty: bool) -> int | None:
        """How many tokens the server names behind a chunk, where it was asked to; no names for what is there are none."""
        if not self._host.names_tokens or choice.token_ids is None or not (choice.token_ids or is_empty):
            return None
        return len(choice.token_ids)

    async def _take_scores(self, sequence: OpenSequence, choice: ChunkChoice, num_top: int) -> bool:
        """Hold a chunk's scores; False for more than the sequence may have."""
        raw = bytes(choice.logprobs)
        sequence.room -= len(raw)
        if sequence.room < 0:
            return False
        logprobs = read_logprobs(raw)
        if logprobs is None:
            return True
        if len(sequence.held) + logprobs.num_tokens > self._request.max_tokens:
            return False
        sequence.held.extend(await read_scores(logprobs, num_top, self._host.tokenizer))
        return True

    def _end(self, sequence: OpenSequence, reason: FinishReason) -> None:
        """One that was counted exactly ends at once; the others when the server's count has shown what we missed."""
        if sequence.calls.num_calls and reason is FinishReason.STOP:
            # Some servers forget to say what made them stop.
            reason = FinishReason.TOOL_CALLS
        sequence.reason = reason
        self._events.extend(sequence.calls.end())
        if sequence.held and reason is FinishReason.LENGTH:
            self._events.append(Delta(sequence.index, "", 0, tuple(sequence.held)))
        if sequence.is_exact:
            self._events.append(SequenceFinished(sequence.index, reason))

    async def _finish(self) -> None:
        """The stream is over: judge the server's count, and tell the ends that were held back."""
        if not self._is_over:
            raise EngineFailed("the upstream ended its stream before its answer")
        counted = sum([await self._count(sequence) for sequence in self._sequences], NOTHING)
        usage, doubt = judge(self._request, self._reported, counted)
        missed = usage.output_tokens - sum(sequence.counted.low for sequence in self._sequences)
        for sequence in self._sequences:
            if sequence.is_exact or sequence.reason is None:
                continue
            if missed > 0:
                self._events.append(Delta(sequence.index, "", missed))
                missed = 0
            self._events.append(SequenceFinished(sequence.index, sequence.reason))
        if doubt is Doubt.DISPUTED:
            self._host.on_disputed(self._reported, usage)
        self._events.append(Finished(usage, doubt, num_uncharged=max(0, -missed)))

    async def _count(self, sequence: OpenSequence) -> Count:
        counted, request = sequence.counted, self._request
        if not sequence.is_exact and self._host.tokenizer is not None:
            ids = await self._host.tokenizer.encode([Segment("".join(sequence.texts), is_control=False)])
            counted = widen(counted, len(ids))
        most = request.max_tokens if request.is_limit_asked else None
        return bounded(counted, num_unseen=sequence.num_unseen(request.sampling.stop), most=most)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
