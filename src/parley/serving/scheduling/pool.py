"""The pool of one set of weights: its replica, loaded when first needed, and the slots that requests wait for."""

import asyncio
from collections.abc import Awaitable, Callable

from parley.core.engine import Engine
from parley.core.errors import Overloaded
from parley.serving.scheduling.fair import FairQueue


class Ticket:
    """A place in a pool: first in its queue, then on `num_slots` of its slots, until `release`.

    Taken with `Pool.enqueue`; whoever took it releases it.
    """

    def __init__(self, pool: "Pool", project_id: str, num_slots: int) -> None:
        self._pool = pool
        self.project_id = project_id
        self.num_slots = num_slots
        # Set when the slots are ours.
        self.granted = asyncio.Event()

    def release(self) -> None:
        """Give the slots back, or leave the queue. Any number of times."""
        self._pool.give_back(self)


class Pool:
    """All replicas (today one) of one set of weights. `load` starts the replica; `num_slots` is its capacity."""

    def __init__(self, *, load: Callable[[], Awaitable[Engine]], num_slots: int, max_waiting: int) -> None:
        self._load = load
        self.num_slots = num_slots
        self._max_waiting = max_waiting
        self._num_free = num_slots
        self._waiting: FairQueue[Ticket] = FairQueue()
        self._held: set[Ticket] = set()
        self._engine: Engine | None = None
        self._loading: asyncio.Lock = asyncio.Lock()

    @property
    def num_free_slots(self) -> int:
        return self._num_free

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_loaded(self) -> bool:
        return self._engine is not None

    async def engine(self) -> Engine:
        """The replica, started if it is not; raises what its start raises, and the next call tries again."""
        if self._engine is None:
            async with self._loading:
                if self._engine is None:
                    self._engine = await self._load()
        return self._engine

    def enqueue(self, project_id: str, num_slots: int, *, is_continuation: bool = False) -> Ticket:
        """A ticket for `num_slots` (at most the pool's) slots. Raises Overloaded when too many wait already.

        A continuation is a further round of a request that was let in: it is never refused.
        """
        if len(self._waiting) >= self._max_waiting and not is_continuation:
            raise Overloaded("The server is overloaded: too many requests are waiting for this model.")
        ticket = Ticket(self, project_id, num_slots)
        self._waiting.push(project_id, ticket)
        self._grant()
        return ticket

    def give_back(self, ticket: Ticket) -> None:
        """See `Ticket.release`."""
        if ticket in self._held:
            self._held.remove(ticket)
            self._num_free += ticket.num_slots
        else:
            self._waiting.remove(ticket.project_id, ticket)
        self._grant()

    def _grant(self) -> None:
        """Give free slots to the head of the queue; a head that needs more than are free is waited for, not passed."""
        while (head := self._waiting.head()) is not None and head.num_slots <= self._num_free:
            self._waiting.pop()
            self._num_free -= head.num_slots
            self._held.add(head)
            head.granted.set()
