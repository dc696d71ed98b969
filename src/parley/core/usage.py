"""What one request consumed, counted from engine events."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field


class Usage(Struct, frozen=True, kw_only=True):
    """Counts are tokens of the served model. `cached_tokens` is the part of `input_tokens` that the prefix cache served.

    `audio_seconds` are whole, as they are billed; `images` are (size, number) pairs.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    audio_seconds: int = 0
    training_tokens: int = 0
    images: tuple[tuple[str, int], ...] = ()

    def __add__(self, other: "Usage") -> "Usage":
        images = Counter(dict(self.images)) + Counter(dict(other.images))
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            audio_seconds=self.audio_seconds + other.audio_seconds,
            training_tokens=self.training_tokens + other.training_tokens,
            images=tuple(sorted(images.items())),
        )


class Doubt(StrEnum):
    """Why a usage is less than certain, which only that of an upstream can be."""

    # The server never told its count: what reached us was counted, and its prompt was estimated.
    ESTIMATED = "estimated"
    # The server's count is not what reached us; the lower of the two was taken.
    DISPUTED = "disputed"


class Outcome(StrEnum):
    """How a request ended. An aborted one was left by its client; a cut one met the end of the drain window."""

    FINISHED = "finished"
    ABORTED = "aborted"
    FAILED = "failed"
    CUT = "cut"


class UsageRecord(Struct, frozen=True, kw_only=True):
    """The stored line of one request's usage. Exactly one exists per admitted request; `request_id` is its key.

    Times: `created_at` in seconds since the epoch, the intervals in seconds; `ttft_seconds` is None when no token came.
    """

    request_id: str
    created_at: float
    organization_id: str
    project_id: str
    key_id: str
    endpoint: str
    requested_model: str
    snapshot: str
    weights: str
    price_version: str
    # What it cost, in nano-dollars, at that price.
    charge_nano: int
    outcome: Outcome
    usage: Usage
    num_choices: int
    is_stream: bool
    queue_seconds: float
    ttft_seconds: float | None
    e2e_seconds: float
    user: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    doubt: Doubt | None = None
    # The person whose key or session it was.
    user_id: str | None = None
