"""When keys were last used: known at once in memory, kept a minute later."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from parley.core.errors import Overloaded
from parley.infra.db import DatabaseFailed
from parley.operations.records import Records

_SECONDS_BETWEEN = 60.0


class LastUsed:
    """Follows the ring. A crash forgets the last minute, which nobody is charged for."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._times: dict[str, float] = {}

    def when(self, key_id: str, kept: float | None) -> float | None:
        """When the key was last used, in seconds since the epoch; `kept` is what the database says."""
        return self._records.keys.last_used(key_id) or self._times.get(key_id) or kept

    async def keep(self) -> None:
        """Write down what was used since the last time."""
        try:
            self._records.check_room()
        except Overloaded:
            # The ring remembers it until there is room.
            return
        times = self._records.keys.take_used()
        if times:
            self._times.update(times)
            # A database that failed ends the server, which says so; this is not worth a second word.
            with contextlib.suppress(DatabaseFailed):
                await self._records.database.transaction(
                    lambda transaction: self._records.accounts.note_used(transaction, times)
                )
            self._times.clear()

    async def keep_on(self, stop: asyncio.Event) -> None:
        """Keep once a minute until `stop`, and then once more."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_BETWEEN):
                    await stop.wait()
            await self.keep()


@asynccontextmanager
async def following(records: Records) -> AsyncIterator[LastUsed]:
    """A LastUsed that keeps while the context is open."""
    last_used, stop = LastUsed(records), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(last_used.keep_on(stop))
        try:
            yield last_used
        finally:
            stop.set()
