"""A client that leaves ends its Run, wherever in its life the request is. On real sockets."""

import asyncio
import socket
import time

import pytest

from parley.core.usage import Outcome
from tests.builders_edge import FakeEdge, Script, Wire, connected, request, running_edge

# The demand is that the abort is sent within 50 ms.
ABORT_SECONDS = 0.05

SLOW_TO_START = Script(first_seconds=30.0)
SLOW_TO_END = Script(num_events=10_000, gap_seconds=0.01)

LEAVING = {"fin": lambda wire: wire.writer.close(), "rst": lambda wire: wire.reset()}


async def run_opened(edge: FakeEdge) -> None:
    async with asyncio.timeout(5):
        while not edge.runs:
            await asyncio.sleep(0.005)


async def seconds_to_abort(edge: FakeEdge, wire: Wire, how: str) -> float:
    started = time.monotonic()
    LEAVING[how](wire)
    await asyncio.wait_for(edge.last_run.is_closed.wait(), 5)
    return time.monotonic() - started


@pytest.mark.parametrize("how", LEAVING)
async def test_client_that_leaves_before_the_first_token_ends_its_run(how):
    async with running_edge(script=SLOW_TO_START) as edge, connected(edge) as wire:
        await wire.send(request())
        await run_opened(edge)
        assert await seconds_to_abort(edge, wire, how) < ABORT_SECONDS
        assert edge.last_run.outcome is Outcome.ABORTED


@pytest.mark.parametrize("how", LEAVING)
async def test_client_that_leaves_in_the_middle_of_a_stream_ends_its_run(how):
    async with running_edge(script=SLOW_TO_END) as edge, connected(edge) as wire:
        await wire.send(request())
        await wire.reader.readuntil(b'data: {"text"')
        assert await seconds_to_abort(edge, wire, how) < ABORT_SECONDS
        assert edge.last_run.outcome is Outcome.ABORTED


@pytest.mark.parametrize("how", LEAVING)
async def test_client_that_leaves_a_plain_request_ends_its_run(how):
    async with running_edge(script=SLOW_TO_START) as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/completions"))
        await run_opened(edge)
        assert await seconds_to_abort(edge, wire, how) < ABORT_SECONDS
        assert edge.last_run.outcome is Outcome.ABORTED


async def test_closing_a_run_may_take_its_time_and_is_waited_for():
    script = Script(first_seconds=30.0, closing_seconds=0.2)
    async with running_edge(script=script) as edge:
        async with connected(edge) as wire:
            await wire.send(request())
            await run_opened(edge)
        await asyncio.wait_for(edge.last_run.is_closed.wait(), 2)
        assert len(edge.open_requests) <= 1
    assert edge.last_run.is_closed.is_set()


async def test_hundred_clients_that_vanish_leave_nothing_behind():
    async with running_edge(script=SLOW_TO_END) as edge:
        async with asyncio.TaskGroup() as tasks:
            for number in range(100):
                tasks.create_task(vanish(edge, after=number * 0.003, how="fin" if number % 2 else "rst"))
        async with asyncio.timeout(5):
            for run in edge.runs:
                await run.is_closed.wait()
            while len(edge.open_requests):
                await asyncio.sleep(0.01)
        assert {run.outcome for run in edge.runs} == {Outcome.ABORTED}


async def vanish(edge: FakeEdge, *, after: float, how: str) -> None:
    async with connected(edge) as wire:
        await wire.send(request(path="/v1/completions" if int(after * 1000) % 3 else "/v1/chat/completions"))
        await asyncio.sleep(after)
        LEAVING[how](wire)


async def test_client_that_never_reads_loses_its_run_and_its_connection():
    script = Script(num_events=1_000_000, text="x" * 8192)
    async with running_edge(script=script, stall_seconds=1.0) as edge:
        silent = socket.socket()
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(silent, ("127.0.0.1", edge.port))
        await loop.sock_sendall(silent, request())
        await run_opened(edge)
        await asyncio.wait_for(edge.last_run.is_closed.wait(), 5)
        assert edge.last_run.outcome is Outcome.ABORTED
        # What was buffered for it before a send stood still: about 0.45 MB, and never a whole reply.
        assert edge.last_run.num_said * 8192 < 1_000_000
        # The kernel's own deadline takes the connection, whatever the client does.
        await asyncio.sleep(1.5)
        with pytest.raises(ConnectionResetError):
            await read_all(silent)
        silent.close()


async def read_all(sock: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(sock, 65_536):
        pass


async def test_slow_reader_is_no_stalled_one():
    script = Script(num_events=40, text="x" * 50_000)
    async with running_edge(script=script, stall_seconds=0.6) as edge, connected(edge) as wire:
        await wire.send(request())
        received = 0
        while part := await wire.reader.read(40_000):
            received += len(part)
            await asyncio.sleep(0.02)
            if part.endswith(b"0\r\n\r\n"):
                break
        assert received > 40 * 50_000
        assert edge.last_run.outcome is Outcome.FINISHED
