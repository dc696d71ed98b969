"""Other people's OpenAI-compatible servers as engines: where one is, and what servers of its kind take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType


class UpstreamKind(StrEnum):
    """Which server it is. OPENAI is whatever keeps to OpenAI's own documentation: a hosted API, most often."""

    VLLM = "vllm"
    SGLANG = "sglang"
    LLAMA_SERVER = "llama-server"
    OLLAMA = "ollama"
    OPENAI = "openai"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a kind of server takes. What it does not take is refused by name before it is called."""

    # Prompts of token ids at /v1/completions; only then can we tokenise, and keep special tokens out of content.
    takes_token_ids: bool
    # Several sequences of one prompt in one call. Without it, each sequence is a call of its own.
    takes_n: bool
    takes_logit_bias: bool
    # A text to fill up to, at /v1/completions.
    takes_suffix: bool
    has_chat_logprobs: bool
    has_completion_logprobs: bool
    # `echo` with log-probabilities: the only way to the prompt's own.
    scores_prompts: bool
    # It can be asked to name the ids of the tokens behind each piece of text, which counts them exactly.
    names_tokens: bool
    # Every kind takes declared functions and forms of answers, in chats that go as messages.
    # Whether a call that must be made is made, and whether a strict function's arguments fit their schema.
    enforces_choice: bool
    enforces_strict: bool = False


# From the servers' documentation and sources of 2026; llama-server's row is measured in tests/engines.
ABILITIES: Mapping[UpstreamKind, Abilities] = MappingProxyType(
    {
        UpstreamKind.VLLM: Abilities(
            takes_token_ids=True,
            takes_n=True,
            takes_logit_bias=True,
            takes_suffix=False,
            has_chat_logprobs=True,
            has_completion_logprobs=True,
            scores_prompts=True,
            names_tokens=True,
            enforces_choice=True,
        ),
        # It knows the fields `echo` and `suffix`; what they do there was not seen, so they are refused.
        UpstreamKind.SGLANG: Abilities(
            takes_token_ids=True,
            takes_n=True,
            takes_logit_bias=True,
            takes_suffix=False,
            has_chat_logprobs=True,
            has_completion_logprobs=True,
            scores_prompts=False,
            names_tokens=True,
            enforces_choice=True,
        ),
        # `n` is refused above its slots, whose number we do not know; `echo` and `suffix` are silently ignored. A function
        # that must be called is only proposed to the model.
        UpstreamKind.LLAMA_SERVER: Abilities(
            takes_token_ids=True,
            takes_n=False,
            takes_logit_bias=True,
            takes_suffix=False,
            has_chat_logprobs=True,
            has_completion_logprobs=True,
            scores_prompts=False,
            names_tokens=False,
            enforces_choice=False,
        ),
        # Its documentation lists n, logit_bias, tool_choice and log-probabilities as missing. Newer ones have chat log-probabilities.
        UpstreamKind.OLLAMA: Abilities(
            takes_token_ids=False,
            takes_n=False,
            takes_logit_bias=False,
            takes_suffix=True,
            has_chat_logprobs=False,
            has_completion_logprobs=False,
            scores_prompts=False,
            names_tokens=False,
            enforces_choice=False,
        ),
        UpstreamKind.OPENAI: Abilities(
            takes_token_ids=False,
            takes_n=True,
            takes_logit_bias=True,
            takes_suffix=True,
            has_chat_logprobs=True,
            has_completion_logprobs=True,
            scores_prompts=False,
            names_tokens=False,
            enforces_choice=True,
            enforces_strict=True,
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One server. Only the operator names it: no request has a field for an address."""

    kind: UpstreamKind
    # With its version, without a slash at the end: http://127.0.0.1:8001/v1.
    url: str
    # What the server calls the model.
    model: str
    # Where its key is: an environment variable or a file. The key itself is read when the engine starts.
    key_env: str | None = None
    key_file: Path | None = None
    # The program to start and to keep alive; empty where somebody else runs the server.
    command: tuple[str, ...] = field(default=())
    # Whether its model sees: only the operator knows.
    takes_pictures: bool = False
    # False where every name of the model completes raw texts and no more, so that its server may not even have chats.
    can_chat: bool = True

    @property
    def abilities(self) -> Abilities:
        return ABILITIES[self.kind]
