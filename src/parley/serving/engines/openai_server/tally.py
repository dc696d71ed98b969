"""Our own count of what an upstream sent, and the judgement of the count that it reports. Pure."""

from dataclasses import dataclass

from parley.core.usage import Doubt

# A server may count the token that ended a sequence, or not.
_END_TOKENS = 1
# Bytes of a character that a token began and the limit cut off: as many tokens, at most, wrote them.
_UNFINISHED_BYTES = 3


@dataclass(frozen=True, slots=True)
class Count:
    """How many tokens there were: no fewer than `low`, and no more than `high`."""

    low: int
    high: int

    def __add__(self, other: "Count") -> "Count":
        return Count(self.low + other.low, self.high + other.high)


NOTHING = Count(0, 0)


def count_chunk(text: str, *, num_named: int | None) -> Count:
    """The tokens behind one chunk: exact where the server named them, else one for any text.

    A chunk whose characters are of several bytes may have been written by several tokens, of which the first ones
    left a character unfinished and so had no text to send.
    """
    if num_named is not None:
        return Count(num_named, num_named)
    if not text:
        return NOTHING
    num_bytes = len(text.encode()) - len(text.encode("ascii", "ignore"))
    return Count(1, max(1, num_bytes))


def count_call(text: str, *, num_named: int | None) -> Count:
    """The tokens behind a piece of a call: many servers send a whole call in one chunk, and none is shorter than a byte.

    Named tokens were counted with the chunk.
    """
    return NOTHING if num_named is not None else Count(1, max(1, len(text.encode())))


def widen(counted: Count, num_retokenized: int) -> Count:
    """With what our own tokenizer makes of the text: servers may send several tokens in one chunk."""
    return Count(max(counted.low, num_retokenized), max(counted.high, num_retokenized))


def unseen_tokens(*, is_exact: bool, stop: tuple[str, ...]) -> int:
    """How many tokens of one sequence a server may count that no chunk could show: of a stop text, and of a cut character."""
    if is_exact:
        return 0
    return _UNFINISHED_BYTES + max((len(text.encode()) for text in stop), default=0)


def bounded(counted: Count, *, num_unseen: int, most: int | None) -> Count:
    """One sequence's count, with the tokens that no chunk could show; no more than the `most` that were asked for, if a limit was."""
    high = counted.high + num_unseen
    return Count(counted.low, high) if most is None else Count(min(counted.low, most), min(high, most))


def judge_output(reported: int | None, counted: Count, *, num_sequences: int) -> tuple[int, Doubt | None]:
    """The tokens to charge, and what there is to doubt in them.

    What deviates by more than a token for each sequence is disputed, and the lower number is taken. A report of none is
    no report when something came.
    """
    if reported is None:
        return counted.low, Doubt.ESTIMATED
    if reported < 0 or (reported == 0 and counted.low > num_sequences * _END_TOKENS):
        return counted.low, Doubt.DISPUTED
    tolerance = num_sequences * _END_TOKENS
    if reported < counted.low - tolerance:
        return reported, Doubt.DISPUTED
    if reported > counted.high + tolerance:
        return counted.low, Doubt.DISPUTED
    if reported == 0:
        return counted.low, None
    return min(reported, counted.high), None


def judge_input(reported: int | None, *, known: int | None, estimated: int, most: int) -> tuple[int, Doubt | None]:
    """The same for a prompt: `known` where it was tokenised here, else only what `most` (its bytes) rules out is disputed."""
    if known is not None:
        is_agreed = reported is None or abs(reported - known) <= 1
        return known, None if is_agreed else Doubt.DISPUTED
    if reported is None:
        return estimated, Doubt.ESTIMATED
    if not 0 < reported <= most:
        return estimated, Doubt.DISPUTED
    return reported, None
