"""Somebody's OpenAI-compatible server behind the engine seam: vLLM, SGLang, llama-server, Ollama, a hosted API."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp

from parley.core.clock import Clock
from parley.core.errors import EngineFailed, ModelLoadFailed, ParleyError
from parley.core.events import ScoredToken
from parley.core.requests import SequenceRequest
from parley.core.tokenizer import Tokenizer
from parley.core.upstream import Upstream
from parley.core.usage import Usage
from parley.serving.engines.openai_server.dialect import Call, call_of, probe_call, score_call
from parley.serving.engines.openai_server.frames import ReportedUsage, read_refusal, read_whole_logprobs
from parley.serving.engines.openai_server.generation import Host, UpstreamGeneration
from parley.serving.engines.openai_server.heads import Reply
from parley.serving.engines.openai_server.program import SupervisedProgram
from parley.serving.engines.openai_server.reaching import (
    Patience,
    Sending,
    TryLater,
    asked_pause,
    gave_up,
    is_later,
    refusal,
)
from parley.serving.engines.openai_server.scores import most_score_bytes, read_scores

_log = logging.getLogger(__name__)

# Of a refusal, as much is read as a code can be in.
_MAX_REFUSAL_BYTES = 1 << 16
# Of a reply that is not a stream, besides the log-probabilities of its prompt.
_MORE_REPLY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds. A server may have a queue of its own before the first token."""

    connect: float = 10.0
    first: float = 600.0
    stall: float = 60.0
    # A generation of one token, and how long a server that nobody here starts may take to answer one.
    probe: float = 60.0
    reachable: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamOptions:
    """How a server is used. `key` is its own, and goes nowhere else."""

    upstream: Upstream
    num_slots: int
    key: str | None = field(default=None, repr=False)
    deadlines: Deadlines = field(default_factory=Deadlines)
    patience: Patience = field(default_factory=Patience)


class UpstreamEngine:
    """Implements `core.engine.Engine`. `start` it before use and `aclose` it after.

    `tokenizer` is the served model's, where it is known. `program` is the server's own, where it is ours to keep alive.
    """

    def __init__(
        self,
        options: UpstreamOptions,
        *,
        clock: Clock,
        tokenizer: Tokenizer | None = None,
        program: SupervisedProgram | None = None,
    ) -> None:
        self._options = options
        self._clock = clock
        self._tokenizer = tokenizer
        self._program = program
        self._session: aiohttp.ClientSession | None = None
        self._open: dict[str, UpstreamGeneration] = {}

    @property
    def num_slots(self) -> int:
        return self._options.num_slots

    @property
    def num_open_rounds(self) -> int:
        return len(self._open)

    async def start(self) -> None:
        """Wait until the server generates a token. Raises ModelLoadFailed when it does not in time."""
        # A connection serves one call: what a cancelled one left in it can never reach another. No proxy of the
        # environment, no cookies, and below no redirects: the key goes to the operator's address and nowhere else.
        tracing = aiohttp.TraceConfig()
        tracing.on_request_chunk_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(
            trace_configs=[tracing],
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._options.deadlines.connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Nothing is unpacked: a few bytes could be any number of them.
            auto_decompress=False,
            response_class=Reply,
            trust_env=False,
        )
        try:
            if self._program is not None:
                await self._program.start(self.probe)
            else:
                await self._wait_reachable()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Abort what is open, end the program. May be called any number of times."""
        for generation in list(self._open.values()):
            await generation.aclose()
        if self._program is not None:
            await self._program.aclose()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def probe(self) -> None:
        """Health by generation: one token. Raises TryLater where trying again may help, else EngineFailed."""
        upstream = self._options.upstream
        is_chat = upstream.can_chat and (self._tokenizer is None or not upstream.abilities.takes_token_ids)
        call = probe_call(upstream, is_chat=is_chat)
        try:
            async with asyncio.timeout(self._options.deadlines.probe):
                reply = await self._attempt(call, Sending(), content_type="application/json")
                try:
                    # Whatever it says, it was generated.
                    await _read_all(reply, _MAX_REFUSAL_BYTES)
                finally:
                    reply.close()
        except TimeoutError:
            raise TryLater("it generated no token in time") from None
        except aiohttp.ClientError as error:
            raise TryLater(f"its connection broke: {type(error).__name__}") from None

    async def generate(self, request: SequenceRequest) -> UpstreamGeneration:
        def on_close() -> None:
            self._open.pop(request.round_id, None)

        deadlines = self._options.deadlines
        host = Host(
            tokenizer=self._tokenizer,
            first_seconds=deadlines.first,
            stall_seconds=deadlines.stall,
            names_tokens=self._options.upstream.abilities.names_tokens,
            on_silent=self._on_silent,
            on_disputed=self._on_disputed,
            on_close=on_close,
            sending=Sending(),
        )
        call = call_of(request, self._options.upstream)
        generation = UpstreamGeneration(request, self._opened(call, host.sending), host)
        self._open[request.round_id] = generation
        return generation

    async def score(self, prompt: Sequence[int], *, num_top: int) -> list[ScoredToken]:
        if not prompt:
            return []
        call = score_call(tuple(prompt), num_top, self._options.upstream)
        try:
            async with asyncio.timeout(self._options.deadlines.first):
                reply = await self._opened(call, Sending(), content_type="application/json")
                try:
                    body = await _read_all(reply, _MORE_REPLY_BYTES + most_score_bytes(len(prompt), num_top))
                finally:
                    reply.close()
        except (TimeoutError, aiohttp.ClientError) as error:
            raise EngineFailed(f"scoring failed: {type(error).__name__}") from None
        scored = list(await read_scores(read_whole_logprobs(body), num_top, self._tokenizer))[: len(prompt)]
        if [token.token_id for token in scored] != list(prompt):
            raise EngineFailed("the upstream scored other tokens than it was asked to")
        return [ScoredToken(scored[0].token_id, scored[0].piece, None), *scored[1:]]

    async def abort(self, round_id: str) -> None:
        generation = self._open.get(round_id)
        if generation is not None:
            await generation.aclose()

    async def _wait_reachable(self) -> None:
        """Try until the server answers: it may have been started a moment ago, too."""
        deadline = self._clock.monotonic() + self._options.deadlines.reachable
        pause = 0.1
        while True:
            try:
                await self.probe()
            except TryLater as failure:
                if self._clock.monotonic() + pause > deadline:
                    raise ModelLoadFailed(f"the upstream at {self._options.upstream.url}: {failure}") from None
            except ParleyError as failure:
                raise ModelLoadFailed(f"the upstream at {self._options.upstream.url}: {_detail(failure)}") from None
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    async def _opened(
        self, call: Call, sending: Sending, *, content_type: str = "text/event-stream"
    ) -> aiohttp.ClientResponse:
        """The reply to a call, its body unread; the call is made again as long as it may be. Raises what ends it."""
        if self._program is not None:
            await self._program.ready()
        num_failed = 0
        while True:
            try:
                return await self._attempt(call, sending, content_type=content_type)
            except ParleyError:
                sending.is_taken = False
                raise
            except TryLater as failure:
                sending.is_taken = False
                num_failed += 1
                pause = self._options.patience.pause(num_failed, failure.asked_seconds)
                if pause is None:
                    _log.warning("upstream_unavailable", extra={"reason": str(failure), "attempts": num_failed})
                    raise gave_up(failure) from None
                await asyncio.sleep(pause)

    async def _attempt(self, call: Call, sending: Sending, *, content_type: str) -> aiohttp.ClientResponse:
        if self._session is None:
            raise EngineFailed("an upstream was used before it was started")
        # A packed stream would wait for a full block.
        headers = {"content-type": "application/json", "accept": content_type, "accept-encoding": "identity"}
        if self._options.key is not None:
            headers["authorization"] = f"Bearer {self._options.key}"
        try:
            reply = await self._session.post(
                self._options.upstream.url + call.path,
                data=call.body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=sending,
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # Nothing was sent. A connection that breaks later is not tried again: the request may be what broke it.
            raise TryLater(f"it cannot be reached: {type(error).__name__}") from None
        packing = reply.headers.get("content-encoding", "identity")
        if reply.status == 200 and reply.content_type == content_type and packing.lower() == "identity":
            return reply
        try:
            if is_later(reply.status):
                asked = asked_pause(reply.headers.get("retry-after"), now=self._clock.now())
                raise TryLater(f"it answered {reply.status}", asked_seconds=asked)
            if reply.status == 200 and reply.content_type == content_type:
                raise EngineFailed("the upstream packed its answer, which it was asked not to do")
            if reply.status == 200:
                raise EngineFailed(f"the upstream answered with {reply.content_type}, not {content_type}")
            raise refusal(reply.status, *read_refusal(await _read_all(reply, _MAX_REFUSAL_BYTES)))
        finally:
            reply.close()

    def _on_silent(self) -> None:
        if self._program is not None:
            self._program.doubt()

    def _on_disputed(self, reported: ReportedUsage | None, charged: Usage) -> None:
        _log.warning(
            "upstream_usage_disputed",
            extra={
                "upstream_model": self._options.upstream.model,
                "reported_input": None if reported is None else reported.prompt_tokens,
                "reported_output": None if reported is None else reported.completion_tokens,
                "charged_input": charged.input_tokens,
                "charged_output": charged.output_tokens,
            },
        )


async def _note_sent(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceRequestChunkSentParams
) -> None:
    """The connection stands, and the body goes out on it."""
    context.trace_request_ctx.is_taken = True


async def _read_all(reply: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, as far as `most` bytes."""
    parts: list[bytes] = []
    size = 0
    while size < most and (part := await reply.content.readany()):
        parts.append(part)
        size += len(part)
    return b"".join(parts)[:most]


def _detail(failure: ParleyError) -> str:
    return failure.detail if isinstance(failure, EngineFailed) else failure.message
