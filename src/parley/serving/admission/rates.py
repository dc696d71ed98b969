"""What a text request takes from its limits, before anything runs: its prompts and the most that it may generate at first."""

from typing import Protocol

from parley.core.limits import Levels, LimitNeed
from parley.core.principal import Principal
from parley.core.usage import Usage


class OpenPermit(Protocol):
    """What a request took from its limits."""

    levels: Levels

    def close(self, num_tokens: int) -> None:
        """Give back what `num_tokens` leave unused. Once; harmless after that."""
        ...


class Rates(Protocol):
    """Who may how much. `parley.domain.limits` has the real one."""

    def admit(self, principal: Principal, *, model: str, family: str, need: LimitNeed) -> OpenPermit:
        """Take the need from every limit, or raise RateLimited."""
        ...


class Unlimited:
    """Rates that refuse nothing."""

    def admit(self, principal: Principal, *, model: str, family: str, need: LimitNeed) -> "Unlimited":  # noqa: ARG002
        """See Rates."""
        return self

    levels = Levels()

    def close(self, num_tokens: int) -> None:
        """See OpenPermit."""


def used_tokens(usage: Usage) -> int:
    """What a request took in the end."""
    return usage.input_tokens + usage.output_tokens
