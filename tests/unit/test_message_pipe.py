"""The reading end of a worker's channel: whole messages in order, however the bytes come, and no more than is wanted."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from parley.core.channel import LENGTHS, MAX_PART_BYTES, Header, pack
from parley.infra.message_pipe import MessagePipe, open_pipe

MESSAGES: list[tuple[Header, bytes]] = [
    ({"event": "step", "text": "é\n"}, b""),
    ({}, bytes(range(256))),
    ({"id": 7}, b"\x00" * 70_000),
]
STREAM = b"".join(pack(*message) for message in MESSAGES)


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[MessagePipe, int]]:
    pipe, writing = await open_pipe()
    try:
        yield pipe, writing
    finally:
        os.close(writing)
        await pipe.wait_ended()


async def write(writing: int, data: bytes) -> None:
    """Wait for the other side where the pipe is full."""
    await asyncio.to_thread(os.write, writing, data)


async def written_until_full(writing: int, message: bytes) -> int:
    """Bytes that the pipe took. A reader that went on would make room for ever, so that this gives up."""
    for count in range(4096):
        try:
            os.write(writing, message)
        except BlockingIOError:
            return count * len(message)
        await asyncio.sleep(0)
    raise AssertionError("it was read all the time")


async def until(heard: list[tuple[Header, bytes]], count: int) -> None:
    async with asyncio.timeout(30):
        while len(heard) < count:
            await asyncio.sleep(0)


@pytest.mark.parametrize("size", [1, 7, 4096, len(STREAM)])
async def test_a_listener_hears_whole_messages_in_order_however_they_are_cut(size: int) -> None:
    # Every byte of the small ones; the large one's middle adds nothing.
    stream = STREAM[:700] if size == 1 else STREAM
    wanted = MESSAGES[:2] if size == 1 else MESSAGES
    heard: list[tuple[Header, bytes]] = []
    async with opened() as (pipe, writing):
        pipe.listen(lambda header, raw: heard.append((header, raw)))
        for start in range(0, len(stream), size):
            await write(writing, stream[start : start + size])
        await until(heard, len(wanted))
    assert heard == wanted


async def test_messages_are_received_one_by_one_and_the_rest_goes_to_the_listener() -> None:
    heard: list[tuple[Header, bytes]] = []
    async with opened() as (pipe, writing):
        writer = asyncio.create_task(write(writing, STREAM))
        assert await pipe.receive() == MESSAGES[0]
        pipe.listen(lambda header, raw: heard.append((header, raw)))
        await until(heard, 2)
        await writer
    assert heard == MESSAGES[1:]


async def test_what_nobody_takes_is_not_read() -> None:
    message = pack({"n": 1}, bytes(4000))
    heard: list[tuple[Header, bytes]] = []
    async with opened() as (pipe, writing):
        os.write(writing, message)
        assert (await pipe.receive())[1] == bytes(4000)  # type: ignore[index]  # it has not ended
        os.set_blocking(writing, False)
        num_written = await written_until_full(writing, message)
        pipe.listen(lambda header, raw: heard.append((header, raw)))
        await until(heard, num_written // len(message))
    assert {header["n"] for header, _ in heard} == {1}


async def test_no_message_comes_after_the_end_also_where_it_cut_one_in_two() -> None:
    pipe, writing = await open_pipe()
    os.write(writing, pack(*MESSAGES[1])[:-1])
    os.close(writing)
    assert await pipe.receive() is None
    await pipe.wait_ended()
    assert pipe.broken is None


@pytest.mark.parametrize(
    "nonsense",
    [
        LENGTHS.pack(MAX_PART_BYTES + 1, 0),
        LENGTHS.pack(0, MAX_PART_BYTES + 1),
        LENGTHS.pack(2, 0) + b"[]",
        LENGTHS.pack(3, 0) + b"{]}",
        LENGTHS.pack(1, 0) + b"\xff",
    ],
)
async def test_nonsense_ends_it_and_what_came_before_is_heard(nonsense: bytes) -> None:
    heard: list[tuple[Header, bytes]] = []
    async with opened() as (pipe, writing):
        pipe.listen(lambda header, raw: heard.append((header, raw)))
        os.write(writing, pack({"n": 1}) + nonsense + pack({"n": 2}))
        async with asyncio.timeout(30):
            await pipe.wait_ended()
        assert pipe.broken is not None
    assert heard == [({"n": 1}, b"")]
