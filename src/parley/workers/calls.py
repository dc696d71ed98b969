"""Questions to a runtime that can be answered in one go, and which of them are next."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

# Passed over so often, a call goes before all others, however much its recording has had already.
_MOST_PASSED_OVER = 8


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A question to the runtime. Calls of equal `key` can be answered in one go, up to `most` of them.

    Those of a lower `stage` come first: whoever waits behind them then finds more company. `seconds_heard` is how much of its
    recording was worked through when it was made, `end_seconds` how much is once its passage is.
    """

    key: Hashable
    question: Any
    stage: int = 0
    most: int = 1
    seconds_heard: float = 0.0
    end_seconds: float = 0.0
    answer: Any = None
    num_passed_over: int = 0


def choose(waiting: Sequence[Call]) -> list[Call]:
    """Those that are answered next, together. Who will have had the least goes first: short recordings do not wait for long ones."""
    if not waiting:
        return []
    stage = min(call.stage for call in waiting)
    first_to_last = sorted(
        (call for call in waiting if call.stage == stage),
        key=lambda call: (call.num_passed_over < _MOST_PASSED_OVER, call.end_seconds, call.seconds_heard),
    )
    lead = first_to_last[0]
    chosen = [call for call in first_to_last if call.key == lead.key][: lead.most]
    for call in first_to_last:
        call.num_passed_over += call not in chosen
    return chosen
