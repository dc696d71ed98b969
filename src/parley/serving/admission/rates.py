"""What a request takes from its limits, before anything runs: the most that it may use at first."""

import math
from typing import Protocol

from parley.core.limits import Levels, LimitNeed
from parley.core.principal import Principal
from parley.core.usage import Usage


class OpenPermit(Protocol):
    """What a request took from its limits."""

    levels: Levels

    def extend(self, num_tokens: int) -> int:
        """Take up to so many tokens more; how many there were."""
        ...

    def give_back(self, num_tokens: int) -> None:
        """So many of what `extend` gave are not wanted after all."""
        ...

    def extend_audio(self, num_minutes: int, *, least: int) -> int:
        """Take up to so many audio minutes more, `least` at the least, or raise RateLimited; how many there were."""
        ...

    def close(self, num_tokens: int = 0, *, audio_minutes: int = 0) -> None:
        """Give back what these leave unused. Once; harmless after that."""
        ...

    def cancel(self) -> None:
        """Give back everything: the request does not run. `levels` are then those without it."""
        ...


class Rates(Protocol):
    """Who may how much. `parley.domain.limits` has the real one."""

    def admit(self, principal: Principal, *, model: str, family: str, need: LimitNeed) -> OpenPermit:
        """Take the need from every limit, or raise RateLimited."""
        ...


def close_permit(permit: OpenPermit, usage: Usage) -> None:
    """Leave taken what the request used in the end."""
    permit.close(usage.input_tokens + usage.output_tokens, audio_minutes=minutes_of(usage.audio_seconds))


def minutes_of(num_seconds: int) -> int:
    """The minutes that limits count for so much audio: a begun one is a whole one."""
    return math.ceil(num_seconds / 60)
