"""Runs the rounds of one grant on slots of a pool and tells their events as those of the reply's choices."""

import functools
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

from parley.core.engine import Engine
from parley.core.errors import EngineFailed
from parley.core.events import Delta, Event, Finished, FinishReason, ScoredToken, SequenceFinished
from parley.core.grant import Grant, PreparedPrompt
from parley.core.ids import new_id
from parley.core.requests import Sampling, SequenceRequest
from parley.serving.admission.allowance import Allowance
from parley.serving.merge import merge
from parley.serving.metering.meter import Meter
from parley.serving.prompting.prepare import Prompting
from parley.serving.ranking import Ranking
from parley.serving.rounds import Round, plan_rounds
from parley.serving.scheduling.pool import Pool, Ticket


class Execution:
    """Takes its first place in the queue at once (raises Overloaded) and everything else when it is iterated.

    Whatever it opens is registered on `stack`, whose owner closes it: first the engine's work ends, then slots are free.
    """

    def __init__(
        self,
        *,
        grant: Grant,
        pool: Pool,
        prompting: Prompting,
        meter: Meter,
        allowance: Allowance,
        stack: AsyncExitStack,
    ) -> None:
        self._grant = grant
        self._pool = pool
        self._prompting = prompting
        self._meter = meter
        self._allowance = allowance
        self._stack = stack
        request = grant.request
        self._num_candidates = max(request.best_of, request.n)
        self._rounds = plan_rounds(
            num_prompts=len(grant.prompts), num_sequences=self._num_candidates, num_slots=pool.num_slots
        )
        first = self._rounds[0]
        self._first_ticket: Ticket | None = pool.enqueue(
            grant.principal.project_id, 1 if request.echo else first.num_sequences
        )
        stack.callback(self._first_ticket.release)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Events with `sequence` as choice index; `Finished` comes last, with the meter's count."""
        parts = [self._ranked() if self._num_candidates > self._grant.request.n else self._candidates()]
        if self._grant.request.echo:
            parts.insert(0, self._echo())
        for part in parts:
            async with aclosing(part):
                async for event in part:
                    yield event
        yield Finished(self._meter.usage)

    async def _ranked(self) -> AsyncGenerator[Delta | SequenceFinished, None]:
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

    def _take_ticket(self, num_slots: int) -> Ticket:
        """The place taken at the start when it is of the right size and not used yet; else a further one."""
        ticket, self._first_ticket = self._first_ticket, None
        if ticket is not None and ticket.num_slots == num_slots:
            return ticket
        if ticket is not None:
            ticket.release()
        ticket = self._pool.enqueue(self._grant.principal.project_id, num_slots, is_continuation=True)
        self._stack.callback(ticket.release)
        return ticket

    async def _engine(self, ticket: Ticket) -> Engine:
        await ticket.granted.wait()
        self._meter.slot_taken()
        return await self._pool.engine()

    async def _echo(self) -> AsyncGenerator[Delta | SequenceFinished, None]:
        """The prompts, before each of their choices; with log-probabilities when the request asks for them."""
        grant, n = self._grant, self._grant.request.n
        for index, prompt in enumerate(grant.prompts):
            text, tokens = await self._echo_one(index, prompt)
            for choice in range(index * n, (index + 1) * n):
                yield Delta(choice, text, 0, tokens)

    async def _echo_one(self, index: int, prompt: PreparedPrompt) -> tuple[str, tuple[ScoredToken, ...]]:
        num_top = self._grant.request.sampling.logprobs
        if num_top is None or not prompt.echo_ids:
            pieces = await self._prompting.pieces(self._grant.weights, prompt.echo_ids)
            return b"".join(pieces).decode(errors="replace"), ()
        ticket = self._take_ticket(1)
        engine = await self._engine(ticket)
        self._meter.prompt_started(index, len(prompt.token_ids))
        scored = await engine.score(prompt.token_ids, num_top=num_top)
        ticket.release()
        shown = scored[len(prompt.token_ids) - len(prompt.echo_ids) :]
        # A prompt's first token has no probability, also where an unseen BOS stands before it: so OpenAI answers.
        first = ScoredToken(shown[0].token_id, shown[0].piece, None)
        return b"".join(token.piece for token in shown).decode(errors="replace"), (first, *shown[1:])

    def _candidates(self) -> AsyncGenerator[Delta | SequenceFinished, None]:
        """Events of all rounds; the order between rounds is free."""
        sources = [functools.partial(self._one_round, planned) for planned in self._rounds]
        if len(sources) == 1:
            return sources[0]()
        return merge(sources, num_parallel=min(len(sources), self._pool.num_slots), stack=self._stack)

    def _numbers(self, planned: Round) -> range:
        first = planned.prompt_index * self._num_candidates + planned.first_sequence
        return range(first, first + planned.num_sequences)

    async def _one_round(self, planned: Round) -> AsyncGenerator[Delta | SequenceFinished, None]:
        """One round from its ticket to its end, which is "length" where nothing (more) may be generated, or is paid for."""
        prompt = self._grant.prompts[planned.prompt_index]
        numbers = self._numbers(planned)
        unfinished = set(numbers)
        if not self._grant.max_tokens[planned.prompt_index]:
            self._meter.prompt_started(planned.prompt_index, len(prompt.token_ids))
        elif not self._allowance.is_exhausted:
            ticket = self._take_ticket(planned.num_sequences)
            engine = await self._engine(ticket)
            self._meter.prompt_started(planned.prompt_index, len(prompt.token_ids))
            generation = await engine.generate(self._sequence_request(planned, prompt))
            self._stack.push_async_callback(generation.aclose)
            async for event in generation:
                if isinstance(event, Finished):
                    self._meter.add_cached(event.usage.cached_tokens)
                    break
                if isinstance(event, SequenceFinished):
                    unfinished.discard(event.sequence + numbers.start)
                # Counted before it is handed on: whoever gets it may not come back.
                may_go_on = isinstance(event, SequenceFinished) or self._is_paid_for(event)
                yield _renumber(event, numbers.start) if numbers.start else event
                if not may_go_on:
                    break
            else:
                raise EngineFailed("the engine's events ended without Finished")
            await generation.aclose()
            ticket.release()
        for candidate in sorted(unfinished):
            yield SequenceFinished(candidate, FinishReason.LENGTH)

    def _is_paid_for(self, delta: Delta) -> bool:
        """Count a delta; whether more may be generated after it."""
        self._meter.watch(delta)
        return self._allowance.covers(self._meter.num_output_tokens)

    def _sequence_request(self, planned: Round, prompt: PreparedPrompt) -> SequenceRequest:
        grant = self._grant
        return SequenceRequest(
            round_id=new_id("round_"),
            prompt=prompt.token_ids,
            num_sequences=planned.num_sequences,
            max_tokens=grant.max_tokens[planned.prompt_index],
            sampling=self._sampling(planned),
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


def _renumber(event: Delta | SequenceFinished, offset: int) -> Delta | SequenceFinished:
    if isinstance(event, Delta):
        return Delta(event.sequence + offset, event.text, event.num_tokens, event.tokens)
    return SequenceFinished(event.sequence + offset, event.finish_reason)
