"""The engine seam: every runtime that generates text looks like this, the shipped echo engine included."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from parley.core.events import RunEvent, ScoredToken
from parley.core.requests import SequenceRequest


class Generation(Protocol):
    """One open round of an engine. Whoever gets it closes it; closing an unfinished one aborts the engine's work."""

    def __aiter__(self) -> AsyncIterator[RunEvent]: ...

    async def __anext__(self) -> RunEvent:
        """The next event; `Finished` is the last. Raises EngineFailed when the engine dies, hangs or speaks nonsense."""
        ...

    async def aclose(self) -> int | None:
        """Stop the engine's work on this round and free what it held. May be called at any time, any number of times.

        How many tokens were generated that no event told: those that came meanwhile, and, where the engine says it, those
        that it generated until it stopped. 0 for a round that came to its end, for one that failed, and the second time. None,
        each time, where nobody can have begun on the round's prompt.
        """
        ...


class Engine(Protocol):
    """One replica: a process (or, for echo, an object) that serves one set of weights on `num_slots` slots.

    The caller never has more than `num_slots` sequences open. All methods raise EngineFailed when the replica is gone.
    """

    @property
    def num_slots(self) -> int: ...

    async def generate(self, request: SequenceRequest) -> Generation:
        """Start a round. Returns before the first token; `request.num_sequences` must not exceed `num_slots`."""
        ...

    async def score(self, prompt: Sequence[int], *, num_top: int) -> list[ScoredToken]:
        """Log-probabilities of the prompt's own tokens, the first without one, each with `num_top` alternatives."""
        ...

    async def abort(self, round_id: str) -> None:
        """End the round with this id, and no other. An unknown or finished id is no error."""
        ...
