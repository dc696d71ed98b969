"""What an engine says while it runs a request. `Finished` is always the last event, exactly once."""

from dataclasses import dataclass
from enum import StrEnum

from parley.core.usage import Doubt, Usage


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Alternative:
    """One candidate at a position: natural-log probability over the full vocabulary, before sampling changed it."""

    # None where the engine tells texts alone.
    token_id: int | None
    piece: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token with its log-probability; None for a prompt's first token. `top` is sorted, most probable first."""

    token_id: int | None
    piece: bytes
    logprob: float | None
    top: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """New text of one sequence. `text` holds whole characters only and may be empty while a character or a possible
    stop string is unfinished; `num_tokens` are the tokens generated since the sequence's last delta."""

    sequence: int
    text: str
    num_tokens: int
    tokens: tuple[ScoredToken, ...] = ()


@dataclass(frozen=True, slots=True)
class SequenceFinished:
    """One sequence is complete; no delta of it follows."""

    sequence: int
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Finished:
    """The request is complete. `usage` is the engine's own count over all its sequences; what there is to doubt in it."""

    usage: Usage
    doubt: Doubt | None = None
    # Tokens of the deltas that are not in `usage`, because the engine's server counts fewer and the lower number holds.
    num_uncharged: int = 0


Event = Delta | SequenceFinished | Finished
