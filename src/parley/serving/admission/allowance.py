"""Is it paid for? The hold of a request that is admitted, and its growth while tokens come."""

from collections.abc import Sequence
from typing import Protocol

from parley.core.grant import PreparedPrompt
from parley.core.hold import Hold, Need
from parley.core.requests import GenerationRequest

# What a sequence without a stated maximum has covered at first, and what is added each time.
BLOCK_TOKENS = 512
# More is asked for while so many covered tokens are left, before those beyond them are generated.
_AHEAD_TOKENS = 32


class Lender(Protocol):
    """Who makes a hold larger. `parley.domain.billing.books` is the real one."""

    def extend_audio(self, hold: Hold, num_seconds: int, *, least: int) -> int:
        """Cover up to `num_seconds` more of audio, `least` at the least, or raise RateLimited; how many could be."""
        ...

    def extend(self, hold: Hold, num_tokens: int) -> int:
        """Cover up to `num_tokens` more; how many could be."""
        ...


def need_of(request: GenerationRequest, prompts: Sequence[PreparedPrompt], max_tokens: Sequence[int]) -> Need:
    """What the request must have covered at the start: a stated maximum whole, else a block for each sequence."""
    num_sequences = max(request.n, request.best_of)
    input_tokens = sum(prompt.num_tokens for prompt in prompts)
    most = most_tokens(request, max_tokens)
    if request.max_tokens is not None:
        return Need(input_tokens=input_tokens, min_output_tokens=most, output_tokens=most)
    first = sum(min(BLOCK_TOKENS, each) for each in max_tokens) * num_sequences
    return Need(
        input_tokens=input_tokens, min_output_tokens=min(first, len(prompts) * num_sequences), output_tokens=first
    )


def most_tokens(request: GenerationRequest, max_tokens: Sequence[int]) -> int:
    """The most output tokens that all sequences may have together; `max_tokens` are those of each prompt's."""
    return sum(max_tokens) * max(request.n, request.best_of)


class Allowance:
    """How many output tokens, over all its sequences, a request may generate by now."""

    def __init__(self, hold: Hold, lender: Lender, *, most_tokens: int) -> None:
        self._hold = hold
        self._lender = lender
        self._most_tokens = most_tokens
        # From this count on there is something to decide.
        self._decide_at = 0
        self._is_refused = False
        self._set_next()

    @property
    def is_exhausted(self) -> bool:
        """Whether more was refused."""
        return self._is_refused

    def covers(self, num_tokens: int) -> bool:
        """Whether a request that has generated `num_tokens` may go on. Its hold grows by a block where that is needed, by more where
        more came at once, and always as far as there is money for it."""
        if num_tokens < self._decide_at:
            return True
        covered = self._hold.num_output_tokens
        if covered < self._most_tokens and not self._is_refused:
            # An upstream may tell a whole call of thousands of tokens in one event.
            wanted = max(BLOCK_TOKENS, num_tokens + _AHEAD_TOKENS - covered)
            got = self._lender.extend(self._hold, min(wanted, self._most_tokens - covered))
            self._is_refused = got == 0 or covered + got <= min(num_tokens, self._most_tokens - 1)
            self._set_next()
        return not self._is_refused or num_tokens < self._hold.num_output_tokens

    def _set_next(self) -> None:
        covered = self._hold.num_output_tokens
        if covered >= self._most_tokens:
            # The engine ends it by itself.
            self._decide_at = self._most_tokens + 2**62
        else:
            self._decide_at = covered if self._is_refused else max(covered - _AHEAD_TOKENS, 1)
