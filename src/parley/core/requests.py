"""Engine-neutral requests: what the wire types become, and what the stages hand on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from parley.core.template import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are chosen, in OpenAI's meaning. `temperature` 0 is greedy."""

    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    # Token id -> bias in [-100, 100]; -100 bans, 100 forces.
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    # Up to four texts that end a sequence; never part of the output.
    stop: tuple[str, ...] = ()
    seed: int | None = None
    # None: no log-probabilities. k >= 0: those of the chosen tokens and of the k most probable at each position.
    logprobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    role: Role
    content: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPrompt:
    messages: tuple[ChatMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPrompt:
    """One raw prompt: text (never promoted), or token ids taken as they are. `suffix` asks for fill-in-the-middle."""

    text: str | None = None
    token_ids: tuple[int, ...] | None = None
    suffix: str | None = None


Prompt = ChatPrompt | TextPrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One API call that generates text: `len(prompts) * n` choices, prompt by prompt.

    `best_of` sequences are generated per prompt and the best `n` returned. `echo` puts the prompt before each choice.
    """

    model: str
    endpoint: str
    prompts: tuple[Prompt, ...]
    sampling: Sampling
    # None: up to what is left of the context.
    max_tokens: int | None
    n: int = 1
    best_of: int = 1
    echo: bool = False
    is_stream: bool = False
    # Kept on the usage record.
    user: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    # Requests with the same hint are placed where their prefix may be cached.
    placement_hint: str | None = None


@dataclass(frozen=True, slots=True)
class Grammar:
    """What every sequence of a round must be, from its first token to its end: a grammar in llguidance's Lark.

    It was compiled under limits before, so that an engine may rely on it. Token ids of the served model stand in it as
    `<[id]>`, JSON schemas as `%json {...}`. An engine that cannot apply it must fail rather than write free text.
    """

    lark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceRequest:
    """One round for an engine: `num_sequences` continuations of one tokenised prompt.

    `max_tokens` is at least 1 and fits the context. `round_id` is unique; abort is addressed by it. `markers` are the
    texts of special tokens that a delta's text shows, such as `<tool_call>`; of all others it shows nothing.
    """

    round_id: str
    prompt: tuple[int, ...]
    num_sequences: int
    max_tokens: int
    sampling: Sampling
    grammar: Grammar | None = None
    markers: tuple[str, ...] = ()
    # What an engine keeps of this prompt serves only rounds with the same salt, so that nobody learns by the clock what
    # others have asked.
    cache_salt: str = ""
