"""`best_of`: holds back each prompt's candidates, and lets the best `n` through once all of them are complete."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from parley.core.events import Delta, FinishReason, ScoredToken, SequenceEvent, SequenceFinished


@dataclass(slots=True)
class _Candidate:
    texts: list[str] = field(default_factory=list)
    tokens: list[ScoredToken] = field(default_factory=list)
    num_tokens: int = 0
    finish_reason: FinishReason | None = None

    def mean_logprob(self) -> float:
        """The rank: mean token log-probability; a candidate without tokens ranks last."""
        logprobs = [token.logprob for token in self.tokens if token.logprob is not None]
        return sum(logprobs) / len(logprobs) if logprobs else float("-inf")


class Ranking:
    """Candidates come numbered `prompt * best_of + k`; choices leave numbered `prompt * n + rank`, best first.

    `keep_tokens` says whether the caller asked for log-probabilities or only the ranking did.
    """

    def __init__(self, *, num_prompts: int, n: int, best_of: int, keep_tokens: bool) -> None:
        self._n = n
        self._best_of = best_of
        self._keep_tokens = keep_tokens
        self._candidates = [[_Candidate() for _ in range(best_of)] for _ in range(num_prompts)]

    def push(self, event: SequenceEvent) -> Iterator[Delta | SequenceFinished]:
        """Take one candidate's event; yields a prompt's choices when its last candidate finishes."""
        prompt, index = divmod(event.sequence, self._best_of)
        candidate = self._candidates[prompt][index]
        if isinstance(event, Delta):
            candidate.texts.append(event.text)
            candidate.tokens.extend(event.tokens)
            candidate.num_tokens += event.num_tokens
            return
        if not isinstance(event, SequenceFinished):
            # Only chats have calls and refusals, and only completions are ranked.
            return
        candidate.finish_reason = event.finish_reason
        if all(other.finish_reason is not None for other in self._candidates[prompt]):
            yield from self._choices(prompt)

    def _choices(self, prompt: int) -> Iterator[Delta | SequenceFinished]:
        ranked = sorted(self._candidates[prompt], key=_Candidate.mean_logprob, reverse=True)
        for rank, candidate in enumerate(ranked[: self._n]):
            choice = prompt * self._n + rank
            tokens = tuple(candidate.tokens) if self._keep_tokens else ()
            yield Delta(choice, "".join(candidate.texts), candidate.num_tokens, tokens)
            yield SequenceFinished(choice, candidate.finish_reason or FinishReason.STOP)
