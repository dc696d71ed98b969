"""Counts what one request uses, from the engine's events, while they pass."""

import math
from collections import Counter

from msgspec.structs import replace

from parley.core.clock import Clock
from parley.core.events import Delta, Finished
from parley.core.grant import PreparedPrompt
from parley.core.hold import Hold
from parley.core.usage import Doubt, Usage


class Meter:
    """All counts are what reached us, never more than was generated.

    Prompt tokens count once per prompt, whatever `n`, and only once an engine has begun on the prompt.
    """

    def __init__(self, clock: Clock, *, received_at: float) -> None:
        self._clock = clock
        self._received_at = received_at
        self._inputs: dict[int, int] = {}
        # Of each prompt, the rounds that may have begun on it.
        self._num_begun: Counter[int] = Counter()
        # Prompts that were estimated and not counted by anybody yet.
        self._estimated: set[int] = set()
        self._is_disputed = False
        self._output_tokens = 0
        self._audio_seconds = 0.0
        self._has_told = False
        self._untold_tokens = 0
        self._cached_tokens = 0
        self._slot_at: float | None = None
        self._first_token_at: float | None = None

    def slot_taken(self) -> None:
        """A slot was taken; the first one ends the queue time."""
        if self._slot_at is None:
            self._slot_at = self._clock.monotonic()

    def prompt_started(self, index: int, prompt: PreparedPrompt) -> None:
        """A round begins on prompt `index`; its later rounds do not count it again."""
        self._num_begun[index] += 1
        if index not in self._inputs:
            self._inputs[index] = prompt.num_tokens
            if prompt.source is not None:
                self._estimated.add(index)

    def prompt_not_begun(self, index: int) -> None:
        """A round that was to begin on prompt `index` did not; where none did, it does not count."""
        self._num_begun[index] -= 1
        if not self._num_begun[index]:
            del self._inputs[index]
            self._estimated.discard(index)

    def watch(self, delta: Delta) -> None:
        """Count a delta's tokens."""
        if delta.num_tokens:
            if self._first_token_at is None:
                self._first_token_at = self._clock.monotonic()
            self._output_tokens += delta.num_tokens

    def heard(self, seconds: float) -> None:
        """So many seconds of a recording are worked through, from its start."""
        self._audio_seconds = seconds

    def told(self) -> None:
        """Something of a transcript is handed on; the first is its first output."""
        self._has_told = True
        if self._first_token_at is None:
            self._first_token_at = self._clock.monotonic()

    @property
    def has_told(self) -> bool:
        """Whether anything of a transcript was handed on."""
        return self._has_told

    @property
    def progress(self) -> tuple[int, float]:
        """Changes whenever there is more to be charged."""
        return self._output_tokens, self._audio_seconds

    @property
    def num_output_tokens(self) -> int:
        """Output tokens so far, over all sequences."""
        return self._output_tokens

    def add_untold(self, num_tokens: int) -> None:
        """So many tokens were generated of a round that was left, before its engine stopped: nobody saw them."""
        self._untold_tokens += num_tokens

    def take_back(self, num_tokens: int) -> None:
        """So many tokens were counted of a round whose engine died, and that is run again: nobody gets them."""
        self._output_tokens -= num_tokens
        if not self._output_tokens:
            self._first_token_at = None

    def round_finished(self, index: int, finished: Finished, *, is_first: bool, is_disputed: bool = False) -> None:
        """A round of prompt `index` is over; `is_first`: the first of those that the prompt has; `is_disputed`: its engine counted
        other tokens than those that came.

        What reached us holds, unless the engine's adapter found a reason to charge less; of a prompt that was estimated
        the engine's count holds. A prompt counts once, and as its first round read it: the others find in the cache what
        that one brought there.
        """
        if is_first:
            self._cached_tokens += max(finished.usage.cached_tokens, 0)
        self._output_tokens = max(self._output_tokens - finished.num_uncharged, 0)
        self._is_disputed = self._is_disputed or is_disputed or finished.doubt is Doubt.DISPUTED
        if index in self._estimated:
            self._inputs[index] = max(finished.usage.input_tokens, 0)
            if finished.doubt is not Doubt.ESTIMATED:
                self._estimated.discard(index)

    @property
    def doubt(self) -> Doubt | None:
        """What there is to doubt in the usage."""
        if self._is_disputed:
            return Doubt.DISPUTED
        return Doubt.ESTIMATED if self._estimated else None

    def generated(self, hold: Hold) -> Usage:
        """The usage with what was generated for a client that left, and told to nobody, as far as the hold covers it."""
        usage = self.usage
        num_untold = min(self._untold_tokens, max(hold.num_output_tokens - usage.output_tokens, 0))
        return replace(usage, output_tokens=usage.output_tokens + num_untold) if num_untold else usage

    @property
    def usage(self) -> Usage:
        num_input = sum(self._inputs.values())
        return Usage(
            input_tokens=num_input,
            cached_tokens=min(self._cached_tokens, num_input),
            output_tokens=self._output_tokens,
            audio_seconds=whole_seconds(self._audio_seconds),
        )

    @property
    def queue_seconds(self) -> float:
        """Received -> first slot taken; until now when none was."""
        return (self._clock.monotonic() if self._slot_at is None else self._slot_at) - self._received_at

    @property
    def ttft_seconds(self) -> float | None:
        """Received -> first output token; None when there was none."""
        return None if self._first_token_at is None else self._first_token_at - self._received_at

    @property
    def e2e_seconds(self) -> float:
        """Received -> now."""
        return self._clock.monotonic() - self._received_at


def whole_seconds(seconds: float) -> int:
    """What is billed of so much audio: a half and more is a second, and what is not nothing is one at least."""
    return max(math.floor(seconds + 0.5), 1) if seconds > 0 else 0
