"""The pool of one set of weights: its replica, loaded when first needed, and the slots that requests wait for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from parley.core.clock import Clock
from parley.core.errors import ModelLoadFailed, ModelUnavailable, Overloaded
from parley.core.residency import Residency
from parley.core.restarts import RestartPolicy, Restarts
from parley.serving.scheduling.casualties import Casualties
from parley.serving.scheduling.crowding import may_wait, suggested_wait
from parley.serving.scheduling.fair import FairQueue, Room, Tenant
from parley.serving.scheduling.shares import Shares

_log = logging.getLogger(__name__)
# A replica: of text (core.engine.Engine) or of speech (core.speech.SpeechEngine). A pool looks into neither.
R = TypeVar("R")


class SlotGiver(Protocol):
    """What a ticket goes back to."""

    def give_back(self, ticket: "Ticket") -> None: ...


class Ticket:
    """A place in a pool: first in its queue, then on `num_slots` of its slots, until `release`.

    Taken with `Pool.enqueue`; whoever took it releases it.
    """

    def __init__(self, pool: SlotGiver, tenant: Tenant, num_slots: int) -> None:
        self._pool = pool
        self.tenant = tenant
        self.num_slots = num_slots
        # Set when the slots are ours.
        self.granted = asyncio.Event()

    def release(self) -> None:
        """Give the slots back, or leave the queue. Any number of times."""
        self._pool.give_back(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan(Generic[R]):
    """What a pool is made of. `num_slots` is its replica's capacity, `load` starts the replica."""

    name: str
    num_slots: int
    max_waiting: int
    load: Callable[[], Awaitable[R]]
    # Told when the pool's last slot is given back, and when its replica is there or failed.
    on_change: Callable[[], None] = lambda: None
    restarts: RestartPolicy = field(default_factory=RestartPolicy)
    # One organization leaves some slots to others even while none is about.
    is_for_long_runs: bool = False


class Pool(Generic[R]):
    """All replicas (today one) of one set of weights. `aclose` it at the end."""

    def __init__(self, plan: PoolPlan[R], clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._num_free = plan.num_slots
        self._waiting: FairQueue[Ticket] = FairQueue()
        self._held: set[Ticket] = set()
        self._is_draining = False
        self._shares = Shares(plan.num_slots, keeps_for_newcomers=plan.is_for_long_runs)
        self._engine: R | None = None
        self._loading: asyncio.Task[R] | None = None
        self._loading_since = 0.0
        self._restarts = Restarts(plan.restarts, clock)
        self.last_used = clock.monotonic()
        self.casualties = Casualties(clock)

    @property
    def num_slots(self) -> int:
        return self._plan.num_slots

    @property
    def num_free_slots(self) -> int:
        return self._num_free

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def loaded_engine(self) -> R | None:
        """The replica, if it is in memory."""
        return self._engine

    @property
    def is_running(self) -> bool:
        """Whether any slot is taken."""
        return bool(self._held)

    @property
    def is_busy(self) -> bool:
        """Whether anybody runs or waits here."""
        return bool(self._held) or bool(self._waiting)

    @property
    def residency(self) -> Residency:
        if self._engine is not None:
            return Residency.LOADED
        if self._loading is not None:
            return Residency.LOADING
        return Residency.UNAVAILABLE if self._restarts.is_given_up else Residency.UNLOADED

    @property
    def loading_seconds(self) -> float | None:
        """How long the replica has been loading, or waiting for room; None when it is not."""
        return None if self._loading is None else self._clock.monotonic() - self._loading_since

    def progress(self, ticket: Ticket, then: str) -> str:
        """What there is to say to whoever waits with this ticket; `then` is what comes once it has its slots."""
        if (seconds := self.loading_seconds) is not None:
            return f"loading {self._plan.name} ({seconds:.0f} s)"
        return f"waiting for {then if ticket.granted.is_set() else 'a slot'}"

    async def engine(self) -> R:
        """The replica, for a request: loaded if it is not, by one load for all who wait.

        A load whose worker died is tried once more, when it is due: like a round whose engine died before anything was told.
        Raises ModelUnavailable when that fails, too, and at once while the next load is not due; Overloaded for want of room.
        """
        if self._engine is None and self._loading is None and self._restarts.wait_seconds > 0:
            raise ModelUnavailable(
                "The model is unavailable: it could not be loaded, and is not tried again at once.",
                retry_after_seconds=self._restarts.wait_seconds,
            )
        try:
            try:
                return await self.load()
            except ModelLoadFailed as death:
                if not death.is_death or self._restarts.is_given_up:
                    raise
                return await self._load_again(death)
        except ModelLoadFailed as error:
            # Its own message is for a client; what happened was logged once, for all who waited.
            raise ModelUnavailable(error.message, retry_after_seconds=max(self._restarts.wait_seconds, 1.0)) from error

    async def _load_again(self, death: ModelLoadFailed) -> R:
        """The load after the one whose worker died, by whoever's pause ends first; no third one."""
        generation = self._restarts.num_failures
        await asyncio.sleep(self._restarts.wait_seconds)
        if self._engine is None and self._loading is None and self._restarts.num_failures != generation:
            raise death
        return await self.load()

    async def load(self) -> R:
        """The replica, loaded now if it is not, whatever failed before. Raises ModelLoadFailed, or Overloaded for want of room.

        A load goes on when those who waited for it have gone.
        """
        if self._engine is not None:
            return self._engine
        if self._loading is None:
            self._loading_since = self._clock.monotonic()
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(self._loaded)
        return await asyncio.shield(self._loading)

    async def _load(self) -> R:
        try:
            self._engine = await self._plan.load()
        except ModelLoadFailed as error:
            self._restarts.failed()
            _log.error("model_load_failed", extra={"weights": self._plan.name, "detail": error.detail})
            raise
        self._restarts.forgive()
        return self._engine

    def _loaded(self, task: "asyncio.Task[R]") -> None:
        self._loading = None
        self.last_used = self._clock.monotonic()
        if not task.cancelled():
            # Told to those who wait, of whom there may be none left.
            task.exception()
        self._plan.on_change()

    def take_engine(self) -> R | None:
        """Give the replica up to whoever ends it; the next request loads another. Only while nothing runs."""
        engine, self._engine = self._engine, None
        return engine

    def widest(self, tenant: Tenant) -> int:
        """How many slots one ticket of the project should be for at most."""
        return self._shares.widest(tenant)

    def drain(self) -> None:
        """Let what runs finish and grant nothing more, until `resume`."""
        self._is_draining = True

    def resume(self) -> None:
        """Grant slots again."""
        self._is_draining = False
        self._grant()

    async def aclose(self) -> None:
        """End a load that is under way. The replica itself is its owner's."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})

    def enqueue(self, tenant: Tenant, num_slots: int, *, is_continuation: bool = False) -> Ticket:
        """A ticket for `num_slots` (at most the pool's) slots. Raises Overloaded when too many wait already.

        A continuation is a further round of a request that was let in: it is never refused.
        """
        if not is_continuation:
            self._check_room(tenant, num_slots)
        ticket = Ticket(self, tenant, num_slots)
        if (
            not self._waiting
            and not self._is_draining
            and num_slots <= self._num_free
            and self._room(tenant, ticket) is Room.THERE
        ):
            # Nobody is there to be passed: what the queue would do, without it.
            self._give(tenant, ticket)
        else:
            self._waiting.push(tenant, ticket)
            self._grant()
        return ticket

    def give_back(self, ticket: Ticket) -> None:
        """See `Ticket.release`."""
        if ticket in self._held:
            self._held.remove(ticket)
            self._num_free += ticket.num_slots
            self._shares.give_back(ticket.tenant, ticket.num_slots)
            self.last_used = self._clock.monotonic()
        else:
            self._waiting.remove(ticket.tenant, ticket)
        self._grant()
        if not self._held:
            self._plan.on_change()

    @contextmanager
    def spare_slot(self) -> Iterator[bool]:
        """A slot that nobody wants, for a probe, which leaves no trace in turns or times of use; False where there is none."""
        if self._is_draining or not self._num_free or self._waiting:
            yield False
            return
        self._num_free -= 1
        try:
            yield True
        finally:
            self._num_free += 1
            self._grant()

    def _check_room(self, tenant: Tenant, num_slots: int) -> None:
        num_all = len(self._waiting)
        if not num_all and num_slots <= self._num_free:
            return
        if not may_wait(
            num_own=self._waiting.num_of(tenant),
            num_of_organization=self._waiting.num_of_organization(tenant.organization_id),
            num_all=num_all,
            max_waiting=self._plan.max_waiting,
        ):
            raise Overloaded(
                "The server is overloaded: too many requests are waiting for this model.",
                retry_after_seconds=suggested_wait(num_all=num_all, num_slots=self.num_slots),
            )

    def _grant(self) -> None:
        """Give free slots to the head of the queue; a head that needs more than are free is waited for, not passed."""
        if self._is_draining or not self._waiting:
            return
        while (head := self._waiting.head(self._room)) is not None and head[1].num_slots <= self._num_free:
            tenant, ticket = head
            self._waiting.pop(tenant, ticket.num_slots)
            self._give(tenant, ticket)

    def _give(self, tenant: Tenant, ticket: "Ticket") -> None:
        self._num_free -= ticket.num_slots
        self._shares.take(tenant, ticket.num_slots)
        self._held.add(ticket)
        ticket.granted.set()

    def _room(self, tenant: Tenant, ticket: Ticket) -> Room:
        return self._shares.room(tenant, ticket.num_slots)
