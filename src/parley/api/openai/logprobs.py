"""Log-probabilities in both of OpenAI's shapes: chat's list of objects, and the parallel arrays of completions."""

from collections.abc import Iterable, Sequence

from parley.api.openai.schemas.chat import ChatChoiceLogprobs, ChatCompletionTokenLogprob, TopLogprob
from parley.api.openai.schemas.completions import CompletionLogprobs
from parley.core.events import Alternative, ScoredToken

# What OpenAI writes for "very unlikely"; JSON has no minus infinity.
_LOWEST = -9999.0


def chat_logprobs(tokens: Iterable[ScoredToken], num_top: int) -> ChatChoiceLogprobs:
    """Chat's shape, with `num_top` candidates per token."""
    spellings = _Spellings()
    return ChatChoiceLogprobs(content=[_chat_token(token, num_top, spellings) for token in tokens])


def _chat_token(token: ScoredToken, num_top: int, spellings: "_Spellings") -> ChatCompletionTokenLogprob:
    text, numbers = spellings[token.piece]
    return ChatCompletionTokenLogprob(
        token=text,
        logprob=_finite(token.logprob),
        bytes=numbers,
        top_logprobs=[_candidate(candidate, spellings) for candidate in token.top[:num_top]],
    )


def _candidate(candidate: Alternative, spellings: "_Spellings") -> TopLogprob:
    text, numbers = spellings[candidate.piece]
    return TopLogprob(token=text, logprob=_finite(candidate.logprob), bytes=numbers)


class _Spellings(dict[bytes, tuple[str, list[int]]]):
    """A piece's text and its bytes as numbers, made once for all places where it stands: most pieces come again."""

    def __missing__(self, piece: bytes) -> tuple[str, list[int]]:
        self[piece] = spelling = (_escaped_text(piece), list(piece))
        return spelling


class CompletionScores:
    """The completions' shape for one choice, part by part: the offsets go on where the last part ended."""

    def __init__(self, num_top: int, *, start: int) -> None:
        """`start` is the offset of the first token, in characters."""
        self._num_top = num_top
        self._offset = start

    def of(self, tokens: Sequence[ScoredToken]) -> CompletionLogprobs:
        """The arrays for the next tokens of the choice."""
        return CompletionLogprobs(
            tokens=[_marked_text(token.piece) for token in tokens],
            token_logprobs=[None if token.logprob is None else _finite(token.logprob) for token in tokens],
            top_logprobs=[self._candidates(token) for token in tokens],
            text_offset=[self._advance(token.piece) for token in tokens],
        )

    def _candidates(self, token: ScoredToken) -> dict[str, float] | None:
        """Up to `num_top` candidates, and always the token that was chosen."""
        if token.logprob is None:
            return None
        found: dict[str, float] = {}
        for candidate in token.top[: self._num_top]:
            # Two tokens may read alike; the more probable one comes first.
            found.setdefault(_marked_text(candidate.piece), _finite(candidate.logprob))
        found.setdefault(_marked_text(token.piece), _finite(token.logprob))
        return found

    def _advance(self, piece: bytes) -> int:
        """The offset of the character that the piece begins in, or goes on with."""
        num_started = sum(1 for byte in piece if not _is_continuation(byte))
        is_inside = bool(piece) and _is_continuation(piece[0])
        offset = max(self._offset - is_inside, 0)
        self._offset += num_started
        return offset


def _is_continuation(byte: int) -> bool:
    """Whether a byte of UTF-8 goes on with a character that an earlier one began."""
    return byte & 0xC0 == 0x80


def _finite(logprob: float | None) -> float:
    # Written so that NaN, too, becomes the lowest.
    return logprob if logprob is not None and logprob > _LOWEST else _LOWEST


def _escaped_text(piece: bytes) -> str:
    """The token's text; bytes that are no whole characters as `\\xe2\\x80`."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in piece)


def _marked_text(piece: bytes) -> str:
    """The token's text; bytes that are no whole characters as `bytes:\\xe2\\x80`."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return f"bytes:{_escaped_text(piece)}"
