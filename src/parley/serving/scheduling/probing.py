"""Whether the replicas in memory really generate: each is asked for a token when somebody wants to know.

That a process is there, and that it answers questions about itself, proves nothing: engines have hung for hours while
their health pages said "ok".
"""

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass

from parley.core.clock import Clock
from parley.core.engine import Engine
from parley.core.errors import ParleyError
from parley.core.events import Finished
from parley.core.ids import new_id
from parley.core.requests import Sampling, SequenceRequest
from parley.serving.scheduling.pool import Pool

_log = logging.getLogger(__name__)

# A byte of text in every vocabulary that was met; which one does not matter, nobody reads what follows it.
_PROMPT = (10,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRules:
    """Seconds: for how long a token proves that a replica works; how soon a failure is looked into again; how long whoever
    asks waits for the answer, which is "no" then, while the probe goes on."""

    fresh: float = 10.0
    retry: float = 1.0
    patience: float = 5.0


@dataclass(slots=True)
class _Verdict:
    """What the last probe of one replica said, and the one that is open."""

    is_well: bool = True
    known_at: float | None = None
    # What was asked: another engine in its place has to answer for itself.
    engine: Engine | None = None
    open: asyncio.Task[None] | None = None


class Probes:
    """One probe of each replica at a time. `aclose` it at the end."""

    def __init__(self, clock: Clock, rules: ProbeRules | None = None) -> None:
        self._clock = clock
        self._rules = rules or ProbeRules()
        self._verdicts: dict[str, _Verdict] = {}

    async def generates(self, name: str, pool: Pool[Engine]) -> bool:
        """Whether the pool's replica generated a token in the last seconds, or does now. True for one that is not in memory.

        One whose slots are all taken is not probed: what runs on it is watched for progress anyway.
        """
        engine = pool.loaded_engine
        if engine is None:
            return True
        verdict = self._verdicts.setdefault(name, _Verdict())
        if verdict.open is None:
            if self._holds(verdict, engine):
                return verdict.is_well
            verdict.open = asyncio.create_task(self._probe(name, verdict, pool, engine))
        probe = verdict.open
        await asyncio.wait({probe}, timeout=self._rules.patience)
        return probe.done() and not probe.cancelled() and probe.exception() is None and verdict.is_well

    async def aclose(self) -> None:
        """End what is open."""
        probes = {verdict.open for verdict in self._verdicts.values() if verdict.open is not None}
        for probe in probes:
            probe.cancel()
        if probes:
            await asyncio.wait(probes)

    def _holds(self, verdict: _Verdict, engine: Engine) -> bool:
        """Whether the verdict is about this engine, and not too old."""
        if verdict.known_at is None or verdict.engine is not engine:
            return False
        lasts = self._rules.fresh if verdict.is_well else self._rules.retry
        return self._clock.monotonic() - verdict.known_at < lasts

    async def _probe(self, name: str, verdict: _Verdict, pool: Pool[Engine], engine: Engine) -> None:
        try:
            with pool.spare_slot() as has_slot:
                is_well = not has_slot or await self._has_token(name, engine)
            if pool.loaded_engine is engine:
                verdict.is_well, verdict.known_at, verdict.engine = is_well, self._clock.monotonic(), engine
        finally:
            verdict.open = None

    async def _has_token(self, name: str, engine: Engine) -> bool:
        """Whether a round of one token comes to its end. The engine's own watch ends one that hangs."""
        request = SequenceRequest(
            round_id=new_id("probe_"),
            prompt=_PROMPT,
            num_sequences=1,
            max_tokens=1,
            sampling=Sampling(temperature=0.0),
            cache_salt="probe",
        )
        try:
            generation = await engine.generate(request)
            async with aclosing(generation):
                last = [event async for event in generation][-1:]
        except ParleyError as error:
            _log.warning("probe_failed", extra={"weights": name, "detail": error.message})
            return False
        return bool(last) and isinstance(last[0], Finished)
