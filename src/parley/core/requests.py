"""Engine-neutral requests: what the wire types become, and what the stages hand on."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from msgspec import Struct, field

from parley.core.picture import PictureSource, PlacedPicture
from parley.core.template import Role


class Sampling(Struct, frozen=True, kw_only=True):
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


class ToolCall(Struct, frozen=True, kw_only=True):
    """A call that the assistant made earlier. `arguments` is the text that the client sent back, JSON or not; 2023's form
    of calls has no `call_id`."""

    name: str
    arguments: str
    call_id: str | None = None


class Inset(Struct, frozen=True):
    """A picture in a message: it stands before the character of the content with the number `at`."""

    at: int
    source: PictureSource


class ChatMessage(Struct, frozen=True, kw_only=True):
    """`calls` only where the assistant speaks; `call_id` where a tool answers, with the id of the call; `pictures` only
    where a user speaks, in the order in which they stand in the content."""

    role: Role
    content: str
    name: str | None = None
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    pictures: tuple[Inset, ...] = ()


class AnswerLabel(Struct, frozen=True, kw_only=True):
    """What a client says of the form of its answer besides the schema. Our own engines hold to the schema in any case; an
    upstream is told. `is_strict` is None where it was not said."""

    name: str
    description: str | None = None
    is_strict: bool | None = None


class Schema(Struct, frozen=True, kw_only=True):
    """A JSON schema as text, within the bounds of `api.openai.schema_bounds`, and what a refusal says of it.

    `subject` stands in the sentence ("response_format 'answer'"), `param` names the field.
    """

    text: str
    subject: str
    param: str
    code: str | None = None
    # Of an answer's form that was declared by name, and of nothing else.
    label: AnswerLabel | None = None


class Function(Struct, frozen=True, kw_only=True):
    """A function that the model may call. A strict one is only ever called with arguments that its schema allows."""

    name: str
    description: str | None
    # None: the function takes no arguments.
    parameters: Schema | None
    is_strict: bool = False


class ToolChoice(StrEnum):
    """Whether a function may or must be called."""

    AUTO = "auto"
    REQUIRED = "required"


class Tools(Struct, frozen=True, kw_only=True):
    """The functions that are declared, and what the caller asks of the model. `only` is the one that must be called.

    `field` and `choice_field` are what a refusal calls them: tools and tool_choice, or 2023's functions and function_call.
    """

    functions: tuple[Function, ...]
    choice: ToolChoice = ToolChoice.AUTO
    only: str | None = None
    is_parallel: bool = True
    field: str = "tools"
    choice_field: str = "tool_choice"

    @property
    def is_2023(self) -> bool:
        """Whether they were asked for in 2023's form."""
        return self.field == "functions"


class ChatPrompt(Struct, frozen=True, kw_only=True):
    """A conversation. With `answer` the reply's text is JSON that this schema allows, and nothing else."""

    messages: tuple[ChatMessage, ...]
    tools: Tools | None = None
    answer: Schema | None = None


class TextPrompt(Struct, frozen=True, kw_only=True):
    """One raw prompt: text (never promoted), or token ids taken as they are. `suffix` asks for fill-in-the-middle."""

    text: str | None = None
    token_ids: tuple[int, ...] | None = None
    suffix: str | None = None


Prompt = ChatPrompt | TextPrompt


class Request(Protocol):
    """What is known of every API call that an engine works on, whatever it asks for."""

    @property
    def model(self) -> str: ...

    @property
    def endpoint(self) -> str: ...

    @property
    def num_choices(self) -> int: ...

    @property
    def is_stream(self) -> bool: ...

    @property
    def user(self) -> str | None: ...

    @property
    def metadata(self) -> Mapping[str, str]: ...


class GenerationRequest(Struct, frozen=True, kw_only=True):
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

    @property
    def num_choices(self) -> int:
        return len(self.prompts) * self.n


class Grammar(Struct, frozen=True):
    """What every sequence of a round must be, from its first token to its end: a grammar in llguidance's Lark.

    It was compiled under limits before, so that an engine may rely on it. Token ids of the served model stand in it as
    `<[id]>`, JSON schemas as `%json {...}`. An engine that cannot apply it must fail rather than write free text.
    """

    lark: str


class SequenceRequest(Struct, frozen=True, kw_only=True):
    """One round for an engine: `num_sequences` continuations of one tokenised prompt.

    `prompt` has the cells of `core.picture.place`: token ids, and negative numbers for the rows of `pictures`. `max_tokens`
    is at least 1 and fits the context. `round_id` is unique; abort is addressed by it. `markers` are the texts of special
    tokens that a delta's text shows, such as `<tool_call>`; of all others it shows nothing. `source` stands in for an empty
    `prompt` where the engine's server tokenises (see `core.grant.PreparedPrompt`).
    """

    round_id: str
    prompt: tuple[int, ...]
    num_sequences: int
    max_tokens: int
    sampling: Sampling
    source: Prompt | None = None
    # False: the client set no limit, and `max_tokens` is what we allow.
    is_limit_asked: bool = True
    grammar: Grammar | None = None
    markers: tuple[str, ...] = ()
    pictures: tuple[PlacedPicture, ...] = ()
    # What an engine keeps of this prompt serves only rounds with the same salt, so that nobody learns by the clock what
    # others have asked.
    cache_salt: str = ""
