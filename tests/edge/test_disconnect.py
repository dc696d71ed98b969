"""A client that leaves ends its Run, wherever in its life the request is. On real sockets.

Each Run that is to be ended would go on for far longer than anybody here waits.
"""

import asyncio
import socket
from pathlib import Path

import pytest

from parley.core.usage import Outcome
from tests.builders_edge import HANG_SECONDS, FakeEdge, Script, connected, request, running_edge

SLOW_TO_START = Script(first_seconds=60.0)
SLOW_TO_END = Script(num_events=10_000, gap_seconds=0.01)

LEAVING = {"fin": lambda wire: wire.writer.close(), "rst": lambda wire: wire.reset()}


async def run_opened(edge: FakeEdge) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while not edge.runs:
            await asyncio.sleep(0.005)


async def run_closed(edge: FakeEdge) -> None:
    await asyncio.wait_for(edge.last_run.is_closed.wait(), HANG_SECONDS)


@pytest.mark.parametrize("how", LEAVING)
async def test_client_that_leaves_before_the_first_token_ends_its_run(how):
    async with running_edge(script=SLOW_TO_START) as edge, connected(edge) as wire:
        await wire.send(request())
        await run_opened(edge)
        LEAVING[how](wire)
        await run_closed(edge)
        assert edge.last_run.outcome is Outcome.ABORTED


@pytest.mark.parametrize("how", LEAVING)
async def test_client_that_leaves_in_the_middle_of_a_stream_ends_its_run(how):
    async with running_edge(script=SLOW_TO_END) as edge, connected(edge) as wire:
        await wire.send(request())
        await wire.reader.readuntil(b'data: {"text"')
        LEAVING[how](wire)
        await run_closed(edge)
        assert edge.last_run.outcome is Outcome.ABORTED


@pytest.mark.parametrize("how", LEAVING)
async def test_client_that_leaves_a_plain_request_ends_its_run(how):
    async with running_edge(script=SLOW_TO_START) as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/completions"))
        await run_opened(edge)
        LEAVING[how](wire)
        await run_closed(edge)
        assert edge.last_run.outcome is Outcome.ABORTED


async def test_stopping_server_waits_for_the_closing_of_a_run_whose_client_left():
    script = Script(first_seconds=60.0, closing_seconds=1.5)
    async with running_edge(script=script) as edge:
        async with connected(edge) as wire:
            await wire.send(request())
            await run_opened(edge)
        async with asyncio.timeout(HANG_SECONDS):
            while not edge.last_run.is_closing:
                await asyncio.sleep(0.005)
        assert not edge.last_run.is_closed.is_set()
        assert len(edge.open_requests) == 1
    assert edge.last_run.is_closed.is_set()


async def test_hundred_clients_that_vanish_leave_nothing_behind():
    async with running_edge(script=SLOW_TO_END) as edge:
        async with asyncio.TaskGroup() as tasks:
            for number in range(100):
                tasks.create_task(vanish(edge, after=number * 0.003, how="fin" if number % 2 else "rst"))
        async with asyncio.timeout(HANG_SECONDS):
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
        await run_closed(edge)
        assert edge.last_run.outcome is Outcome.ABORTED
        # What was buffered for it before a send stood still: about 0.45 MB, and never a whole reply.
        assert edge.last_run.num_said * 8192 < 1_000_000
        # The kernel's own deadline takes the connection, whatever the client does.
        async with asyncio.timeout(HANG_SECONDS):
            while is_connected(edge.port, silent.getsockname()[1]):
                await asyncio.sleep(0.05)
        with pytest.raises(ConnectionResetError):
            await read_all(silent)
        silent.close()


def is_connected(port: int, peer: int) -> bool:
    """Whether the kernel still holds the connection's end at `port`; the end at `peer` it may hold without."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1:3] == [f"0100007F:{port:04X}", f"0100007F:{peer:04X}"] for line in lines)


async def read_all(sock: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(sock, 65_536):
        pass


async def test_slow_reader_is_no_stalled_one():
    script = Script(num_events=60, text="x" * 50_000)
    async with running_edge(script=script, stall_seconds=1.0) as edge, connected(edge) as wire:
        await wire.send(request())
        received = 0
        while part := await wire.reader.read(40_000):
            received += len(part)
            await asyncio.sleep(0.02)
            if part.endswith(b"0\r\n\r\n"):
                break
        assert received > 60 * 50_000
        assert edge.last_run.outcome is Outcome.FINISHED
