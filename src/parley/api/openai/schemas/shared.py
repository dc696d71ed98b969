"""Wire types that several endpoint families use: the strict request struct, bounded parameters, usage."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

INT64_MAX = 2**63 - 1
# Caps that stand in OpenAI's documents or were met in its replies.
MAX_CHOICES = 128

ModelName = Annotated[str, Meta(max_length=256, description="Name of the model to use: an alias or a snapshot.")]
Temperature = Annotated[float, Meta(ge=0, le=2, description="0 always takes the most probable token.")]
TopP = Annotated[float, Meta(ge=0, le=1, description="Sample from the smallest set of tokens with this probability.")]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
NumChoices = Annotated[int, Meta(ge=1, le=MAX_CHOICES, description="Choices per prompt.")]
Seed = Annotated[int, Meta(ge=-(2**63), le=INT64_MAX, description="The same seed gives the same output.")]
Bias = Annotated[float, Meta(ge=-100, le=100)]
LogitBias = Annotated[
    dict[str, Bias],
    Meta(
        max_length=1024,
        description="Token id of the served model -> bias; -100 bans the token, 100 forces it. In an answer that is held to a "
        "schema or a call biases choose among what its form allows, and a ban of all of that is not applied.",
    ),
]
Stop = str | Annotated[list[str], Meta(min_length=1, max_length=4, description="Texts that end a choice.")]
EndUser = Annotated[str, Meta(max_length=512, description="Who the caller acts for; kept on the usage record.")]


class RequestStruct(Struct, forbid_unknown_fields=True, kw_only=True):
    """A JSON object from a client: strict, and null means absent for every optional field but those that are UNSET by default."""


class ReplyStruct(Struct, kw_only=True, gc=False):
    """A JSON object of ours. Fields that are UNSET are left out.

    No cycle can come of them, and a reply may have a million: Python's collector would stop everything to look at them.
    """


class StreamOptions(RequestStruct, kw_only=True):
    """How a stream is written."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SamplingParameters(RequestStruct, kw_only=True):
    """What chat and completions share."""

    temperature: Temperature | None = None
    top_p: TopP | None = None
    n: NumChoices | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Stop | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: LogitBias | None = None
    seed: Seed | None = None
    user: EndUser | None = None


class PromptTokensDetails(ReplyStruct, kw_only=True):
    """Of the prompt's tokens: those that the prefix cache served, and, always 0 here, those of audio."""

    cached_tokens: int
    audio_tokens: int = 0


class CompletionTokensDetails(ReplyStruct, kw_only=True):
    """Kinds of output tokens that this server does not produce; today's clients read the keys."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class CompletionUsage(ReplyStruct, kw_only=True):
    """Tokens as the engine counted them, over all choices."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | UnsetType = UNSET
    completion_tokens_details: CompletionTokensDetails | UnsetType = UNSET
