"""The warm tokenizers, one per set of weights, started when a model is first asked for."""

import asyncio
from collections.abc import Awaitable, Callable

from parley.core.snapshot import Weights
from parley.core.tokenizer import Tokenizer


class Tokenizers:
    """`start` makes a tokenizer that is ready for use; what it raises, the request that needed it gets."""

    def __init__(self, start: Callable[[Weights], Awaitable[Tokenizer]]) -> None:
        self._start = start
        self._ready: dict[str, Tokenizer] = {}
        self._starting = asyncio.Lock()

    async def tokenizer_for(self, weights: Weights) -> Tokenizer:
        """The tokenizer of these weights, the same object each time."""
        tokenizer = self._ready.get(weights.name)
        if tokenizer is not None:
            return tokenizer
        async with self._starting:
            if weights.name not in self._ready:
                self._ready[weights.name] = await self._start(weights)
        return self._ready[weights.name]
