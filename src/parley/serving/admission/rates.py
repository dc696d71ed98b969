"""What a text request takes from its limits, before anything runs: its prompts and the most that it may generate at first."""

from collections.abc import Sequence
from typing import Protocol

from parley.core.grant import PreparedPrompt
from parley.core.limits import Levels, LimitNeed
from parley.core.principal import Principal
from parley.core.requests import GenerationRequest
from parley.core.usage import Usage

# Where no maximum is stated, so many tokens a sequence are taken first; what comes beyond is taken when it is known.
FIRST_BLOCK_TOKENS = 512


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


def need_of(request: GenerationRequest, prompts: Sequence[PreparedPrompt], max_tokens: Sequence[int]) -> LimitNeed:
    """Prompt and worst-case output: a stated maximum whole, else a first block for each sequence."""
    num_sequences = max(request.n, request.best_of)
    most = max_tokens if request.max_tokens is not None else [min(FIRST_BLOCK_TOKENS, each) for each in max_tokens]
    return LimitNeed(tokens=sum(len(prompt.token_ids) for prompt in prompts) + sum(most) * num_sequences)


def used_tokens(usage: Usage) -> int:
    """What a request took in the end."""
    return usage.input_tokens + usage.output_tokens
