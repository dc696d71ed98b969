"""Runs the rounds of one grant on slots of a pool and tells their events as those of the reply's choices."""

import functools
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from msgspec.structs import replace

from parley.core.engine import Engine, Generation
from parley.core.errors import EngineDied, EngineFailed, RequestQuarantined
from parley.core.events import (
    Delta,
    Finished,
    FinishReason,
    RefusalDelta,
    ScoredToken,
    SequenceEvent,
    SequenceFinished,
    joined,
)
from parley.core.grant import GenerationGrant, PreparedPrompt
from parley.core.ids import new_id
from parley.core.requests import Sampling, SequenceRequest, TextPrompt
from parley.serving.admission.allowance import Allowance
from parley.serving.closing import Closing
from parley.serving.merge import merge
from parley.serving.metering.meter import Meter
from parley.serving.places import Places, tenant_of
from parley.serving.prompting.prepare import Prompting
from parley.serving.prompting.reading import Reader
from parley.serving.ranking import Ranking
from parley.serving.rounds import Round, plan_rounds
from parley.serving.scheduling.casualties import Patient, fingerprint
from parley.serving.scheduling.pool import Pool

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _RoundProgress:
    """What came of a round so far: tokens, and the choices that are finished."""

    num_tokens: int = 0
    finished: set[int] = field(default_factory=set)


class Execution:
    """Takes its first place in the queue at once (raises Overloaded) and everything else when it is iterated.

    A round whose engine died is run again, once, where nothing of it was told yet. Raises RequestQuarantined where an
    engine died of such a request a while ago. Whatever it opens is left to `closing`, whose owner closes it: first the
    engine's work ends, then slots are free.
    """

    def __init__(
        self,
        closing: Closing,
        *,
        grant: GenerationGrant,
        pool: Pool[Engine],
        prompting: Prompting,
        meter: Meter,
        allowance: Allowance,
    ) -> None:
        self._grant = grant
        self._pool = pool
        self._prompting = prompting
        self._meter = meter
        self._allowance = allowance
        self._closing = closing
        request = grant.request
        self._refuse_quarantined()
        self._num_candidates = max(request.best_of, request.n)
        may_be_wide = self._num_candidates > 1 and grant.weights.takes_n
        self._rounds = plan_rounds(
            num_prompts=len(grant.prompts),
            num_sequences=self._num_candidates,
            widest=pool.widest(tenant_of(grant.principal)) if may_be_wide else 1,
        )
        self._places = Places(
            pool,
            grant.principal,
            meter,
            closing,
            num_slots=1 if request.echo else self._rounds[0].num_sequences,
            what="request",
        )

    @property
    def progress(self) -> str:
        """What there is to say to whoever waits for the first event."""
        return self._places.progress("the first token")

    def events(self) -> AsyncGenerator[SequenceEvent, None]:
        """Events with `sequence` as choice index, calls read out of the text."""
        told = self._ranked() if self._num_candidates > self._grant.request.n else self._candidates()
        if self._grant.request.echo:
            told = _in_turn(self._echo(), told)
        readers = self._prompting.readers(self._grant.weights, self._grant.request)
        return _read(told, readers) if readers else told

    async def _ranked(self) -> AsyncGenerator[SequenceEvent, None]:
        """The best `n` of each prompt's candidates."""
        request = self._grant.request
        ranking = Ranking(
            num_prompts=len(self._grant.prompts),
            n=request.n,
            best_of=self._num_candidates,
            keep_tokens=request.sampling.logprobs is not None,
        )
        async with aclosing(self._candidates()) as candidates:
            async for event in candidates:
                for ranked in ranking.push(event):
                    yield ranked

    async def _echo(self) -> AsyncGenerator[SequenceEvent, None]:
        """The prompts, before each of their choices; with log-probabilities when the request asks for them."""
        grant, n = self._grant, self._grant.request.n
        for index, prompt in enumerate(grant.prompts):
            text, tokens = await self._echo_one(index, prompt)
            for choice in range(index * n, (index + 1) * n):
                yield Delta(choice, text, 0, tokens)

    async def _echo_one(self, index: int, prompt: PreparedPrompt) -> tuple[str, tuple[ScoredToken, ...]]:
        if isinstance(prompt.source, TextPrompt):
            return prompt.source.text or "", ()
        num_top = self._grant.request.sampling.logprobs
        if num_top is None or not prompt.echo_ids:
            pieces = await self._prompting.pieces(self._grant.weights, prompt.echo_ids)
            return b"".join(pieces).decode(errors="replace"), ()
        ticket, patient = self._places.take(1), self._patient(index)
        while True:
            engine = await self._places.engine(ticket)
            self._meter.prompt_started(index, prompt)
            try:
                with self._pool.casualties.watched(patient):
                    scored = await engine.score(prompt.token_ids, num_top=num_top)
                break
            except EngineDied as death:
                ticket = self._places.after(death, patient, ticket)
        ticket.release()
        shown = scored[len(prompt.token_ids) - len(prompt.echo_ids) :]
        # A prompt's first token has no probability, also where an unseen BOS stands before it: so OpenAI answers.
        first = ScoredToken(shown[0].token_id, shown[0].piece, None)
        return b"".join(token.piece for token in shown).decode(errors="replace"), (first, *shown[1:])

    def _candidates(self) -> AsyncGenerator[SequenceEvent, None]:
        """Events of all rounds; the order between rounds is free."""
        sources = [functools.partial(self._one_round, planned) for planned in self._rounds]
        if len(sources) == 1:
            return sources[0]()
        return merge(sources, num_parallel=min(len(sources), self._pool.num_slots), closing=self._closing)

    def _numbers(self, planned: Round) -> range:
        first = planned.prompt_index * self._num_candidates + planned.first_sequence
        return range(first, first + planned.num_sequences)

    def _one_round(self, planned: Round) -> AsyncGenerator[SequenceEvent, None]:
        if not self._grant.max_tokens[planned.prompt_index]:
            return self._empty(planned)
        return self._unpaid(planned) if self._allowance.is_exhausted else self._generated(planned)

    async def _unpaid(self, planned: Round) -> AsyncGenerator[SequenceEvent, None]:
        """A round for which nothing is left: the balance ended while an earlier one ran."""
        for event in self._cut(planned, set()):
            yield event

    def _cut(self, planned: Round, finished: set[int]) -> list[SequenceEvent]:
        """The ends of those of the round's sequences that are not finished: "length", as at every end of what is allowed."""
        return [SequenceFinished(n, FinishReason.LENGTH) for n in self._numbers(planned) if n not in finished]

    async def _empty(self, planned: Round) -> AsyncGenerator[SequenceEvent, None]:
        """A round that shall generate nothing: it needs neither ticket nor engine."""
        prompt = self._grant.prompts[planned.prompt_index]
        self._meter.prompt_started(planned.prompt_index, prompt)
        for candidate in self._numbers(planned):
            yield SequenceFinished(candidate, FinishReason.LENGTH)

    async def _generated(self, planned: Round) -> AsyncGenerator[SequenceEvent, None]:
        """One round from its ticket to its end; once more from the engine on, where that died and nothing was told."""
        ticket, patient = self._places.take(planned.num_sequences), self._patient(planned.prompt_index)
        is_told_at_once, offset = self._grant.request.is_stream, self._numbers(planned).start
        meter = self._meter
        # Of a reply that is told as a whole, nothing is told before the round's end: it can be run again until then.
        held: list[SequenceEvent] = []
        so_far = _RoundProgress()
        while True:
            engine = await self._places.engine(ticket)
            try:
                with self._pool.casualties.watched(patient):
                    generation = await self._generation(engine, planned, patient)
                    async for event in generation:
                        if isinstance(event, Finished):
                            self._round_finished(planned, event, so_far)
                            break
                        patient.has_output = True
                        told = self._counted(event, offset, so_far)
                        if is_told_at_once:
                            patient.is_told = True
                            yield told
                        else:
                            held.append(told)
                        if not self._allowance.covers(meter.num_output_tokens):
                            break
                    else:
                        raise EngineFailed("the engine's events ended without Finished")
                break
            except EngineDied as death:
                ticket = self._places.after(death, patient, ticket)
                self._meter.take_back(so_far.num_tokens)
                held.clear()
                so_far = _RoundProgress()
        self._pool.casualties.acquit(patient)
        # What an engine was ahead where the money ended is nobody's.
        await generation.aclose()
        ticket.release()
        for event in (*joined(held), *self._cut(planned, so_far.finished)):
            yield event

    def _counted(self, event: SequenceEvent, offset: int, so_far: _RoundProgress) -> SequenceEvent:
        """The event with the number of the reply's choice; what it means for the round is noted in `so_far`."""
        if isinstance(event, Delta):
            self._meter.watch(event)
            so_far.num_tokens += event.num_tokens
        elif isinstance(event, SequenceFinished):
            so_far.finished.add(event.sequence + offset)
        return _renumber(event, offset) if offset else event

    def _round_finished(self, planned: Round, finished: Finished, so_far: _RoundProgress) -> None:
        """What came holds; an engine that counted anything else, by more than a token for each sequence, is told of."""
        came, counted = so_far.num_tokens - finished.num_uncharged, finished.usage.output_tokens
        # An adapter that has doubts of its own has told of them.
        is_disputed = finished.doubt is None and abs(counted - came) > planned.num_sequences
        if is_disputed:
            counts = {"weights": self._grant.weights.name, "num_counted": counted, "num_charged": came}
            _log.warning("engine_usage_disputed", extra=counts)
        self._meter.round_finished(
            planned.prompt_index, finished, is_first=not planned.first_sequence, is_disputed=is_disputed
        )

    async def _generation(self, engine: Engine, planned: Round, patient: Patient) -> Generation:
        """The round, started; it is closed with the request at the latest."""
        prompt = self._grant.prompts[planned.prompt_index]
        self._meter.prompt_started(planned.prompt_index, prompt)
        request = self._sequence_request(planned, prompt)
        patient.round_id = request.round_id
        generation = await engine.generate(request)
        self._closing.push_async(functools.partial(self._abort, generation, planned.prompt_index))
        return generation

    async def _abort(self, generation: Generation, prompt_index: int) -> None:
        """End a round that did not come to its end. What was done of it until then was worked for, and is counted."""
        num_untold = await generation.aclose()
        if num_untold is None:
            self._meter.prompt_not_begun(prompt_index)
        else:
            self._meter.add_untold(num_untold)

    def _patient(self, prompt_index: int) -> Patient:
        return Patient(round_id="", identify=functools.partial(self._fingerprint, prompt_index))

    def _fingerprint(self, prompt_index: int) -> str:
        grant, prompt = self._grant, self._grant.prompts[prompt_index]
        asked = (*prompt.token_ids, prompt.source)
        return fingerprint(asked, grant.request.sampling, grant.max_tokens[prompt_index])

    def _refuse_quarantined(self) -> None:
        casualties = self._pool.casualties
        if casualties.is_watchful and any(
            casualties.is_quarantined(self._fingerprint(index)) for index in range(len(self._grant.prompts))
        ):
            raise RequestQuarantined("an engine died of such a request in the last ten minutes")

    def _sequence_request(self, planned: Round, prompt: PreparedPrompt) -> SequenceRequest:
        grant = self._grant
        return SequenceRequest(
            round_id=new_id("round_"),
            prompt=prompt.token_ids,
            num_sequences=planned.num_sequences,
            max_tokens=grant.max_tokens[planned.prompt_index],
            sampling=self._sampling(planned),
            cache_salt=grant.principal.organization_id,
            source=prompt.source,
            is_limit_asked=prompt.source is None or grant.request.max_tokens is not None,
            grammar=prompt.grammar,
            markers=prompt.markers,
            pictures=prompt.pictures,
        )

    def _sampling(self, planned: Round) -> Sampling:
        """The request's sampling, with what the round adds: the template's end texts, a seed of its own, a rank's needs."""
        request = self._grant.request
        sampling = request.sampling
        stop = self._prompting.stop_texts(self._grant.weights, request.prompts[planned.prompt_index])
        if stop:
            sampling = replace(sampling, stop=(*sampling.stop, *stop))
        if sampling.seed is not None and planned.first_sequence:
            sampling = replace(sampling, seed=sampling.seed + planned.first_sequence)
        if sampling.logprobs is None and self._num_candidates > request.n:
            sampling = replace(sampling, logprobs=0)
        return sampling


def _renumber(event: SequenceEvent, offset: int) -> SequenceEvent:
    if isinstance(event, Delta):
        return Delta(event.sequence + offset, event.text, event.num_tokens, event.tokens)
    if isinstance(event, SequenceFinished):
        return SequenceFinished(event.sequence + offset, event.finish_reason)
    return replace(event, sequence=event.sequence + offset)


async def _in_turn(*parts: AsyncGenerator[SequenceEvent, None]) -> AsyncGenerator[SequenceEvent, None]:
    for part in parts:
        async with aclosing(part):
            async for event in part:
                yield event


async def _read(
    told: AsyncGenerator[SequenceEvent, None], readers: Sequence[Reader]
) -> AsyncGenerator[SequenceEvent, None]:
    """What the choices' readers make of the events."""
    async with aclosing(told):
        async for event in told:
            # Who tells refusals apart reads its answers itself: it has no readers here.
            if isinstance(event, RefusalDelta):
                yield event
                continue
            for read in readers[event.sequence].push(event):
                yield read
