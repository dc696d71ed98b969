"""Tries grammars before anything is made to rely on them: in a confined worker, with a limit on time and memory for each."""

import hashlib
from collections import OrderedDict

from parley.core.errors import EngineFailed, Overloaded
from parley.core.requests import Grammar
from parley.infra.on_call import OnCallWorker, Turns
from parley.infra.sandbox import Limits, WorkerFailed

_LIMITS = Limits(address_space_bytes=512 << 20, num_files=64)
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
        self._turns = Turns(max_waiting, "The server is overloaded: too many schemas are waiting to be checked.")
        self._worker = OnCallWorker("parley.workers.grammar", limits=_LIMITS)
        self._verdicts: OrderedDict[tuple[str, bytes], str] = OrderedDict()

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        return self._worker.pid

    async def fault_of(self, grammar: Grammar, *, tenant: str) -> str:
        """What is wrong with the grammar, in one line; empty when an engine may rely on it.

        Raises Overloaded where too many wait or the machine is too busy, ModelLoadFailed where no worker can be started.
        """
        key = (tenant, hashlib.sha256(grammar.lark.encode()).digest())
        known = self._verdicts.get(key)
        if known is not None:
            self._verdicts.move_to_end(key)
            return known
        # One at a time: a grammar that takes its two seconds is to end nobody's work but its own.
        async with self._turns.taken():
            fault = self._verdicts.get(key)
            if fault is None:
                fault = await self._ask(grammar)
        self._verdicts[key] = fault
        while len(self._verdicts) > _MOST_VERDICTS:
            self._verdicts.popitem(last=False)
        return fault

    async def aclose(self) -> None:
        """End the worker. May be called any number of times; a later question starts it again."""
        await self._worker.aclose()

    async def _ask(self, grammar: Grammar) -> str:
        try:
            answer, _ = await self._worker.ask({"op": "check"}, grammar.lark.encode(), seconds=self._check_seconds)
        except WorkerFailed:
            # It met a limit. What it was asked is to blame: it does nothing else, and starts anew for the next.
            return _TOO_COMPLEX
        except TimeoutError:
            # Whatever held it up, it was not work on the schema: nothing is known of that.
            raise Overloaded("The server is overloaded: the schema could not be checked in time.") from None
        fault = answer.get("fault")
        if not isinstance(fault, str):
            raise EngineFailed("the grammar worker gave no verdict")
        return fault
