"""The last question before a request runs: is there room in its limits, and is it paid for? Limits first, then money."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from msgspec import Struct

from parley.core.claim import Claim
from parley.core.errors import ParleyError
from parley.core.hold import Hold, Need
from parley.core.limits import LimitNeed
from parley.core.principal import Principal
from parley.core.snapshot import Snapshot
from parley.domain.billing.service import Billing
from parley.serving.admission.allowance import Lender
from parley.serving.admission.rates import OpenPermit, Rates, minutes_of


class Admitted(Struct, frozen=True, kw_only=True):
    """What a request took: room in its limits, and a hold, which `lender` makes larger. Its Run closes both.

    As a context, for as long as there is no Run: both are given back where the body raises, and its refusal tells how the limits
    stand.
    """

    permit: OpenPermit
    hold: Hold
    lender: Lender
    release: Callable[[Hold], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if failure is not None:
            self.release(self.hold)
            _refused(self.permit, failure)


class Admission:
    """Who may how much, and who has paid. `check_room` raises Overloaded where what a request will leave could not be kept."""

    def __init__(self, billing: Billing, rates: Rates, check_room: Callable[[], None] = lambda: None) -> None:
        self._billing = billing
        self._rates = rates
        self._check_room = check_room

    def admit(
        self,
        request_id: str,
        principal: Principal,
        snapshot: Snapshot,
        need: Need,
        *,
        claim: Claim | None,
    ) -> Admitted:
        """Take what the request needs, for as long as its Run.

        Raises RateLimited, and Overloaded where its end could not be kept. Every refusal but that one tells how the limits stand.
        """
        self._check_room()
        taken = LimitNeed(tokens=need.num_tokens, audio_minutes=minutes_of(need.audio_seconds))
        permit = self._rates.admit(principal, model=snapshot.name, family=snapshot.family, need=taken)
        books = self._billing.books
        try:
            price = self._billing.price_for(principal.organization_id, snapshot)
            hold = books.open_hold(request_id, principal, price, need, claim)
        except BaseException as failure:
            _refused(permit, failure)
            raise
        return Admitted(permit=permit, hold=hold, lender=books, release=books.release)


def _refused(permit: OpenPermit, failure: BaseException) -> None:
    permit.cancel()
    if isinstance(failure, ParleyError):
        failure.levels = permit.levels
