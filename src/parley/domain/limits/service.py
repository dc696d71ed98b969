"""The limits' verbs: let a request in or refuse it, take back what it did not use, and keep projects' own limits."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from parley.core.clock import Clock
from parley.core.errors import RateLimited
from parley.core.limits import FREE_TIER, NO_LIMITS, Level, Levels, LimitNeed, Limits
from parley.core.principal import Principal
from parley.domain.limits import store
from parley.domain.limits.counters import Counters
from parley.domain.limits.model import (
    Debit,
    Subject,
    Whose,
    reached,
    too_large,
    too_many_at_once,
)
from parley.domain.limits.tiers import DEFAULT_TIERS, Tier
from parley.infra.db import Connection, Transaction

_MAX_SUBJECTS = 100_000
_NO_LEVELS = Levels()


class Permit:
    """What one request took from its limits. Closed once by whoever opened it; harmless after that."""

    def __init__(
        self,
        counters: Counters,
        clock: Clock,
        debits: Sequence[Debit],
        places: Sequence[tuple[str, ...]],
        levels: Levels,
        whose: Whose,
    ) -> None:
        self._counters = counters
        self._clock = clock
        self._debits = debits
        self._places = places
        self._whose = whose
        self._is_open = True
        self.levels = levels

    def extend(self, num_tokens: int) -> int:
        """Take up to so many tokens more from every limit that counts them; how many there were in all of them."""
        return self._extend("tokens", num_tokens)

    def give_back(self, num_tokens: int) -> None:
        """So many of the tokens that were taken are not wanted after all."""
        if num_tokens and self._is_open:
            given = [debit._replace(amount=-num_tokens) for debit in self._of("tokens")]
            self._counters.correct(given, self._clock.monotonic())
            self._add("tokens", -num_tokens)

    def extend_audio(self, num_minutes: int, *, least: int) -> int:
        """As `extend`, for audio minutes. Raises RateLimited where not even `least` are there."""
        got = self._extend("audio_minutes", num_minutes)
        if got < least:
            raise self._too_little(least - got)
        return got

    def close(self, num_tokens: int = 0, *, audio_minutes: int = 0) -> None:
        """The request is over and used so much: the rest is given back; what it used beyond is taken too."""
        used = LimitNeed(tokens=num_tokens, audio_minutes=audio_minutes)
        self._end(
            [
                debit._replace(amount=debit.meter.amount(used) - debit.amount)
                for debit in self._debits
                if debit.meter.is_measured and debit.amount != debit.meter.amount(used)
            ]
        )

    def cancel(self) -> None:
        """The request was refused after all: everything is given back, and `levels` are those without it."""
        if self._is_open:
            self._end([debit._replace(amount=-debit.amount) for debit in self._debits])
            self.levels = _levels(self._counters, self._debits)

    def _of(self, counted: str) -> list[Debit]:
        return [debit for debit in self._debits if debit.meter.counted == counted]

    def _extend(self, counted: str, amount: int) -> int:
        if not self._is_open:
            return 0
        taken = self._of(counted)
        if not taken:
            return amount
        got = self._counters.take_more(taken, amount, self._clock.monotonic())
        self._add(counted, got)
        return got

    def _add(self, counted: str, amount: int) -> None:
        self._debits = [
            debit._replace(amount=debit.amount + amount) if debit.meter.counted == counted else debit
            for debit in self._debits
        ]

    def _too_little(self, num_minutes: int) -> RateLimited:
        """The refusal of so many audio minutes more."""
        debits = [debit._replace(amount=debit.amount + num_minutes) for debit in self._of("audio_minutes")]
        for debit in debits:
            if debit.amount > debit.capacity:
                return too_large(self._whose, debit)
        seconds, debit = max((self._counters.seconds_until(debit), debit) for debit in debits)
        remaining = self._counters.level(debit).remaining
        return reached(self._whose, debit, remaining=remaining, seconds=seconds)

    def _end(self, corrections: Sequence[Debit]) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._counters.correct(corrections, self._clock.monotonic())
        for place in self._places:
            self._counters.leave(place)


class RateLimits:
    """Who may how much. Decides in memory; the limits of projects follow the database at every commit.

    The counters are this process's own memory, so that nothing of it can be down.
    """

    def __init__(self, counters: Counters, clock: Clock, *, tiers: Mapping[str, Tier] = DEFAULT_TIERS) -> None:
        self._counters = counters
        self._clock = clock
        self._tiers = tiers
        self._tier_of: dict[str, str] = {}
        self._of_projects: dict[tuple[str, str], Limits] = {}
        # Families are those of the catalog, so that these are few.
        self._of_tiers: dict[tuple[str, str], Limits] = {}
        self._subjects_made: OrderedDict[tuple[str, ...], Subject] = OrderedDict()

    def admit(self, principal: Principal, *, model: str, family: str, need: LimitNeed) -> Permit:
        """Take what the request may need from every limit that it is under, or from none.

        Raises RateLimited, which carries the levels: "tokens" or "requests", without a wait where none would help.
        """
        subjects = self._subjects(principal, model, family)
        whose = Whose(model=model, organization_id=principal.organization_id)
        if not subjects:
            return Permit(self._counters, self._clock, (), (), _NO_LEVELS, whose)
        debits = [debit for subject in subjects for debit in subject.debits(need)]
        self._take(debits, whose)
        entered: list[tuple[str, ...]] = []
        permit = Permit(self._counters, self._clock, debits, entered, _levels(self._counters, debits), whose)
        for subject in subjects:
            limit = subject.limits.concurrent_requests
            if limit is None:
                continue
            if not self._counters.enter(subject.place, limit):
                permit.cancel()
                raise _with_levels(too_many_at_once(whose, limit), permit.levels)
            entered.append(subject.place)
        return permit

    def standing(self, principal: Principal, *, model: str, family: str) -> Levels:
        """How the limits stand that a request for this model would meet; nothing is taken.

        For a model that nobody has ("") those are told that count for every model: the key's own, and its tier's in general.
        """
        subjects = self._subjects(principal, model, family)
        debits = [debit._replace(amount=0) for subject in subjects for debit in subject.debits(LimitNeed())]
        self._counters.take(debits, self._clock.monotonic())
        return _levels(self._counters, debits)

    def tier(self, name: str) -> Tier | None:
        """The tier of a name; None: there is none."""
        return self._tiers.get(name)

    @property
    def tier_names(self) -> tuple[str, ...]:
        return tuple(self._tiers)

    def set_tier(self, organization_id: str, tier: str) -> None:
        """From now on an organization has the limits of this tier."""
        self._tier_of[organization_id] = tier

    def fill(self, connection: Connection) -> None:
        """Know every project's limits: at the start, before anybody asks."""
        for project_id, model, limits in store.all_limits(connection):
            self._of_projects[project_id, model] = limits

    def of_project(self, project_id: str, model: str) -> Limits:
        """The project's own limits on a model."""
        return self._of_projects.get((project_id, model), NO_LIMITS)

    def change_project(self, transaction: Transaction, project_id: str, model: str, limits: Limits) -> None:
        """Keep a project's own limits on a model; they count once this is committed."""
        store.replace(transaction.connection, project_id, model, limits)
        transaction.on_commit(lambda: self._of_projects.__setitem__((project_id, model), limits))

    def of_organization(self, organization_id: str, family: str) -> Limits:
        """The limits that an organization's tier sets for a model of this family."""
        tier = self._tiers.get(self._tier_of.get(organization_id, FREE_TIER)) or self._tiers[FREE_TIER]
        return tier.for_family(family)

    def _subjects(self, principal: Principal, model: str, family: str) -> list[Subject]:
        subjects = []
        if principal.is_metered:
            limits = self._of_family(principal.organization_id, family)
            subjects.append(self._subject((principal.organization_id, model), limits))
        own = self._of_projects.get((principal.project_id, model))
        if own is not None:
            subjects.append(self._subject((principal.project_id, model), own))
        if principal.limits is not NO_LIMITS:
            subjects.append(self._subject((principal.spender,), principal.limits))
        return subjects

    def _subject(self, name: tuple[str, ...], limits: Limits) -> Subject:
        """The subject of this name, made anew only where its limits have changed."""
        known = self._subjects_made.get(name)
        # Keys that share a count have equal limits, each its own.
        if known is None or (known.limits is not limits and known.limits != limits):
            known = self._subjects_made[name] = Subject(name, limits)
            if len(self._subjects_made) > _MAX_SUBJECTS:
                self._subjects_made.popitem(last=False)
        return known

    def _of_family(self, organization_id: str, family: str) -> Limits:
        """As `of_organization`, the same object each time."""
        tier = self._tier_of.get(organization_id, FREE_TIER)
        limits = self._of_tiers.get((tier, family))
        if limits is None:
            limits = self._of_tiers[tier, family] = self.of_organization(organization_id, family)
        return limits

    def _take(self, debits: Sequence[Debit], whose: Whose) -> None:
        missing = self._counters.take(debits, self._clock.monotonic())
        if missing is None:
            return
        levels = _levels(self._counters, debits)
        for debit in debits:
            # Told before any wait: what comes back after it would be refused all the same.
            if debit.amount > debit.capacity:
                raise _with_levels(too_large(whose, debit), levels)
        remaining = self._counters.level(debits[missing]).remaining
        # What it takes nothing of keeps it waiting for nothing, however much of it is owed.
        seconds = max(self._counters.seconds_until(debit) for debit in debits if debit.amount)
        raise _with_levels(reached(whose, debits[missing], remaining=remaining, seconds=seconds), levels)


def _levels(counters: Counters, debits: Sequence[Debit]) -> Levels:
    requests = tokens = None
    for debit in debits:
        counted = debit.meter.counted
        if counted == "requests":
            level = counters.level(debit)
            if requests is None or _is_nearer(level, requests):
                requests = level
        elif counted == "tokens":
            level = counters.level(debit)
            if tokens is None or _is_nearer(level, tokens):
                tokens = level
    return Levels(requests, tokens)


def _is_nearer(one: Level, other: Level) -> bool:
    """Whether a limit is nearer to refusing than another: less is left of it, or as much, and it is whole again later."""
    if one.remaining == other.remaining:
        return one.reset_seconds > other.reset_seconds
    return one.remaining < other.remaining


def _with_levels(refusal: RateLimited, levels: Levels) -> RateLimited:
    refusal.levels = levels
    return refusal
