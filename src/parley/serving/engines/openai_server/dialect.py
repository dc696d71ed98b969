"""What is asked of an OpenAI-compatible server: the call of one round, and what differs between kinds of servers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from parley.core.estimate import estimate_tokens
from parley.core.requests import ChatPrompt, Sampling, SequenceRequest, TextPrompt
from parley.core.upstream import Upstream, UpstreamKind
from parley.serving.engines.openai_server.calls import tool_fields
from parley.serving.engines.openai_server.messages import messages_of

# Servers keep seeds in 31, 32 or 63 bits, and some take the highest for "none"; the same seed stays the same seed here.
_SEEDS = 1 << 31
# Fields that switch off what a server samples by besides, from its own defaults or from the model's files. Ollama's
# cannot be switched off on its OpenAI routes. A hosted API gets none: it may refuse what it does not know.
_NEUTRAL: Mapping[UpstreamKind, Mapping[str, object]] = MappingProxyType(
    {
        UpstreamKind.VLLM: {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
        UpstreamKind.SGLANG: {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
        UpstreamKind.LLAMA_SERVER: {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
        UpstreamKind.OLLAMA: {},
        UpstreamKind.OPENAI: {},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One POST: the path below the upstream's address, and the JSON body."""

    path: str
    body: bytes


def call_of(request: SequenceRequest, upstream: Upstream) -> Call:
    """The call that runs a round. Every field is ours: nothing that a client wrote is handed on by name."""
    sampling = request.sampling
    body: dict[str, object] = {
        "model": upstream.model,
        # Only a stream is stopped when its connection closes, on every kind of server.
        "stream": True,
        "stream_options": {"include_usage": True},
        **_sampling_fields(request, upstream.kind),
        **_NEUTRAL[upstream.kind],
    }
    if request.num_sequences > 1:
        body["n"] = request.num_sequences
    if request.is_limit_asked:
        body[_limit_field(upstream, is_chat=isinstance(request.source, ChatPrompt))] = request.max_tokens
    if upstream.abilities.names_tokens:
        body["return_token_ids"] = True
    if isinstance(request.source, ChatPrompt):
        body |= {
            "messages": messages_of(request.source),
            **_chat_logprobs(sampling),
            **tool_fields(request.source, upstream.kind),
        }
        return Call(path="/chat/completions", body=msgspec.json.encode(body))
    body |= _prompt_fields(request)
    if sampling.logprobs is not None:
        body |= _completion_logprobs(sampling.logprobs, request, upstream)
    return Call(path="/completions", body=msgspec.json.encode(body))


def score_call(prompt: tuple[int, ...], num_top: int, upstream: Upstream) -> Call:
    """The call that tells the log-probabilities of a prompt's own tokens; not streamed, since its answer is one piece."""
    body = {
        "model": upstream.model,
        "prompt": prompt,
        "echo": True,
        "logprobs": num_top,
        "max_tokens": 1,
        "temperature": 0.0,
        "return_tokens_as_token_ids": True,
    }
    return Call(path="/completions", body=msgspec.json.encode(body))


def probe_call(upstream: Upstream, *, is_chat: bool) -> Call:
    """The smallest real generation: the only sign of health that a wedged server cannot give."""
    body: dict[str, object] = {"model": upstream.model, _limit_field(upstream, is_chat=is_chat): 1, "stream": False}
    if is_chat:
        body["messages"] = [{"role": "user", "content": "Hi"}]
        return Call(path="/chat/completions", body=msgspec.json.encode(body))
    body["prompt"] = "Hi"
    return Call(path="/completions", body=msgspec.json.encode(body))


def _limit_field(upstream: Upstream, *, is_chat: bool) -> str:
    """OpenAI's chats have another word for it by now, and its newer models refuse the old one; the others know the old one."""
    return "max_completion_tokens" if is_chat and upstream.kind is UpstreamKind.OPENAI else "max_tokens"


def _prompt_fields(request: SequenceRequest) -> dict[str, object]:
    if isinstance(request.source, TextPrompt):
        fields: dict[str, object] = {"prompt": request.source.text or ""}
        if request.source.suffix is not None:
            fields["suffix"] = request.source.suffix
        return fields
    return {"prompt": request.prompt}


def _sampling_fields(request: SequenceRequest, kind: UpstreamKind) -> dict[str, object]:
    """OpenAI's fields. Their defaults are said, too, where the server's own may differ from OpenAI's."""
    sampling = request.sampling
    fields: dict[str, object] = {}
    is_spelled_out = kind is not UpstreamKind.OPENAI
    if is_spelled_out or sampling.temperature != 1:
        fields["temperature"] = sampling.temperature
    if is_spelled_out or sampling.top_p != 1:
        fields["top_p"] = sampling.top_p
    if sampling.presence_penalty:
        fields["presence_penalty"] = sampling.presence_penalty
    if sampling.frequency_penalty:
        fields["frequency_penalty"] = sampling.frequency_penalty
    if kind is UpstreamKind.LLAMA_SERVER and (sampling.presence_penalty or sampling.frequency_penalty):
        # It looks back 64 tokens. At all of them is the nearest to OpenAI's that it has: the prompt's count, too.
        fields["repeat_last_n"] = _num_prompt(request) + request.max_tokens
    if sampling.logit_bias:
        fields["logit_bias"] = {str(token_id): bias for token_id, bias in sampling.logit_bias.items()}
    if sampling.stop:
        fields["stop"] = sampling.stop
    if sampling.seed is not None:
        fields["seed"] = sampling.seed % _SEEDS
    return fields


def _num_prompt(request: SequenceRequest) -> int:
    return len(request.prompt) if request.source is None else estimate_tokens(request.source)


def _chat_logprobs(sampling: Sampling) -> dict[str, object]:
    if sampling.logprobs is None:
        return {}
    # llama.cpp sends none at all for 0; one more than was asked for is cut when it is read.
    return {"logprobs": True, "top_logprobs": max(1, sampling.logprobs)}


def _completion_logprobs(num_top: int, request: SequenceRequest, upstream: Upstream) -> dict[str, object]:
    fields: dict[str, object] = {"logprobs": max(1, num_top)}
    if upstream.abilities.names_tokens and request.source is None:
        # Texts of tokens that are no whole characters cannot be told in JSON; ids can.
        fields["return_tokens_as_token_ids"] = True
    return fields
