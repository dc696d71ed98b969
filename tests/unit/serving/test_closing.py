"""The calls at a request's end: their order, and what becomes of the others where one fails."""

import asyncio

import pytest

from parley.serving.closing import Closing


class Calls:
    def __init__(self) -> None:
        self.made: list[str] = []
        self.closing = Closing()

    def call(self, name: str, error: BaseException | None = None):
        def made() -> None:
            self.made.append(name)
            if error is not None:
                raise error

        return made

    def call_async(self, name: str, error: BaseException | None = None):
        async def made() -> None:
            await asyncio.sleep(0)
            self.call(name, error)()

        return made


async def test_the_last_one_is_made_first_each_once():
    calls = Calls()
    calls.closing.push(calls.call("a"))
    calls.closing.push_async(calls.call_async("b"))
    calls.closing.push(calls.call("c"))
    calls.closing.push_last(calls.call("z"))
    await calls.closing.aclose()
    await calls.closing.aclose()
    assert calls.made == ["c", "b", "a", "z"]


@pytest.mark.parametrize("error", [ValueError("first"), asyncio.CancelledError("first")])
async def test_a_failure_stops_none_of_the_others(error):
    calls = Calls()
    calls.closing.push_async(calls.call_async("a"))
    calls.closing.push(calls.call("b", error))
    with pytest.raises(type(error), match="first"):
        await calls.closing.aclose()
    assert calls.made == ["b", "a"]


async def test_the_last_of_several_failures_is_raised_with_the_one_before():
    calls = Calls()
    calls.closing.push(calls.call("a", ValueError("second")))
    calls.closing.push_async(calls.call_async("b", KeyError("first")))
    with pytest.raises(ValueError, match="second") as raised:
        await calls.closing.aclose()
    assert isinstance(raised.value.__context__, KeyError)
