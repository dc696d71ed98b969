"""The bench's clients leave when they should, and a round that did not last so long is no measurement."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bench.abort import left_at, spread


async def silent_round() -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield "never"


async def talking_round(num_events: int | None) -> AsyncIterator[str]:
    while num_events is None or num_events:
        num_events = None if num_events is None else num_events - 1
        yield "word"
        await asyncio.sleep(0)


def test_moments_are_the_middles_of_equal_parts() -> None:
    assert spread(2.0, 4) == [0.25, 0.75, 1.25, 1.75]


@pytest.mark.parametrize("is_silent", [True, False])
async def test_a_client_leaves_when_its_time_is_up(is_silent: bool) -> None:
    events = silent_round() if is_silent else talking_round(None)
    started = asyncio.get_running_loop().time()
    assert await left_at(events, 0.02, is_silent=is_silent) >= started + 0.02


async def test_a_prompt_that_was_read_before_its_client_left_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="went on"):
        await left_at(talking_round(None), 60.0, is_silent=True)


async def test_a_round_that_ended_before_its_client_left_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="went on"):
        await left_at(talking_round(3), 60.0)
