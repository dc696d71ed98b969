"""Admission's result: the permission to run one request, with everything pinned that must not change under it."""

from msgspec import Struct

from parley.core.hold import Hold
from parley.core.limits import Levels
from parley.core.picture import PlacedPicture
from parley.core.principal import Principal
from parley.core.requests import GenerationRequest, Grammar, Prompt, Request
from parley.core.snapshot import Snapshot, Weights
from parley.core.speech import TranscriptionRequest


class PreparedPrompt(Struct, frozen=True, kw_only=True):
    """A prompt as the engine will see it. `echo_ids` are the ids that `echo` shows: the client's own prompt.

    `grammar`, `markers` and `pictures` are as `core.requests.SequenceRequest` has them, and so are `token_ids`, in which
    every row of a picture has a place of its own and is counted like a token. Where the engine's server tokenises (an
    upstream), `source` is the prompt as it was written, there are no ids, and `num_tokens` is an estimate until the server
    has told its count.
    """

    token_ids: tuple[int, ...] = ()
    echo_ids: tuple[int, ...] = ()
    grammar: Grammar | None = None
    markers: tuple[str, ...] = ()
    pictures: tuple[PlacedPicture, ...] = ()
    source: Prompt | None = None
    estimated_tokens: int | None = None

    @property
    def num_tokens(self) -> int:
        return len(self.token_ids) if self.estimated_tokens is None else self.estimated_tokens


class Grant(Struct, frozen=True, kw_only=True):
    """What is pinned for every request; what is asked of its engine is in the grants below."""

    request_id: str
    principal: Principal
    request: Request
    snapshot: Snapshot
    weights: Weights
    # How the caller's limits stand with this request taken from them.
    levels: Levels = Levels()
    # Monotonic seconds at which the request was received at our edge.
    received_at: float
    # What the request may cost, reserved, at the price that was in force when it was admitted.
    hold: Hold


class GenerationGrant(Grant, frozen=True, kw_only=True):
    """To generate text. `max_tokens` is resolved: what each sequence of each prompt may generate, by prompt; 0 only with
    echo."""

    request: GenerationRequest
    prompts: tuple[PreparedPrompt, ...]
    max_tokens: tuple[int, ...]


class TranscriptionGrant(Grant, frozen=True, kw_only=True):
    """To hear a recording. `claimed_seconds` is what its container says; not to be believed, and None where it says nothing."""

    request: TranscriptionRequest
    claimed_seconds: float | None
