"""Wire types of `/v1/completions` and of its older path `/v1/engines/{engine_id}/completions`."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from parley.api.openai.schemas.shared import (
    INT64_MAX,
    CompletionUsage,
    ModelName,
    ReplyStruct,
    SamplingParameters,
)

# Far above any model's window, and little enough to be looked through at once.
MAX_TOKEN_IDS = 2**20
TokenId = Annotated[int, Meta(ge=0, le=INT64_MAX)]
# msgspec knows one array type per union; `completions.py` refuses arrays of mixed items.
Prompt = (
    str
    | Annotated[
        list[str | TokenId | Annotated[list[TokenId], Meta(min_length=1, max_length=MAX_TOKEN_IDS)]],
        Meta(
            min_length=1,
            max_length=MAX_TOKEN_IDS,
            description="Texts, the token ids of one prompt, or the token ids of several.",
        ),
    ]
)


class CompletionParameters(SamplingParameters, kw_only=True):
    """Everything but the model."""

    prompt: Prompt | None = None
    suffix: str | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=INT64_MAX)] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    echo: bool | None = None
    best_of: Annotated[int, Meta(ge=0, le=20)] | None = None


class CreateCompletionRequest(CompletionParameters, kw_only=True):
    """The body of `POST /v1/completions`."""

    model: ModelName


class CreateEngineCompletionRequest(CompletionParameters, kw_only=True):
    """The body of `POST /v1/engines/{engine_id}/completions`, whose path names the model."""

    model: ModelName | None = None


class CompletionLogprobs(ReplyStruct, kw_only=True):
    """Parallel arrays, one entry per token.

    An echoed prompt's first token has neither a log-probability nor alternatives. `text_offset` counts characters from
    the start of the prompt.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(ReplyStruct, kw_only=True):
    """One continuation; in a chunk, what is new of it, and `finish_reason` in its last."""

    text: str
    index: int
    logprobs: CompletionLogprobs | None = None
    finish_reason: str | None


class CreateCompletionResponse(ReplyStruct, kw_only=True):
    """The reply of `POST /v1/completions`; the chunks of a stream have the same shape, `usage` only where asked for."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | UnsetType | None = UNSET
    system_fingerprint: str
