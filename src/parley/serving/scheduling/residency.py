"""Which weights make room for others, and which have idled long enough: pure decisions about values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """Weights in memory, or on their way there. A busy one has requests, running or waiting; times are monotonic seconds."""

    name: str
    memory_bytes: int
    last_used: float
    is_busy: bool = False
    is_pinned: bool = False
    keep_alive_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What has to happen before others fit: `evict` now, and let `drain` finish what runs on it, to be evicted then."""

    evict: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()


def make_room(residents: Iterable[Resident], *, needed_bytes: int, budget_bytes: int) -> Room | None:
    """How `needed_bytes` more can fit the budget; None where nothing that may be put out would suffice.

    Idle weights go first, then busy ones are drained, each kind by how long ago it was used. Pinned ones stay, and
    nothing goes whose going would not be needed.
    """
    here = list(residents)
    missing = needed_bytes + sum(each.memory_bytes for each in here) - budget_bytes
    if missing <= 0:
        return Room()
    movable = sorted((each for each in here if not each.is_pinned), key=lambda each: (each.is_busy, each.last_used))
    chosen: list[Resident] = []
    for each in movable:
        if missing <= 0:
            break
        chosen.append(each)
        missing -= each.memory_bytes
    if missing > 0:
        return None
    chosen = _without_needless(chosen, spare_bytes=-missing)
    return Room(
        evict=tuple(each.name for each in chosen if not each.is_busy),
        drain=tuple(each.name for each in chosen if each.is_busy),
    )


def _without_needless(chosen: Sequence[Resident], *, spare_bytes: int) -> list[Resident]:
    """Keep what turned out not to be needed, because something larger was chosen after it; the last chosen is needed."""
    kept: list[Resident] = []
    # The most recently used of the chosen have the best claim to stay.
    for each in reversed(chosen):
        if each.memory_bytes <= spare_bytes:
            spare_bytes -= each.memory_bytes
        else:
            kept.append(each)
    return kept[::-1]


def idle_until(resident: Resident) -> float | None:
    """When the resident has idled for as long as it may; None where it may stay."""
    if resident.is_busy or resident.is_pinned or resident.keep_alive_seconds is None:
        return None
    return resident.last_used + resident.keep_alive_seconds
