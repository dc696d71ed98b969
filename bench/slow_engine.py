"""Parley with an engine whose every answer takes the same time, so that what a request takes beyond it is waiting for a slot.

Started as `python -m bench.slow_engine`; settings come by environment, as for `parley serve`.
"""

import asyncio

from msgspec import structs

from parley.app import serve
from parley.core.requests import SequenceRequest
from parley.core.snapshot import EngineKind
from parley.infra.logs import configure_logging
from parley.infra.settings import load_settings
from parley.runtimes import EnginePlan
from parley.serving.engines.echo import EchoEngine, EchoGeneration

NUM_TOKENS = 1
# For the token, the end of its sequence and the end of the round.
STEP_SECONDS = 0.1


class SlowEngine(EchoEngine):
    """One token for every prompt, in three tenths of a second: few steps, so that little of it is the machine's own."""

    async def start(self) -> None:
        """There is no process."""

    async def aclose(self) -> None:
        """There is no process."""

    async def generate(self, request: SequenceRequest) -> EchoGeneration:
        return await super().generate(structs.replace(request, prompt=tuple(b"x" * NUM_TOKENS)))


def make_slow(plan: EnginePlan) -> SlowEngine:
    return SlowEngine(num_slots=plan.num_slots, token_delay_seconds=STEP_SECONDS)


def main() -> None:
    settings = load_settings({})
    configure_logging(level=settings.log_level, style="json", secrets=[])
    quiet = {"on_step": lambda _: None, "on_ready": lambda _: None}
    asyncio.run(serve(settings, engines={EngineKind.LLAMA: make_slow}, **quiet))


if __name__ == "__main__":
    main()
