"""The wall clock is watched: where it was set back, keys count again that were over by the time that it told before."""

import asyncio
import logging

from parley.core.clock import Steadiness
from parley.core.errors import Overloaded
from parley.operations.records import Records

_SECONDS_BETWEEN = 10.0

_log = logging.getLogger(__name__)


class ClockWatch:
    """`run` goes on until it is cancelled."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._steadiness = Steadiness(records.clock)
        self._is_behind = False

    async def run(self) -> None:
        """Look now and then every ten seconds. Raises DatabaseFailed."""
        while True:
            await self.look()
            await asyncio.sleep(_SECONDS_BETWEEN)

    async def look(self) -> None:
        """Read the keys again where the clock was set back since the last look."""
        seconds = self._steadiness.look()
        if seconds:
            _log.warning("the wall clock was set", extra={"seconds": round(seconds, 1)})
        self._is_behind = self._is_behind or seconds < 0
        if not self._is_behind:
            return
        try:
            await self._records.database.transaction(self._records.accounts.fill_again)
        except Overloaded:
            # The database's server restarts: at the next look.
            return
        self._is_behind = False
