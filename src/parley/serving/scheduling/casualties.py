"""What becomes of the rounds that were on an engine when it died: who is to blame, who is run once more, who has failed."""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from types import TracebackType
from typing import TypeVar

from msgspec import Struct

from parley.core.clock import Clock
from parley.core.errors import EngineDied

QUARANTINE_SECONDS = 600.0
# Suspected so often within the time of a quarantine, without ever having been alone, a request is to blame as well.
_MAX_SUSPICIONS = 3
_MAX_REMEMBERED = 4096

T = TypeVar("T")


class Verdict(Enum):
    """Of one round. ALONE is run once more with the whole engine to itself, so that it can bring down nobody else."""

    GUILTY = auto()
    FAILED = auto()
    AGAIN = auto()
    ALONE = auto()


class Patient(Struct, kw_only=True, eq=False):
    """A round while it is on an engine.

    `has_output` is set by the first thing that the engine said of it, `is_told` by the first that was handed on: from then
    on it cannot be run again. `num_runs` counts from 1.
    """

    round_id: str
    # Its fingerprint; asked for only after a death.
    identify: Callable[[], str]
    num_runs: int = 1
    has_output: bool = False
    is_told: bool = False
    verdict: Verdict | None = None


def suspected(present: Iterable[Patient], named: frozenset[str]) -> list[Patient]:
    """Whom the engine may have died of.

    Those that it `named` itself (round ids) are believed; where it named none, it was a round that it had said nothing of
    yet, or any of them where there is no such.
    """
    here = list(present)
    suspects = [each for each in here if each.round_id in named]
    return suspects or [each for each in here if not each.has_output] or here


def judge(present: Iterable[Patient], suspects: Sequence[Patient]) -> dict[Patient, Verdict]:
    """The verdict on each round that was on an engine when it died.

    A sole suspect is guilty. Several are run again one by one, which finds the guilty one. Who was told something cannot
    be run again, and nobody is run a third time.
    """
    verdicts: dict[Patient, Verdict] = {}
    for each in present:
        if len(suspects) == 1 and each is suspects[0]:
            verdicts[each] = Verdict.GUILTY
        elif each.is_told or each.num_runs > 1:
            verdicts[each] = Verdict.FAILED
        else:
            verdicts[each] = Verdict.ALONE if each in suspects else Verdict.AGAIN
    return verdicts


def fingerprint(prompt: Iterable[object], *how: object) -> str:
    """The same for requests that ask an engine for the same: of values whose `repr` says all of them."""
    return hashlib.sha256(repr((tuple(prompt), *how)).encode()).hexdigest()


class Casualties:
    """The rounds on one pool's engine, and the requests that engines died of, for ten minutes each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # In the order in which they came.
        self._present: dict[Patient, None] = {}
        # Fingerprint -> when it is let in again.
        self._quarantined: OrderedDict[str, float] = OrderedDict()
        self._suspicions: OrderedDict[str, deque[float]] = OrderedDict()

    @property
    def is_watchful(self) -> bool:
        """Whether any request is in quarantine: only then is a fingerprint worth its time."""
        return bool(self._quarantined)

    def is_quarantined(self, fingerprint: str) -> bool:
        """Whether an engine died of such a request in the last ten minutes."""
        until = self._quarantined.get(fingerprint)
        if until is None:
            return False
        if self._clock.monotonic() >= until:
            del self._quarantined[fingerprint]
            return False
        return True

    def watched(self, patient: Patient) -> "_Watched":
        """The patient is on the engine for as long as this is entered.

        When EngineDied passes through, the patient has a verdict afterwards; the first one has all others judged with it.
        """
        return _Watched(self, patient)

    def enter(self, patient: Patient) -> None:
        """It goes onto the engine; `watched` sees to the rest."""
        patient.has_output, patient.verdict = False, None
        self._present[patient] = None

    def leave(self, patient: Patient, failure: BaseException | None) -> None:
        """It has left the engine, with what was raised."""
        if isinstance(failure, EngineDied):
            if not failure.has_reached:
                # It found the engine dead: nobody died of it.
                patient.verdict = Verdict.AGAIN if patient.num_runs == 1 else Verdict.FAILED
            elif patient.verdict is None:
                self._judge(failure.suspects)
        self._present.pop(patient, None)

    def acquit(self, patient: Patient) -> None:
        """It was served to its end: whoever sends the same is suspected of nothing."""
        if self._suspicions:
            self._suspicions.pop(patient.identify(), None)

    def _judge(self, named: frozenset[str]) -> None:
        unjudged = [each for each in self._present if each.verdict is None]
        suspects = suspected(unjudged, named)
        for each, verdict in judge(unjudged, suspects).items():
            each.verdict = verdict
        by_fingerprint: dict[str, list[Patient]] = {}
        for each in suspects:
            by_fingerprint.setdefault(each.identify(), []).append(each)
        for fingerprint, alike in by_fingerprint.items():
            # A death is one suspicion, however many sent the same.
            if alike[0].verdict is Verdict.GUILTY or self._is_notorious(fingerprint):
                self._quarantine(fingerprint)
                for each in alike:
                    each.verdict = Verdict.GUILTY

    def _is_notorious(self, fingerprint: str) -> bool:
        """Count one more suspicion; whether there are too many."""
        now = self._clock.monotonic()
        times = self._suspicions.setdefault(fingerprint, deque(maxlen=_MAX_SUSPICIONS))
        self._suspicions.move_to_end(fingerprint)
        _forget_oldest(self._suspicions)
        times.append(now)
        return len(times) == _MAX_SUSPICIONS and now - times[0] < QUARANTINE_SECONDS

    def _quarantine(self, fingerprint: str) -> None:
        self._quarantined[fingerprint] = self._clock.monotonic() + QUARANTINE_SECONDS
        self._quarantined.move_to_end(fingerprint)
        _forget_oldest(self._quarantined)


def _forget_oldest(remembered: OrderedDict[str, T]) -> None:
    """Whoever sends many different poisons must not fill the memory."""
    if len(remembered) > _MAX_REMEMBERED:
        remembered.popitem(last=False)


class _Watched:
    """A class of its own, since every round enters it: the generator of a context manager costs four times as much."""

    __slots__ = ("_casualties", "_patient")

    def __init__(self, casualties: Casualties, patient: Patient) -> None:
        self._casualties = casualties
        self._patient = patient

    def __enter__(self) -> None:
        self._casualties.enter(self._patient)

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._casualties.leave(self._patient, failure)
