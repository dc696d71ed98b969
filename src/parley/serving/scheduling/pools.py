"""The pools, one per set of weights, and the memory that their replicas share."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from parley.core.clock import Clock
from parley.core.engine import Engine
from parley.core.errors import Conflict, ModelLoadFailed, Overloaded
from parley.core.residency import MemoryReport, ReplicaStatus, Residency
from parley.core.restarts import RestartPolicy
from parley.core.snapshot import Weights
from parley.core.speech import SpeechEngine
from parley.serving.scheduling.pool import Pool, PoolPlan
from parley.serving.scheduling.probing import Probes
from parley.serving.scheduling.residency import Resident, idle_until, make_room

_log = logging.getLogger(__name__)


class Loader(Protocol):
    """Brings replicas into memory and puts them out."""

    def num_slots(self, weights: Weights) -> int:
        """How many slots a replica of these weights will have."""
        ...

    async def memory_bytes(self, weights: Weights) -> int:
        """What a replica will take, by estimate. Raises ModelLoadFailed."""
        ...

    async def load(self, weights: Weights) -> Engine:
        """A replica that generates text. Raises ModelLoadFailed."""
        ...

    async def load_speech(self, weights: Weights) -> SpeechEngine:
        """A replica that hears. Raises ModelLoadFailed."""
        ...

    async def unload(self, engine: Engine | SpeechEngine) -> None: ...


R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRules:
    """What holds for all pools. Without a budget, everything that was asked for stays in memory.

    `room_seconds` is how long a load waits for others to finish and make room.
    """

    max_waiting: int
    memory_budget_bytes: int | None = None
    keep_alive_seconds: float | None = None
    room_seconds: float = 300.0
    restarts: RestartPolicy = field(default_factory=RestartPolicy)


class Pools:
    """Made before anything is loaded; entered while it serves, which puts out what has idled for too long."""

    def __init__(self, *, loader: Loader, rules: PoolRules, clock: Clock) -> None:
        self._loader = loader
        self._rules = rules
        self._clock = clock
        # Of both kinds, whose replicas share the memory. Which one is asked for says what its weights are.
        self._by_name: dict[str, Pool[Any]] = {}
        self._weights: dict[str, Weights] = {}
        # What each replica is counted with, from before its load until after its end.
        self._memory: dict[str, int] = {}
        # Replicas that are being put out, until they are gone.
        self._ending: dict[str, asyncio.Future[None]] = {}
        # Who needs room first gets it first.
        self._turn = asyncio.Lock()
        # Set when a pool's last slot is given back, and when a load ends: for those who wait for room.
        self._changes = asyncio.Event()
        # Set then, too, where that pool's replica may only idle for so long.
        self._idlings = asyncio.Event()
        self._sweeper: asyncio.Task[None] | None = None
        self._probes = Probes(clock)

    async def __aenter__(self) -> Self:
        self._sweeper = asyncio.create_task(self._sweep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper})
        await self._probes.aclose()
        for pool in self._by_name.values():
            await pool.aclose()

    def holds(self, weights: Weights) -> bool:
        """Whether these weights are in memory, on their way into it, or asked for."""
        pool = self._by_name.get(weights.name)
        return pool is not None and (pool.is_busy or weights.name in self._memory or pool.loading_seconds is not None)

    def pool_for(self, weights: Weights) -> Pool[Engine]:
        """The pool of weights that generate text, the same object each time; nothing is loaded yet."""
        return self._pool(weights, self._loader.load)

    def speech_pool_for(self, weights: Weights) -> Pool[SpeechEngine]:
        """The pool of weights that hear, the same object each time; nothing is loaded yet."""
        return self._pool(weights, self._loader.load_speech)

    def any_pool_for(self, weights: Weights) -> Pool[Engine] | Pool[SpeechEngine]:
        """The pool of weights of either kind."""
        return self.speech_pool_for(weights) if weights.is_speech else self.pool_for(weights)

    def _pool(self, weights: Weights, load: Callable[[Weights], Awaitable[R]]) -> Pool[R]:
        pool: Pool[R] | None = self._by_name.get(weights.name)
        if pool is None:
            plan = PoolPlan(
                name=weights.name,
                num_slots=self._loader.num_slots(weights),
                max_waiting=self._rules.max_waiting,
                load=functools.partial(self._load, weights, load),
                on_change=functools.partial(self._changed, weights.name),
                restarts=self._rules.restarts,
                # A recording may take hours: whoever comes first cannot wait for one to end.
                is_for_long_runs=weights.is_speech,
            )
            self._weights[weights.name] = weights
            pool = self._by_name[weights.name] = Pool(plan, self._clock)
        return pool

    def report(self) -> MemoryReport:
        """Every pool that was asked for."""
        return MemoryReport(
            budget_bytes=self._rules.memory_budget_bytes or 0,
            replicas=tuple(self._status(name) for name in sorted(self._by_name)),
        )

    def status(self, weights: Weights) -> ReplicaStatus:
        """How it stands with these weights."""
        self.any_pool_for(weights)
        return self._status(weights.name)

    async def all_generate(self) -> bool:
        """Whether every replica in memory generates, as far as it is ours: a token of somebody else's server may cost money,
        and its adapter looks after it. One that hears has no token to give; it is watched while it works.
        """
        asked = [
            self._probes.generates(name, pool)
            for name, pool in self._by_name.items()
            if self._weights[name].upstream is None and not self._weights[name].is_speech
        ]
        return all(await asyncio.gather(*asked))

    async def unload(self, weights: Weights) -> None:
        """Put the replica out. Raises Conflict while it runs or loads; harmless when it is not there."""
        pool = self.any_pool_for(weights)
        if pool.is_busy or pool.residency is Residency.LOADING:
            raise Conflict(
                f"The model `{weights.name}` is in use; it can be unloaded when its requests have ended.",
                code="model_in_use",
            )
        await self._evict(weights.name)

    async def _load(self, weights: Weights, load: Callable[[Weights], Awaitable[R]]) -> R:
        needed = await self._loader.memory_bytes(weights)
        # Asked for again while it is being put out.
        await self._evict(weights.name)
        async with self._turn:
            await self._make_room(weights.name, needed)
            self._memory[weights.name] = needed
        try:
            return await load(weights)
        except BaseException:
            del self._memory[weights.name]
            raise

    async def _make_room(self, name: str, needed: int) -> None:
        budget = self._rules.memory_budget_bytes
        if budget is None:
            return
        drained: set[str] = set()
        try:
            async with asyncio.timeout(self._rules.room_seconds):
                while True:
                    room = make_room(self._residents(), needed_bytes=needed, budget_bytes=budget)
                    if room is None:
                        raise ModelLoadFailed(
                            f"{name} needs about {_mebibytes(needed)}, and the models that are not pinned cannot make so "
                            f"much room in {_mebibytes(budget)} (PARLEY_MEMORY_BUDGET_MIB)"
                        )
                    for other in room.evict:
                        await self._evict(other)
                    if not room.drain:
                        return
                    for other in room.drain:
                        self._by_name[other].drain()
                        drained.add(other)
                    # Nothing is awaited between the look and the clearing, so that no change can be missed.
                    while all(self._is_busy(other) for other in room.drain):
                        self._changes.clear()
                        await self._changes.wait()
        except TimeoutError:
            raise Overloaded("All models that are in memory are busy. Please retry after a moment.") from None
        finally:
            for other in drained:
                self._by_name[other].resume()

    async def _sweep(self) -> None:
        """Put out what has idled for as long as it may."""
        while True:
            now = self._clock.monotonic()
            ends = {each.name: end for each in self._residents() if (end := idle_until(each)) is not None}
            for name in [name for name, end in ends.items() if end <= now]:
                del ends[name]
                await self._evict(name)
            self._idlings.clear()
            try:
                async with asyncio.timeout(min(ends.values()) - now if ends else None):
                    await self._idlings.wait()
            except TimeoutError:
                continue

    def _changed(self, name: str) -> None:
        self._changes.set()
        if self._keep_alive_seconds(name) is not None and not self._is_pinned(name):
            self._idlings.set()

    async def _evict(self, name: str) -> None:
        ending = self._ending.get(name)
        if ending is None:
            engine = self._by_name[name].take_engine()
            if engine is None:
                return
            _log.info("model_unloaded", extra={"weights": name})
            ending = self._ending[name] = asyncio.ensure_future(self._loader.unload(engine))
            ending.add_done_callback(functools.partial(self._ended, name))
        # Its memory counts until it is gone, also when nobody waits for that any more.
        await asyncio.shield(ending)

    def _ended(self, name: str, _: object) -> None:
        del self._ending[name]
        self._memory.pop(name, None)

    def _is_busy(self, name: str) -> bool:
        pool = self._by_name[name]
        return pool.is_running or pool.residency is Residency.LOADING

    def _residents(self) -> Iterable[Resident]:
        return [
            Resident(
                name=name,
                memory_bytes=memory_bytes,
                last_used=self._by_name[name].last_used,
                is_busy=self._is_busy(name),
                is_pinned=self._is_pinned(name),
                keep_alive_seconds=self._keep_alive_seconds(name),
            )
            for name, memory_bytes in self._memory.items()
        ]

    def _is_pinned(self, name: str) -> bool:
        return bool(self._weights[name].options.get("pinned"))

    def _keep_alive_seconds(self, name: str) -> float | None:
        return self._weights[name].options.get("keep_alive_seconds", self._rules.keep_alive_seconds)

    def _status(self, name: str) -> ReplicaStatus:
        pool = self._by_name[name]
        return ReplicaStatus(
            weights=name,
            residency=pool.residency,
            memory_bytes=self._memory.get(name, 0),
            num_slots=pool.num_slots,
            num_free_slots=pool.num_free_slots,
            num_waiting=pool.num_waiting,
            idle_seconds=None if pool.is_busy else self._clock.monotonic() - pool.last_used,
            keep_alive_seconds=self._keep_alive_seconds(name),
            is_pinned=self._is_pinned(name),
        )


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
