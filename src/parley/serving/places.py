"""The places of one request in its pool: taken, waited for, and taken again after an engine's death."""

from typing import Generic, TypeVar

from parley.core.errors import EngineDied, RequestQuarantined
from parley.core.principal import Principal
from parley.serving.closing import Closing
from parley.serving.metering.meter import Meter
from parley.serving.scheduling.casualties import Patient, Verdict
from parley.serving.scheduling.fair import Tenant
from parley.serving.scheduling.pool import Pool, Ticket

R = TypeVar("R")


def tenant_of(principal: Principal) -> Tenant:
    """For whom a principal's requests run."""
    return Tenant(principal.organization_id, principal.project_id)


class Places(Generic[R]):
    """The first one, of `num_slots`, is taken at once (raises Overloaded); all are given back with `closing` at the latest.

    `what` is what a refusal calls the request, such as "recording".
    """

    def __init__(
        self,
        pool: Pool[R],
        principal: Principal,
        meter: Meter,
        closing: Closing,
        *,
        num_slots: int,
        what: str,
    ) -> None:
        self._pool = pool
        self._tenant = tenant_of(principal)
        self._meter = meter
        self._closing = closing
        self._what = what
        self._first: Ticket | None = self._enqueue(num_slots, is_continuation=False)
        # Whose slots are waited for, or were last.
        self._last = self._first

    def progress(self, then: str) -> str:
        """What there is to say to whoever waits for the first event; `then` is what comes once there are slots."""
        return self._pool.progress(self._last, then)

    def take(self, num_slots: int) -> Ticket:
        """The place taken at the start when it is of the right size and not used yet; else a further one."""
        ticket, self._first = self._first, None
        if ticket is not None and ticket.num_slots == num_slots:
            return ticket
        if ticket is not None:
            ticket.release()
        return self._enqueue(num_slots, is_continuation=True)

    async def engine(self, ticket: Ticket) -> R:
        """The pool's replica, once the slots are ours and it is loaded."""
        self._last = ticket
        await ticket.granted.wait()
        self._meter.slot_taken()
        return await self._pool.engine()

    def after(self, death: EngineDied, patient: Patient, ticket: Ticket) -> Ticket:
        """The place with which the round is run again after its engine's death; raises where it is not."""
        match patient.verdict:
            case Verdict.AGAIN:
                patient.num_runs += 1
                return ticket
            case Verdict.ALONE:
                patient.num_runs += 1
                ticket.release()
                return self.take(self._pool.num_slots)
            case Verdict.GUILTY:
                raise RequestQuarantined(f"an engine died of this {self._what}: {death.detail}") from death
            case _:
                raise death

    def _enqueue(self, num_slots: int, *, is_continuation: bool) -> Ticket:
        ticket = self._pool.enqueue(self._tenant, num_slots, is_continuation=is_continuation)
        self._closing.push(ticket.release)
        return ticket
