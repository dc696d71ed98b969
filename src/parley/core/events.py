"""What an engine says while it runs a request. `Finished` is always the last event, exactly once."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from parley.core.usage import Doubt, Usage


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


class Alternative(Struct, frozen=True):
    """One candidate at a position: natural-log probability over the full vocabulary, before sampling changed it."""

    # None where the engine tells texts alone.
    token_id: int | None
    piece: bytes
    logprob: float


class ScoredToken(Struct, frozen=True):
    """A token with its log-probability; None for a prompt's first token. `top` is sorted, most probable first."""

    token_id: int | None
    piece: bytes
    logprob: float | None
    top: tuple[Alternative, ...] = ()


class Delta(Struct, frozen=True):
    """New text of one sequence. `text` holds whole characters only and may be empty while a character or a possible
    stop string is unfinished; `num_tokens` are the tokens generated since the sequence's last delta."""

    sequence: int
    text: str
    num_tokens: int
    tokens: tuple[ScoredToken, ...] = ()


class CallStarted(Struct, frozen=True):
    """The sequence calls a function. `call` counts its calls from 0; `name` is one of the declared."""

    sequence: int
    call: int
    call_id: str
    name: str


class CallDelta(Struct, frozen=True):
    """The next piece of a call's arguments, as the model wrote them. All pieces together are one JSON object, unless the
    sequence was cut. No piece follows the beginning of the sequence's next call."""

    sequence: int
    call: int
    arguments: str


class RefusalDelta(Struct, frozen=True):
    """New text with which an upstream's model refuses, apart from its answer. Its tokens are told by a Delta."""

    sequence: int
    text: str


class SequenceFinished(Struct, frozen=True):
    """One sequence is complete; no delta of it follows."""

    sequence: int
    finish_reason: FinishReason


class Finished(Struct, frozen=True):
    """The request is complete. `usage` is the engine's own count over all its sequences; what there is to doubt in it."""

    usage: Usage
    doubt: Doubt | None = None
    # Tokens of the deltas that are not in `usage`, because the engine's server counts fewer and the lower number holds.
    num_uncharged: int = 0


# What an engine says of itself.
Event = Delta | SequenceFinished | Finished
# What a Run tells: calls are read out of the engine's text on the way. An upstream may have read them itself, and it alone
# tells refusals apart.
SequenceEvent = Delta | CallStarted | CallDelta | RefusalDelta | SequenceFinished
RunEvent = SequenceEvent | Finished


def count_tokens(events: Iterable[RunEvent]) -> int:
    """The tokens that these events tell."""
    return sum(event.num_tokens for event in events if isinstance(event, Delta))


def joined(events: Iterable[SequenceEvent]) -> list[SequenceEvent]:
    """The same, with one delta for those that follow each other in their sequence; for a reply that is told as a whole.

    Deltas with scores stay apart: who reads calls out of the text must know which score is of which part of it.
    """
    told: list[SequenceEvent] = []
    # By sequence: deltas that nothing else has come after.
    open_deltas: dict[int, list[Delta]] = {}
    for event in events:
        if isinstance(event, Delta) and not event.tokens:
            open_deltas.setdefault(event.sequence, []).append(event)
            continue
        if event.sequence in open_deltas:
            told.append(_one(open_deltas.pop(event.sequence)))
        told.append(event)
    return [*told, *map(_one, open_deltas.values())]


def _one(deltas: Sequence[Delta]) -> Delta:
    return Delta(deltas[0].sequence, "".join([each.text for each in deltas]), sum([each.num_tokens for each in deltas]))
