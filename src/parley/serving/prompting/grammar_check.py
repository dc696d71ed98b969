"""Tries grammars before anything is made to rely on them: in a confined worker, with a limit on time and memory for each."""

import asyncio
import hashlib
from collections import OrderedDict

from parley.core.errors import EngineFailed, ModelLoadFailed, Overloaded
from parley.core.requests import Grammar
from parley.infra.dialogue import Dialogue
from parley.infra.sandbox import Limits, Worker, WorkerFailed, start_worker

_LIMITS = Limits(address_space_bytes=512 << 20, num_files=64)
_START_SECONDS = 15.0
# The worker ends itself after two seconds of processor time, which on a busy machine may take long. One that does
# nothing at all is given up after this.
_CHECK_SECONDS = 15.0
_MAX_WAITING = 256
# A verdict is a hash and a line.
_MOST_VERDICTS = 4096
_TOO_COMPLEX = "it is too complex"


class GrammarCheck:
    """Owns the worker, which is started with the first question and again after one that it did not survive.

    Verdicts are kept per tenant, so that none can tell what another has asked for.
    """

    def __init__(self, *, check_seconds: float = _CHECK_SECONDS, max_waiting: int = _MAX_WAITING) -> None:
        self._check_seconds = check_seconds
        self._max_waiting = max_waiting
        self._num_waiting = 0
        # One at a time: a grammar that takes its two seconds is to end nobody's work but its own.
        self._turn = asyncio.Lock()
        self._worker: Worker | None = None
        self._dialogue: Dialogue | None = None
        self._verdicts: OrderedDict[tuple[str, bytes], str] = OrderedDict()

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        return None if self._worker is None else self._worker.pid

    async def fault_of(self, grammar: Grammar, *, tenant: str) -> str:
        """What is wrong with the grammar, in one line; empty when an engine may rely on it.

        Raises Overloaded where too many wait or the machine is too busy, ModelLoadFailed where no worker can be started.
        """
        key = (tenant, hashlib.sha256(grammar.lark.encode()).digest())
        known = self._verdicts.get(key)
        if known is not None:
            self._verdicts.move_to_end(key)
            return known
        if self._num_waiting >= self._max_waiting:
            raise Overloaded("The server is overloaded: too many schemas are waiting to be checked.")
        self._num_waiting += 1
        try:
            async with self._turn:
                fault = self._verdicts.get(key)
                if fault is None:
                    fault = await self._ask(grammar)
        finally:
            self._num_waiting -= 1
        self._verdicts[key] = fault
        while len(self._verdicts) > _MOST_VERDICTS:
            self._verdicts.popitem(last=False)
        return fault

    async def aclose(self) -> None:
        """End the worker. May be called any number of times; a later question starts it again."""
        dialogue, worker = self._dialogue, self._worker
        self._dialogue = self._worker = None
        if dialogue is not None:
            await dialogue.aclose()
        if worker is not None:
            await worker.stop(grace_seconds=0.0)

    async def _ask(self, grammar: Grammar) -> str:
        if self._worker is not None and not self._worker.is_running:
            # It ended while nothing was asked, as when memory ran out: no grammar is to blame for that.
            await self.aclose()
        dialogue = self._dialogue or await self._start()
        try:
            answer, _ = await asyncio.wait_for(
                dialogue.ask({"op": "check"}, grammar.lark.encode()), self._check_seconds
            )
        except WorkerFailed:
            # It met a limit. What it was asked is to blame: it does nothing else, and starts anew for the next.
            await self.aclose()
            return _TOO_COMPLEX
        except TimeoutError:
            # Whatever held it up, it was not work on the schema: nothing is known of that.
            await self.aclose()
            raise Overloaded("The server is overloaded: the schema could not be checked in time.") from None
        except asyncio.CancelledError:
            # The question may be one that keeps it busy, and nobody waits for the answer.
            await asyncio.shield(self.aclose())
            raise
        fault = answer.get("fault")
        if not isinstance(fault, str):
            raise EngineFailed("the grammar worker gave no verdict")
        return fault

    async def _start(self) -> Dialogue:
        try:
            worker = await start_worker("parley.workers.grammar", limits=_LIMITS)
        except WorkerFailed as error:
            raise ModelLoadFailed(f"{error}: {error.last_words}") from error
        try:
            await asyncio.wait_for(worker.receive(), _START_SECONDS)
        except (WorkerFailed, TimeoutError) as error:
            await worker.stop(grace_seconds=0.0)
            raise ModelLoadFailed(f"the grammar worker did not start: {error!r} {worker.last_words}") from error
        except BaseException:
            await asyncio.shield(worker.stop(grace_seconds=0.0))
            raise
        self._worker, self._dialogue = worker, Dialogue(worker)
        return self._dialogue
