"""The way of a request, on one page: resolve, authorize, prepare, admit, then an open Run that schedules, generates and settles.

catalog.resolve    which snapshot is meant?            404
authorize          may this caller use it, for this?   403, 404
check_abilities    can an upstream do all that is asked? 400
prompting.prepare  what is asked, in token ids?        400
resolve_max_tokens does it fit?                        400
admission.admit    is there room in its limits, and is it paid for? 429
Run                queue -> slot -> engine -> meter -> settle

A recording goes the same way; for prompting stands

check_hearing      can its engine do all that is asked? 400
decoder.probe      can it be heard, and how long does it say it is? 400
"""

from functools import partial

from parley.core.claim import Claim
from parley.core.errors import ModelNotFound
from parley.core.events import SequenceEvent
from parley.core.grant import GenerationGrant, PreparedPrompt, TranscriptionGrant
from parley.core.principal import Principal
from parley.core.requests import GenerationRequest
from parley.core.residency import MemoryReport, ReplicaStatus
from parley.core.snapshot import Weights
from parley.core.speech import TranscriptEvent, TranscriptionRequest
from parley.domain.catalog.service import Catalog
from parley.serving.admission.abilities import check_abilities
from parley.serving.admission.access import authorize
from parley.serving.admission.admit import Admission
from parley.serving.admission.allowance import Allowance, most_tokens, need_of
from parley.serving.admission.audio import AudioAllowance, check_hearing, need_of_recording, seconds_to_hold
from parley.serving.admission.context import resolve_max_tokens
from parley.serving.admission.volume import check_reply_tokens
from parley.serving.execution import Execution
from parley.serving.hearing import HearingParts, HearingWork
from parley.serving.media.decoder import MediaDecoder
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
        decoder: MediaDecoder,
        pools: Pools,
        settlement: Settlement,
    ) -> None:
        self._catalog = catalog
        self._decoder = decoder
        self._admission = admission
        self._prompting = prompting
        self._pools = pools
        self._settlement = settlement

    async def open(
        self,
        principal: Principal,
        request: GenerationRequest,
        *,
        request_id: str,
        received_at: float,
        claim: Claim | None = None,
    ) -> Run[GenerationGrant, SequenceEvent]:
        """An open Run of this request, or the first refusal as a ParleyError. The caller closes the Run.

        `received_at` is in the clock's monotonic seconds; `claim` is settled with the request.
        """
        snapshot = self._catalog.resolve(request.model)
        weights = authorize(principal, request, snapshot)
        check_abilities(request, weights)
        prompts: list[PreparedPrompt] = []
        max_tokens: list[int] = []

        def accept(prompt: PreparedPrompt) -> None:
            max_tokens.append(resolve_max_tokens(request, len(prompts), prompt, snapshot))
            prompts.append(prompt)

        tenant = principal.organization_id
        await self._prompting.prepare(request, snapshot, weights, tenant=tenant, accept=accept)
        check_reply_tokens(request, prompts, max_tokens)
        need = need_of(request, prompts, max_tokens)
        most = most_tokens(request, max_tokens)
        with self._admission.admit(request_id, principal, snapshot, need, claim=claim) as admitted:
            grant = GenerationGrant(
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
            meter = self._settlement.new_meter(received_at=received_at)
            begin = partial(
                Execution,
                grant=grant,
                pool=self._pools.pool_for(weights),
                prompting=self._prompting,
                meter=meter,
                allowance=Allowance(admitted.hold, admitted.lender, most_tokens=most),
            )
            return Run(grant=grant, meter=meter, permit=admitted.permit, settlement=self._settlement, begin=begin)

    async def open_transcription(
        self,
        principal: Principal,
        request: TranscriptionRequest,
        *,
        request_id: str,
        received_at: float,
        claim: Claim | None = None,
    ) -> Run[TranscriptionGrant, TranscriptEvent]:
        """As `open`, for a recording, whose file the caller removes when the Run is closed."""
        snapshot = self._catalog.resolve(request.model)
        weights = authorize(principal, request, snapshot)
        check_hearing(request, weights)
        claimed_seconds = await self._decoder.probe(request.recording)
        num_seconds = seconds_to_hold(
            claimed_seconds, num_bytes=request.recording.num_bytes, max_seconds=self._decoder.max_seconds
        )
        need = need_of_recording(num_seconds)
        with self._admission.admit(request_id, principal, snapshot, need, claim=claim) as admitted:
            grant = TranscriptionGrant(
                request_id=request_id,
                principal=principal,
                request=request,
                snapshot=snapshot,
                weights=weights,
                claimed_seconds=claimed_seconds,
                received_at=received_at,
                levels=admitted.permit.levels,
                hold=admitted.hold,
            )
            meter = self._settlement.new_meter(received_at=received_at)
            parts = HearingParts(
                pool=self._pools.speech_pool_for(weights),
                decoder=self._decoder,
                meter=meter,
                allowance=AudioAllowance(admitted.hold, admitted.lender, num_seconds=num_seconds),
            )
            begin = partial(HearingWork, grant, parts)
            return Run(grant=grant, meter=meter, permit=admitted.permit, settlement=self._settlement, begin=begin)

    async def load(self, model: str) -> ReplicaStatus:
        """Bring the weights behind `model` into memory, whatever failed before. Raises ModelNotFound, ModelLoadFailed."""
        weights = self._weights_of(model)
        await self._pools.any_pool_for(weights).load()
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
