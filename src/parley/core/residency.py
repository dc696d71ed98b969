"""Which weights are in memory, as an operator sees it."""

from dataclasses import dataclass
from enum import StrEnum


class Residency(StrEnum):
    """Where a set of weights is. An unavailable one failed so often that it is not tried again for a while."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    LOADED = "loaded"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatus:
    """One set of weights that was asked for since the server started. `memory_bytes` is what its replica is counted with."""

    weights: str
    residency: Residency
    memory_bytes: int
    num_slots: int
    num_free_slots: int
    num_waiting: int
    # Since its last request ended; None while one runs or waits, and where it never ran any.
    idle_seconds: float | None
    # How long it may idle before it is put out; None: until its memory is needed.
    keep_alive_seconds: float | None
    is_pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReport:
    """All replicas, and what they may take together."""

    budget_bytes: int
    replicas: tuple[ReplicaStatus, ...]
