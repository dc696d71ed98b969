"""What an OpenAI-compatible server says: the chunks of its streams, its counts, its log-probabilities, its errors."""

import re

import msgspec

from parley.core.errors import EngineFailed

DONE = b"[DONE]"
# A count above it is nonsense, not a count.
_MOST_TOKENS = 1 << 31
# What a code looks like. A sentence, an address or a key does not.
_CODE = re.compile("[a-zA-Z][a-zA-Z_ ]{0,63}")
# What the path of a field looks like: messages[0].content, response_format.json_schema.
_PARAM = re.compile(r"[a-z_]{1,64}([.][a-z_]{1,64}|\[\d{1,6}\]){0,16}")


class WireToken(msgspec.Struct):
    """A token with its log-probability, as chat tells it. Only llama.cpp adds the id."""

    token: str = ""
    logprob: float | None = None
    bytes: list[int] | None = None
    id: int | None = None
    top_logprobs: list["WireToken"] | None = None


class WireLogprobs(msgspec.Struct):
    """Chat's list of objects, or the parallel arrays of completions."""

    content: list[WireToken] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None

    @property
    def num_tokens(self) -> int:
        return len((self.tokens if self.content is None else self.content) or ())


class WireFunction(msgspec.Struct):
    """A piece of a call: its name comes once, its arguments in one piece or many."""

    name: str | None = None
    arguments: str | None = None


class WireCall(msgspec.Struct):
    """One call's part of a chunk. Some servers do not number their calls."""

    index: int | None = None
    id: str | None = None
    function: WireFunction = msgspec.field(default_factory=WireFunction)


class ChunkDelta(msgspec.Struct):
    """A chat's new text, or calls. Reasoning is counted, and is no part of the answer."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[WireCall] | None = None


class ChunkChoice(msgspec.Struct):
    """One sequence's part of a chunk: `text` in completions, `delta` in chat. Log-probabilities are read where they were
    asked for: what is wrong with those that nobody wants must not cost the answer."""

    index: int = 0
    text: str | None = None
    delta: ChunkDelta | None = None
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")
    # Servers that name their tokens: those behind this chunk's text.
    token_ids: list[int] | None = None


class Chunk(msgspec.Struct):
    """One event of a stream. Usage is read by itself: a lie in it must not cost the answer."""

    choices: list[ChunkChoice] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


class _CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None


class ReportedUsage(msgspec.Struct):
    """The server's own count; None where it tells nothing or nonsense."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _CachedTokens | None = None

    @property
    def cached_tokens(self) -> int:
        details = self.prompt_tokens_details
        return max(0, (details and details.cached_tokens) or 0)


class _WireError(msgspec.Struct):
    code: str | int | None = None
    type: str | None = None
    param: msgspec.Raw = msgspec.Raw(b"null")


class _ErrorBody(msgspec.Struct):
    error: _WireError = msgspec.field(default_factory=_WireError)


class _WholeChoice(msgspec.Struct):
    logprobs: WireLogprobs


class _WholeReply(msgspec.Struct):
    choices: list[_WholeChoice]


# Below it no event has so many objects that they must be counted.
_SMALL_EVENT_BYTES = 1 << 14
# In one event; a million of them would stop the loop while they are read.
_MOST_OBJECTS = 1 << 16

_chunks = msgspec.json.Decoder(Chunk)
_usages = msgspec.json.Decoder(ReportedUsage | None)
_logprobs = msgspec.json.Decoder(WireLogprobs | None)
_errors = msgspec.json.Decoder(_ErrorBody)
_replies = msgspec.json.Decoder(_WholeReply)


def read_chunk(event: bytes) -> Chunk:
    """One chunk. Raises EngineFailed for what is none, and for an error that the server reports in its stream."""
    if len(event) > _SMALL_EVENT_BYTES and event.count(b"{") > _MOST_OBJECTS:
        raise EngineFailed(f"the upstream sent a chunk of more than {_MOST_OBJECTS} objects")
    try:
        chunk = _chunks.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EngineFailed(f"the upstream sent a broken chunk: {error}") from None
    if bytes(chunk.error) != b"null":
        raise EngineFailed(f"the upstream reports an error in its stream (code {_code(bytes(chunk.error))})")
    return chunk


def read_usage(raw: msgspec.Raw) -> ReportedUsage | None:
    """The count in a chunk, if there is one that can be one."""
    usage: ReportedUsage | None
    try:
        usage = _usages.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if usage is None or max(usage.prompt_tokens or 0, usage.completion_tokens or 0) > _MOST_TOKENS:
        return None
    return usage


def read_logprobs(raw: bytes) -> WireLogprobs | None:
    """The log-probabilities of a chunk, if it has any. Raises EngineFailed for what are none."""
    logprobs: WireLogprobs | None
    try:
        logprobs = _logprobs.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EngineFailed(f"the upstream sent broken log-probabilities: {error}") from None
    return logprobs


def read_refusal(body: bytes) -> tuple[str, str]:
    """The code, or else the type, in the body of a refusal, and the field that it names; empty where it has none, or
    something else in its place."""
    try:
        error = _errors.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    code = error.code if isinstance(error.code, str) else error.type or ""
    try:
        param = msgspec.json.decode(error.param, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        param = ""
    return code if _CODE.fullmatch(code) else "", param if _PARAM.fullmatch(param) else ""


def read_whole_logprobs(body: bytes) -> WireLogprobs:
    """The log-probabilities of a reply that was not streamed. Raises EngineFailed."""
    try:
        return _replies.decode(body).choices[0].logprobs
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError) as error:
        raise EngineFailed(f"the upstream sent no log-probabilities: {error}") from None


def _code(raw: bytes) -> str:
    return read_refusal(b'{"error":' + raw + b"}")[0] or "none"
