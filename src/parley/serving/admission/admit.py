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
        lender = LimitedLender(books, permit, num_seconds=need.audio_seconds)
        return Admitted(permit=permit, hold=hold, lender=lender, release=books.release)


class LimitedLender:
    """Makes a hold larger by what is there in the limits, and then paid for: a request that grows is under both to its end.

    `num_seconds` of audio are held for already. See Lender.
    """

    def __init__(self, books: Lender, permit: OpenPermit, *, num_seconds: int) -> None:
        self._books = books
        self._permit = permit
        self._num_seconds = num_seconds

    def extend(self, hold: Hold, num_tokens: int) -> int:
        """See Lender."""
        allowed = self._permit.extend(num_tokens)
        paid = self._books.extend(hold, allowed)
        self._permit.give_back(allowed - paid)
        return paid

    def extend_audio(self, hold: Hold, num_seconds: int, *, least: int) -> int:
        """See Lender. What the limits gave and nobody pays for is given back when the request ends, which is then."""
        counted = minutes_of(self._num_seconds)
        minutes = self._permit.extend_audio(
            minutes_of(self._num_seconds + num_seconds) - counted,
            least=minutes_of(self._num_seconds + least) - counted,
        )
        allowed = min(num_seconds, (counted + minutes) * 60 - self._num_seconds)
        paid = self._books.extend_audio(hold, allowed, least=least)
        self._num_seconds += paid
        return paid


def _refused(permit: OpenPermit, failure: BaseException) -> None:
    permit.cancel()
    if isinstance(failure, ParleyError):
        failure.levels = permit.levels
