"""The warm tokenizers, one per set of weights, made when a model is first asked for."""

from collections.abc import Callable

from parley.core.snapshot import Weights
from parley.core.tokenizer import Tokenizer


class Tokenizers:
    """`make` builds a tokenizer; it must return at once and do its loading on first use."""

    def __init__(self, make: Callable[[Weights], Tokenizer]) -> None:
        self._make = make
        self._by_name: dict[str, Tokenizer] = {}

    def tokenizer_for(self, weights: Weights) -> Tokenizer:
        """The tokenizer of these weights, the same object each time."""
        tokenizer = self._by_name.get(weights.name)
        if tokenizer is None:
            tokenizer = self._by_name[weights.name] = self._make(weights)
        return tokenizer
