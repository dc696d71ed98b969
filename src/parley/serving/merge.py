"""One stream of items out of several that run beside each other; the first failure ends all."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from parley.serving.closing import Closing

T = TypeVar("T")

# Items that may wait for a slow reader; beyond it the sources wait too.
_MAX_BUFFERED = 64


async def merge(
    sources: Iterable[Callable[[], AsyncGenerator[T, None]]], *, num_parallel: int, closing: Closing
) -> AsyncGenerator[T, None]:
    """Items of all sources, at most `num_parallel` of them open at once, each opened when a place is free.

    `closing` cancels the tasks that read them, and waits for their end.
    """
    waiting = iter(sources)
    # Bounded by `room`, not by itself, so that a task's end can always be told.
    items: asyncio.Queue[T | None] = asyncio.Queue()
    room = asyncio.Semaphore(_MAX_BUFFERED)

    async def read() -> None:
        for source in waiting:
            async with aclosing(source()) as opened:
                async for item in opened:
                    await room.acquire()
                    items.put_nowait(item)

    tasks = [asyncio.ensure_future(read()) for _ in range(num_parallel)]
    closing.push_async(partial(_cancel, tasks))
    for task in tasks:
        task.add_done_callback(lambda _: items.put_nowait(None))
    num_running = len(tasks)
    while num_running:
        item = await items.get()
        if item is not None:
            room.release()
            yield item
            continue
        num_running -= 1
        for task in tasks:
            if task.done():
                task.result()


async def _cancel(tasks: Sequence["asyncio.Future[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
