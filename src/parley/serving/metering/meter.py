"""Counts what one request uses, from the engine's events, while they pass."""

from parley.core.clock import Clock
from parley.core.events import Delta
from parley.core.usage import Usage


class Meter:
    """All counts are what reached us: an aborted request is charged for what it received, never for more.

    Prompt tokens count once per prompt, whatever `n`, and only once an engine has begun on the prompt.
    """

    def __init__(self, clock: Clock, *, received_at: float) -> None:
        self._clock = clock
        self._received_at = received_at
        self._started_prompts: set[int] = set()
        self._input_tokens = 0
        self._output_tokens = 0
        self._cached_tokens = 0
        self._slot_at: float | None = None
        self._first_token_at: float | None = None

    def slot_taken(self) -> None:
        """A slot was taken; the first one ends the queue time."""
        if self._slot_at is None:
            self._slot_at = self._clock.monotonic()

    def prompt_started(self, index: int, num_tokens: int) -> None:
        """An engine begins on prompt `index`; its later rounds do not count it again."""
        if index not in self._started_prompts:
            self._started_prompts.add(index)
            self._input_tokens += num_tokens

    def watch(self, delta: Delta) -> None:
        """Count a delta's tokens."""
        if delta.num_tokens:
            if self._first_token_at is None:
                self._first_token_at = self._clock.monotonic()
            self._output_tokens += delta.num_tokens

    def add_cached(self, num_tokens: int) -> None:
        """`num_tokens` of the prompts came out of the prefix cache, as the engine says; the only count that is its word."""
        self._cached_tokens += max(num_tokens, 0)

    @property
    def num_output_tokens(self) -> int:
        """Output tokens so far, over all sequences."""
        return self._output_tokens

    @property
    def usage(self) -> Usage:
        return Usage(
            input_tokens=self._input_tokens,
            cached_tokens=min(self._cached_tokens, self._input_tokens),
            output_tokens=self._output_tokens,
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
