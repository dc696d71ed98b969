"""The way of a request, on one page: resolve, authorize, prepare, admit, then an open Run that schedules, generates and settles.

catalog.resolve    which snapshot is meant?            404
authorize          may this caller use it, for this?   403, 404
check_abilities    can an upstream do all that is asked? 400
prompting.prepare  what is asked, in token ids?        400
resolve_max_tokens does it fit?                        400
admission.admit    is there room in its limits, and is it paid for? 429
Run                queue -> slot -> engine -> meter -> settle
"""

from contextlib import aclosing

from parley.core.claim import Claim
from parley.core.clock import Clock
from parley.core.errors import ModelNotFound
from parley.core.grant import Grant, PreparedPrompt
from parley.core.principal import Principal
from parley.core.requests import GenerationRequest
from parley.core.residency import MemoryReport, ReplicaStatus
from parley.core.snapshot import Weights
from parley.domain.catalog.service import Catalog
from parley.serving.admission.abilities import check_abilities
from parley.serving.admission.access import authorize
from parley.serving.admission.admit import Admission
from parley.serving.admission.allowance import most_tokens, need_of
from parley.serving.admission.context import resolve_max_tokens
from parley.serving.admission.volume import check_reply_tokens
from parley.serving.metering.meter import Meter
from parley.serving.metering.settle import Settlement
from parley.serving.prompting.prepare import Prompting
from parley.serving.run import Run
from parley.serving.scheduling.pools import Pools


class Serving:
    """The stages joined. Built in `app.py`."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        admission: Admission,
        prompting: Prompting,
        pools: Pools,
        settlement: Settlement,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._admission = admission
        self._prompting = prompting
        self._pools = pools
        self._settlement = settlement
        self._clock = clock

    async def open(
        self,
        principal: Principal,
        request: GenerationRequest,
        *,
        request_id: str,
        received_at: float,
        claim: Claim | None = None,
    ) -> Run:
        """An open Run of this request, or the first refusal as a ParleyError. The caller closes the Run.

        `received_at` is in the clock's monotonic seconds; `claim` is settled with the request.
        """
        snapshot = self._catalog.resolve(request.model)
        weights = authorize(principal, request, snapshot)
        check_abilities(request, weights)
        prompts: list[PreparedPrompt] = []
        max_tokens: list[int] = []
        tenant = principal.organization_id
        async with aclosing(self._prompting.prepare(request, snapshot, weights, tenant=tenant)) as prepared:
            async for prompt in prepared:
                max_tokens.append(resolve_max_tokens(request, len(prompts), prompt, snapshot))
                prompts.append(prompt)
        check_reply_tokens(request, prompts, max_tokens)
        need = need_of(request, prompts, max_tokens)
        most = most_tokens(request, max_tokens)
        with self._admission.admit(request_id, principal, snapshot, need, most_tokens=most, claim=claim) as admitted:
            grant = Grant(
                request_id=request_id,
                principal=principal,
                request=request,
                snapshot=snapshot,
                weights=weights,
                prompts=tuple(prompts),
                max_tokens=tuple(max_tokens),
                received_at=received_at,
                levels=admitted.permit.levels,
                hold=admitted.hold,
            )
            return Run(
                grant=grant,
                pool=self._pools.pool_for(weights),
                prompting=self._prompting,
                meter=Meter(self._clock, received_at=received_at),
                admitted=admitted,
                settlement=self._settlement,
            )

    async def load(self, model: str) -> ReplicaStatus:
        """Bring the weights behind `model` into memory, whatever failed before. Raises ModelNotFound, ModelLoadFailed."""
        weights = self._weights_of(model)
        await self._pools.pool_for(weights).load()
        return self._pools.status(weights)

    async def unload(self, model: str) -> ReplicaStatus:
        """Put the weights behind `model` out of memory. Raises ModelNotFound, and Conflict while they are in use."""
        weights = self._weights_of(model)
        await self._pools.unload(weights)
        return self._pools.status(weights)

    def report(self) -> MemoryReport:
        """Which weights are in memory."""
        return self._pools.report()

    def _weights_of(self, model: str) -> Weights:
        weights = self._catalog.resolve(model).weights
        if weights is None:
            raise ModelNotFound(model)
        return weights
