"""The pools, one per set of weights, made when a model is first asked for."""

import functools
from collections.abc import Awaitable, Callable

from parley.core.engine import Engine
from parley.core.snapshot import Weights
from parley.serving.scheduling.pool import Pool


class Pools:
    """`load` starts a replica of weights; `num_slots_of` says how many slots it will have."""

    def __init__(
        self,
        *,
        load: Callable[[Weights], Awaitable[Engine]],
        num_slots_of: Callable[[Weights], int],
        max_waiting: int,
    ) -> None:
        self._load = load
        self._num_slots_of = num_slots_of
        self._max_waiting = max_waiting
        self._by_name: dict[str, Pool] = {}

    def has_pool(self, weights: Weights) -> bool:
        """Whether these weights were ever asked for: they may be in memory, or on their way into it."""
        return weights.name in self._by_name

    def pool_for(self, weights: Weights) -> Pool:
        """The pool of these weights, the same object each time; nothing is loaded yet."""
        pool = self._by_name.get(weights.name)
        if pool is None:
            pool = self._by_name[weights.name] = Pool(
                load=functools.partial(self._load, weights),
                num_slots=self._num_slots_of(weights),
                max_waiting=self._max_waiting,
            )
        return pool
