"""Usage records: which of them are asked for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which records to list; None asks for nothing. Times in seconds since the epoch, the end excluded."""

    since: float | None = None
    until: float | None = None
    key_id: str | None = None
    request_id: str | None = None
