"""Wire types of `/v1/chat/completions`."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from parley.api.openai.schemas.shared import (
    INT64_MAX,
    CompletionUsage,
    ModelName,
    ReplyStruct,
    RequestStruct,
    SamplingParameters,
)
from parley.api.openai.schemas.tools import (
    MAX_TOOLS,
    CalledFunction,
    CalledFunctionChunk,
    CalledFunctionReply,
    ChatCompletionFunctions,
    ChatCompletionMessageToolCall,
    ChatCompletionMessageToolCallChunk,
    ChatCompletionMessageToolCallReply,
    ChatCompletionTool,
    ChatCompletionToolChoiceOption,
    FunctionCallOption,
    ResponseFormat,
)
from parley.core.template import Role

# The pattern is checked in `messages.py`: Python's `$` would let a line break pass behind the name.
ParticipantName = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z0-9_-]{1,64}$"})]
MaxTokens = Annotated[int, Meta(ge=1, le=INT64_MAX)]
TopLogprobsCount = Annotated[int, Meta(ge=0, le=20)]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16, description="Kept on the usage record."),
]
Hint = Annotated[str, Meta(max_length=512)]
SafetyIdentifier = Annotated[str, Meta(max_length=128)]
Tools = Annotated[list[ChatCompletionTool], Meta(max_length=MAX_TOOLS)]
Functions = Annotated[list[ChatCompletionFunctions], Meta(max_length=MAX_TOOLS)]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast"]


class ImageUrl(RequestStruct, kw_only=True):
    """An image as a data URL, in base64; addresses are refused, since nothing is fetched."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ChatCompletionRequestMessageContentPart(RequestStruct, kw_only=True):
    """One part of a message's content. Parts other than texts and images are known by name, and refused.

    `image_url` may be the URL itself, as the first clients wrote it.
    """

    type: Literal["text", "refusal", "image_url", "input_audio", "file"]
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: Any = None
    file: Any = None
    prompt_cache_breakpoint: Any = None


class ChatCompletionRequestMessage(RequestStruct, kw_only=True):
    """A message of the conversation. Which fields a role may have is checked in `messages.py`.

    It also takes what clients send back of our own replies: `refusal`, `annotations`, `audio`, and `parsed`, which the official
    client makes of `content` and leaves in the message.
    """

    role: Role
    content: str | Annotated[list[ChatCompletionRequestMessageContentPart], Meta(max_length=2048)] | None = None
    name: ParticipantName | None = None
    tool_call_id: Annotated[str, Meta(max_length=512)] | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[ChatCompletionMessageToolCall], Meta(max_length=MAX_TOOLS)] | None = None
    function_call: CalledFunction | None = None
    audio: Any = None
    annotations: list[Any] | None = None
    parsed: Any = None


class CreateChatCompletionRequest(SamplingParameters, kw_only=True):
    """The body of `POST /v1/chat/completions`: every field of 2023 and of today, honoured or refused by name."""

    model: ModelName
    messages: Annotated[list[ChatCompletionRequestMessage], Meta(min_length=1, max_length=2048)]
    max_tokens: MaxTokens | None = None
    max_completion_tokens: MaxTokens | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobsCount | None = None
    metadata: Metadata | None = None
    safety_identifier: SafetyIdentifier | None = None
    # Changes no answer anywhere. Here prompts share a cache by their beginnings, whatever it says.
    prompt_cache_key: Hint | None = None
    tools: Tools | None = None
    tool_choice: ChatCompletionToolChoiceOption | None = None
    parallel_tool_calls: bool | None = None
    functions: Functions | None = None
    function_call: FunctionCallOption | None = None
    response_format: ResponseFormat | None = None
    # From here on: what is accepted at its documented default alone, see `today.py`.
    store: bool | None = None
    service_tier: ServiceTier | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    reasoning_effort: ReasoningEffort | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    prediction: dict[str, Any] | None = None
    audio: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None


class TopLogprob(ReplyStruct, kw_only=True):
    """A candidate at a position; `bytes` are for tokens that are no whole characters."""

    token: str
    logprob: float
    bytes: list[int] | None


class ChatCompletionTokenLogprob(ReplyStruct, kw_only=True):
    """A token of the output, and the most probable candidates at its position."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class ChatChoiceLogprobs(ReplyStruct, kw_only=True):
    """Log-probabilities of a choice's tokens. Those of a refusal are not told."""

    content: list[ChatCompletionTokenLogprob]
    refusal: None = None


class ChatCompletionResponseMessage(ReplyStruct, kw_only=True):
    """What the model said. `content` is null where it only calls functions, or refuses, as an upstream's may tell apart;
    `function_call` is 2023's form of a call."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    annotations: list[Any] = field(default_factory=list)
    tool_calls: list[ChatCompletionMessageToolCallReply] | UnsetType = UNSET
    function_call: CalledFunctionReply | UnsetType = UNSET


class ChatCompletionChoice(ReplyStruct, kw_only=True):
    """One answer."""

    index: int
    message: ChatCompletionResponseMessage
    logprobs: ChatChoiceLogprobs | None
    finish_reason: str


class CreateChatCompletionResponse(ReplyStruct, kw_only=True):
    """The reply of `POST /v1/chat/completions`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatCompletionChoice]
    usage: CompletionUsage
    service_tier: str | UnsetType = UNSET
    system_fingerprint: str


class ChatCompletionStreamResponseDelta(ReplyStruct, kw_only=True):
    """What is new in a choice."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: list[ChatCompletionMessageToolCallChunk] | UnsetType = UNSET
    function_call: CalledFunctionChunk | UnsetType = UNSET


class ChatCompletionChunkChoice(ReplyStruct, kw_only=True):
    """A choice in a chunk; `finish_reason` is set in its last."""

    index: int
    delta: ChatCompletionStreamResponseDelta
    logprobs: ChatChoiceLogprobs | None = None
    finish_reason: str | None = None


class CreateChatCompletionStreamResponse(ReplyStruct, kw_only=True):
    """One chunk of a stream. With `include_usage`, `usage` is null in all but the last, which has no choices."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    service_tier: str | UnsetType = UNSET
    system_fingerprint: str
    choices: list[ChatCompletionChunkChoice]
    usage: CompletionUsage | UnsetType | None = UNSET
