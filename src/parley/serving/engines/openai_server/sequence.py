"""One sequence of a round on an OpenAI-compatible server, between two chunks of its stream."""

from collections import deque
from dataclasses import dataclass, field

from parley.core.errors import EngineFailed
from parley.core.events import FinishReason, ScoredToken
from parley.core.requests import SequenceRequest
from parley.serving.engines.openai_server.calls import CallReader
from parley.serving.engines.openai_server.frames import ChunkChoice
from parley.serving.engines.openai_server.scores import most_score_bytes
from parley.serving.engines.openai_server.tally import NOTHING, Count, unseen_tokens

_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}
# What servers say of a sequence that they did not bring to its end.
_BROKEN_OFF = frozenset({"abort", "error", "cancelled"})
# No honest answer is longer: tokens of this many characters each, and what a few may be beyond that, over all sequences.
_TOKEN_CHARACTERS, _MORE_CHARACTERS = 64, 1 << 20


@dataclass(slots=True)
class OpenSequence:
    """The state of one sequence between two chunks."""

    index: int
    calls: CallReader
    # Characters that may still come.
    room: int
    counted: Count = NOTHING
    # Whether every token of it was named, so that the count is exact.
    is_exact: bool = True
    texts: list[str] = field(default_factory=list)
    reason: FinishReason | None = None
    # Whether the server said a word for its end that nobody knows: it is over when the stream is.
    has_unknown_end: bool = False
    # Scored tokens whose text was not sent yet: those of a stop text, and the end token, are never shown.
    held: deque[ScoredToken] = field(default_factory=deque)
    # Bytes that the texts have more than the tokens shown with them.
    _ahead: int = 0

    def shown_with(self, text: str) -> tuple[ScoredToken, ...]:
        """The held tokens that begin inside the texts so far, `text` included."""
        self._ahead += len(text.encode(errors="replace"))
        shown = []
        while self.held and self._ahead > 0:
            token = self.held.popleft()
            self._ahead -= len(token.piece)
            shown.append(token)
        if not self.held:
            # What is left over was written by tokens that the server did not name.
            self._ahead = min(0, self._ahead)
        return tuple(shown)

    def num_unseen(self, stop: tuple[str, ...]) -> int:
        """How many tokens a server may have counted of which nothing was told; `stop` are the texts that end a sequence."""
        return unseen_tokens(is_exact=self.is_exact, stop=stop if self.reason is FinishReason.STOP else ())


def open_sequences(request: SequenceRequest, *, is_single: bool) -> list[OpenSequence]:
    """A round's sequences before its first chunk; `is_single` where each may call one function at most."""
    room = request.max_tokens * _TOKEN_CHARACTERS + _MORE_CHARACTERS // request.num_sequences
    if request.sampling.logprobs is not None:
        room += most_score_bytes(request.max_tokens, request.sampling.logprobs)
    return [OpenSequence(index, CallReader(index, is_single=is_single), room) for index in range(request.num_sequences)]


def texts_of(choice: ChunkChoice) -> tuple[str, str]:
    """What is part of the answer, and what a model only thought."""
    if choice.delta is None:
        return choice.text or "", ""
    return choice.delta.content or "", choice.delta.reasoning_content or choice.delta.reasoning or ""


def refusal_of(choice: ChunkChoice) -> str:
    """What a model says in the place of an answer. Completions have no such place."""
    return "" if choice.delta is None else choice.delta.refusal or ""


def reason_of(told: str) -> FinishReason | None:
    """Why a sequence ended; None for a word that is none of OpenAI's. Raises EngineFailed for one that was broken off."""
    if told.lower() in _BROKEN_OFF:
        raise EngineFailed(f"the upstream broke a sequence off ({told})")
    return _REASONS.get(told.lower())
